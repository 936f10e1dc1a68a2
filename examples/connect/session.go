package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"
)

// sessionCookie identifies browsers. An application with its own users already has
// sessions, and names Pinterest accounts after its users.
const sessionCookie = "connect_session"

var errNoSession = errors.New("the browser has no session")

// account returns the account's name for the browser's session. It is derived from
// the cookie, so that reading the token store does not reveal the cookie.
func account(r *http.Request) (string, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil || len(c.Value) != len(rand.Text()) {
		return "", errNoSession
	}
	return accountOf(c.Value), nil
}

func accountOf(session string) string {
	sum := sha256.Sum256([]byte(session))
	return "browser-" + hex.EncodeToString(sum[:16])
}

// newSession begins a session and returns its account. The cookie is Lax, not
// Strict, since the browser comes back from Pinterest's site.
func newSession(w http.ResponseWriter) string {
	session := rand.Text()
	http.SetCookie(w, &http.Cookie{ // not Secure: the page is http, on loopback
		Name: sessionCookie, Value: session, Path: "/", MaxAge: int(365 * 24 * time.Hour / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return accountOf(session)
}

// withSession rejects browsers without a session, such as those that accept no
// cookies.
func (s *site) withSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := account(r); err != nil {
			http.Redirect(w, r, "/?notice=cookies", http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}
