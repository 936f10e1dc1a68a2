package pinteresttest

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
)

//go:embed authorize.html
var authorizeHTML string

var authorizePage = template.Must(template.New("authorize").Parse(authorizeHTML))

// AuthorizeURL returns the URL of the page on which an account's owner gives the
// app access, like https://www.pinterest.com/oauth/ of the real API. Requests for it
// are not in the request log, count against no quota and get no faults.
func (s *Server) AuthorizeURL() string { return s.origin + "/oauth/" }

// A consent is what a request to the authorize page asks the owner for.
type consent struct {
	redirectURI string
	redirect    *url.URL
	state       string
	challenge   string
	scopes      []describedScope
}

// A pageRefusal is an error that the page shows instead of its form.
type pageRefusal string

func (r pageRefusal) Error() string { return string(r) }

func refusef(format string, args ...any) error { return pageRefusal(fmt.Sprintf(format, args...)) }

// readConsent checks a request to the authorize page. Errors are shown on the page,
// to the developer, without a redirect: the redirect URI may not be registered.
func (s *Server) readConsent(query url.Values) (*consent, error) {
	id := query.Get("client_id")
	if id == "" {
		id = query.Get("consumer_id") // its older name
	}
	if id != s.app.ID {
		return nil, refusef("There is no app with the client_id %q.", id)
	}
	c := &consent{redirectURI: query.Get("redirect_uri"), state: query.Get("state")}
	if !s.redirects.has(c.redirectURI) {
		return nil, refusef("The redirect_uri %q is not registered for this app.", c.redirectURI)
	}
	var err error
	if c.redirect, err = url.Parse(c.redirectURI); err != nil {
		return nil, refusef("The redirect_uri %q is not a URL.", c.redirectURI)
	}
	if kind := query.Get("response_type"); kind != "code" {
		return nil, refusef("The response_type is %q: it has to be code.", kind)
	}
	names := splitScopes(query.Get("scope"))
	if len(names) == 0 {
		return nil, refusef("The scope is missing.")
	}
	var unknown string
	if c.scopes, unknown = describe(union(names, nil)); unknown != "" {
		return nil, refusef("There is no scope %q.", unknown)
	}
	if s.ignorePKCE {
		return c, nil
	}
	c.challenge = query.Get("code_challenge")
	if method := query.Get("code_challenge_method"); c.challenge != "" && method != "S256" {
		return nil, refusef("The code_challenge_method is %q: it has to be S256.", method)
	}
	return c, nil
}

// approve gives access and returns the URL to redirect the browser to. The tokens
// will have every scope that the owner has granted the app so far.
func (s *Server) approve(c *consent, username string, scopes []string) (string, error) {
	s.world.mu.Lock()
	a := s.world.accounts[username]
	if a == nil {
		s.world.mu.Unlock()
		return "", refusef("There is no account %q.", username)
	}
	a.approved = union(a.approved, scopes)
	approved := slices.Clone(a.approved)
	s.world.mu.Unlock()

	return c.back("code", s.codes.issue(&code{
		account: username, scopes: approved, redirectURI: c.redirectURI, challenge: c.challenge,
		expires: s.clock.Now().Add(codeTTL),
	})), nil
}

// declined is the answer of an owner who gives no access.
const declined = "access_denied"

// back returns the redirect URI with the answer.
func (c *consent) back(name, value string) string {
	to := *c.redirect
	query := to.Query()
	query.Set(name, value)
	if c.state != "" {
		query.Set("state", c.state)
	}
	to.RawQuery = query.Encode()
	return to.String()
}

func (c *consent) names() []string {
	names := make([]string, len(c.scopes))
	for i, s := range c.scopes {
		names[i] = s.Name
	}
	return names
}

// Authorize gives the app access to an account as its owner would on the page at
// authURL, without a browser. It returns the URL that the page redirects to: the
// redirect URI with the state and a code, which is valid for ten minutes and one
// exchange. With scopes the owner grants only these of the requested ones. The host
// of authURL does not matter, so it may be Pinterest's.
func (s *Server) Authorize(authURL string, a Account, scopes ...string) (redirect string, err error) {
	c, err := s.openPage(authURL)
	if err != nil {
		return "", err
	}
	if len(scopes) == 0 {
		scopes = c.names()
	} else if missing := lacks(c.names(), scopes); missing != "" {
		return "", fmt.Errorf("pinteresttest: the app did not ask for the scope %q", missing)
	}
	redirect, err = s.approve(c, a.Username, scopes)
	if err != nil {
		return "", pageError(err)
	}
	return redirect, nil
}

// Decline is [Server.Authorize] for an owner who gives no access: the redirect URI
// has error=access_denied instead of a code.
func (s *Server) Decline(authURL string) (redirect string, err error) {
	return s.FailLogin(authURL, declined)
}

// FailLogin is [Server.Decline] with another error: one of OAuth 2.0 such as
// "server_error", "temporarily_unavailable" or "invalid_scope", or any other text.
func (s *Server) FailLogin(authURL, code string) (redirect string, err error) {
	c, err := s.openPage(authURL)
	if err != nil {
		return "", err
	}
	return c.back("error", code), nil
}

func (s *Server) openPage(authURL string) (*consent, error) {
	u, err := url.Parse(authURL)
	if err != nil {
		return nil, fmt.Errorf("pinteresttest: the URL of the authorize page: %w", err)
	}
	if !isAuthorizePage(u.Path) {
		return nil, fmt.Errorf("pinteresttest: the path of the authorize page is /oauth/, not %q", u.Path)
	}
	c, err := s.readConsent(u.Query())
	if err != nil {
		return nil, pageError(err)
	}
	return c, nil
}

func pageError(err error) error {
	return fmt.Errorf("pinteresttest: the authorize page answers 400: %w", err)
}

func isAuthorizePage(path string) bool { return path == "/oauth/" || path == "/oauth" }

// servePage serves the authorize page and handles the owner's answer. The form is
// sent to the page's own URL, so the parameters are checked again.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")

	var c *consent
	var redirect string
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		c, err = s.readConsent(r.URL.Query())
	default:
		h.Set("Allow", "GET, HEAD, POST")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if err == nil && r.Method == http.MethodPost {
		redirect, err = s.decide(c, r)
	}
	if redirect != "" {
		h.Set("Location", redirect)
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	s.showPage(w, c, err)
}

// decide carries out the owner's choice.
func (s *Server) decide(c *consent, r *http.Request) (string, error) {
	if err := r.ParseForm(); err != nil {
		return "", refusef("The form cannot be read.")
	}
	switch r.PostForm.Get("decision") {
	case "allow":
		return s.approve(c, r.PostForm.Get("account"), c.names())
	case "cancel":
		return c.back("error", declined), nil
	default:
		return "", refusef("The decision is neither allow nor cancel.")
	}
}

func (s *Server) showPage(w http.ResponseWriter, c *consent, err error) {
	page := struct {
		App      App
		Refusal  string
		Scopes   []describedScope
		Accounts []string
	}{App: s.app}
	status := http.StatusOK
	if refusal, ok := errors.AsType[pageRefusal](err); ok {
		page.Refusal, status = string(refusal), http.StatusBadRequest
	} else {
		page.Scopes, page.Accounts = c.scopes, s.world.usernames()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = authorizePage.Execute(w, page)
}

// usernames returns the names of all accounts in the order of their creation.
func (w *world) usernames() []string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	accounts := make([]*account, 0, len(w.accounts))
	for _, a := range w.accounts {
		accounts = append(accounts, a)
	}
	slices.SortFunc(accounts, func(a, b *account) int { return cmp.Compare(a.id, b.id) })
	names := make([]string, len(accounts))
	for i, a := range accounts {
		names[i] = a.username
	}
	return names
}
