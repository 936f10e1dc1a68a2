package main

import (
	"embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/pinterest-go/pinterest"
)

// site is the page and what its buttons do.
type site struct {
	app   *pinterest.App
	store pinterest.TokenStore
	oauth pinterest.OAuth
	demo  *demo  // nil: it is Pinterest itself
	base  string // the site's own URL, without a path
	now   func() time.Time
	log   *slog.Logger
}

const callbackPath = "/callback"

//go:embed style.css
var static embed.FS

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.Handle("POST /connect", s.withSession(s.app.OAuth.LoginHandler(account)))
	mux.Handle("GET "+callbackPath, s.app.OAuth.CallbackHandler(account, s.connected))
	mux.Handle("POST /disconnect", s.withSession(http.HandlerFunc(s.disconnect)))
	mux.Handle("GET /style.css", http.FileServerFS(static))
	mux.HandleFunc("/", s.notFound)
	if s.demo != nil {
		s.demo.handle(mux)
	}
	return s.guard(mux)
}

// home shows the state of the browser's account.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	name, err := account(r)
	if err != nil {
		name = newSession(w)
	}
	s.show(w, http.StatusOK, s.stateOf(r, name))
}

// connected handles a browser that comes back from Pinterest. It redirects, so that
// the code does not stay in the address bar.
func (s *site) connected(w http.ResponseWriter, r *http.Request, conn *pinterest.Connection, err error) {
	target := "/"
	if err != nil {
		s.log.Warn("an account was not connected", "error", err)
		target = "/?notice=" + noticeOf(err)
	} else if len(conn.Missing) > 0 {
		s.log.Warn("an account was connected with less than was asked for", "account", conn.Account, "missing", conn.Missing)
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// disconnect forgets the browser's account.
func (s *site) disconnect(w http.ResponseWriter, r *http.Request) {
	name, _ := account(r)
	target := "/?notice=disconnected"
	if err := s.app.OAuth.Disconnect(r.Context(), name); err != nil {
		s.log.Error("an account was not disconnected", "account", name, "error", err)
		target = "/?notice=kept"
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func (s *site) notFound(w http.ResponseWriter, _ *http.Request) {
	s.show(w, http.StatusNotFound, page{Title: "Not found", Heading: "There is no such page"})
}
