package main

import (
	"net/http"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// demo is a fake of Pinterest in this process, so that the page can be tried without
// an app at Pinterest.
type demo struct {
	srv      *pinteresttest.Server
	accounts []pinteresttest.Account
}

func startDemo(redirectURL string, clock *pinteresttest.Clock) *demo {
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock), pinteresttest.WithRedirectURIs(redirectURL))
	shop, person := srv.AddAccount("oakandlinen"), srv.AddAccount("alice")
	srv.SetBusinessName(shop, "Oak & Linen")
	board := srv.AddBoard(shop, "Small spaces")
	srv.AddBoard(shop, "Kitchens")
	for _, title := range []string{"A bench by the window", "Shelves under the stairs", "A table for two"} {
		srv.AddPin(board, pinteresttest.Pin{Title: title})
	}
	return &demo{srv: srv, accounts: []pinteresttest.Account{shop, person}}
}

func (d *demo) close() { d.srv.Close() }

// handle adds the buttons with which a visitor acts as the account's owner.
func (d *demo) handle(mux *http.ServeMux) {
	for path, act := range map[string]func(pinteresttest.Account){
		"/demo/revoke": d.srv.RevokeAccount,
		// The next call finds the token expired and refreshes it, with fewer scopes.
		"/demo/narrow": func(a pinteresttest.Account) {
			d.srv.SetScopes(a, "boards:read", "pins:read", "user_accounts:read")
			d.srv.ExpireAllTokens()
		},
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			for _, a := range d.accounts {
				act(a)
			}
			http.Redirect(w, r, "/", http.StatusSeeOther)
		})
	}
}
