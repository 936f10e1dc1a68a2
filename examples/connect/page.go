package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"

	"github.com/pinterest-go/pinterest"
)

// page is the data of page.html. It contains no tokens.
type page struct {
	Title, Heading, Text string
	Notice               *notice
	State                string // "none", "connected", "disconnected"; "": Text alone
	Demo                 bool
	Home                 string // the page's own URL
	Asked                []permission

	// Of a connected account.
	Account                 *pinterest.Account
	Trouble                 string // why Account is not known
	Granted, Missing        []permission
	AccessEnds, RefreshEnds *moment
	HasRefresh              bool

	Disconnected *disconnected
}

// disconnected says why and when Pinterest has disconnected the account.
type disconnected struct {
	Reason string
	At     *moment
}

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

func (s *site) show(w http.ResponseWriter, status int, p page) {
	p.Demo, p.Home = s.demo != nil, s.base+"/"
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		s.log.Error("the page", "error", err)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // an error means that the visitor is gone
}
