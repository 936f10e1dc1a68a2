package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// guard applies to every request and every answer.
func (s *site) guard(next http.Handler) http.Handler {
	// Only the page's own buttons may change anything.
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.show(w, http.StatusForbidden, page{
			Title: "Refused", Heading: "That came from another site",
			Text: "Nothing was changed. Only this page's own buttons change anything.",
		})
	}))
	next = sameOrigin.Handler(next)
	policy := s.contentPolicy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		// Another host name that resolves to this machine is not this site.
		if "http://"+r.Host != s.base {
			s.show(w, http.StatusMisdirectedRequest, page{
				Title: "Another address", Heading: "This page has another address", Text: "It is " + s.base + "/.",
			})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 3*patience)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// contentPolicy allows the page its style sheet and its forms, and nothing else.
func (s *site) contentPolicy() string {
	// Forms lead only here, but the browser also checks the targets of redirects.
	// Pinterest's page redirects to one for the owner's country.
	forms := "https:"
	if u, err := url.Parse(s.oauth.AuthorizeURL); err == nil && u.Host != "" {
		forms = u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'", "style-src 'self'", "img-src data:", "form-action 'self' " + forms,
		"base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
}
