package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/pinterest-go/pinterest"
)

// patience is how long a visitor waits for Pinterest.
const patience = 10 * time.Second

// stateOf finds out the state of an account and returns it as a page.
func (s *site) stateOf(r *http.Request, name string) page {
	p := page{Notice: notices[r.URL.Query().Get("notice")], Asked: describe(s.oauth.Scopes)}
	tok, err := s.store.Load(r.Context(), name)
	var unread error
	if err == nil && tok != nil && tok.Disconnected == nil {
		p.Account, unread = s.ask(r.Context(), name)
		tok, err = s.store.Load(r.Context(), name) // the call may have refreshed it
	}
	switch {
	case err != nil:
		s.log.Error("the token store", "error", err)
		p.Title, p.Heading = "Token store", "The token store cannot be read"
		p.Text = "The program's log says why. Try again when that is mended."
	case tok == nil:
		p.State, p.Title, p.Heading = "none", "Not connected", "No account is connected"
	case tok.Disconnected != nil:
		p.State, p.Title, p.Heading = "disconnected", "Disconnected by Pinterest", "Pinterest has disconnected the account"
		p.Disconnected = &disconnected{Reason: tok.Disconnected.Reason, At: s.moment(tok.Disconnected.At)}
	default:
		p.State, p.Title, p.Heading = "connected", "Connected", "An account is connected"
		s.describeConnection(&p, tok, unread)
	}
	if p.Notice != nil {
		p.Title = p.Notice.Title
	}
	return p
}

// ask asks Pinterest for the account. The library logs a failure.
func (s *site) ask(ctx context.Context, name string) (*pinterest.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.app.Client(name).Account.Get(ctx, pinterest.AtPriority(pinterest.PriorityInteractive))
}

// describeConnection describes what the token allows. err is why the account could
// not be read.
func (s *site) describeConnection(p *page, tok *pinterest.Token, err error) {
	granted, missing := slices.Clone(tok.Scopes), []pinterest.Scope(nil)
	if granted != nil { // else Pinterest has not said
		missing = pinterest.MissingScopes(granted, s.oauth.Scopes)
	}
	switch asking := pinterest.ScopeUserAccountsRead; {
	case err == nil:
		p.Title, p.Heading = "Connected as "+p.Account.Username, "Connected as "+p.Account.Username
	case !errors.Is(err, pinterest.ErrMissingScope):
		p.Trouble = s.trouble(err)
	case !slices.Contains(missing, asking): // it was taken back after the token was made
		missing = append(missing, asking)
		granted = slices.DeleteFunc(granted, func(scope pinterest.Scope) bool { return scope == asking })
	}
	if len(missing) > 0 {
		p.Title += ", permissions missing"
	}
	p.Granted, p.Missing = describe(granted), describe(missing)
	p.AccessEnds, p.RefreshEnds = s.moment(tok.Expiry), s.moment(tok.RefreshExpiry)
	p.HasRefresh = tok.RefreshToken != ""
}

// trouble explains why the account could not be read. What a visitor can do depends
// only on the error's disposition.
func (s *site) trouble(err error) string {
	var e *pinterest.Error
	if !errors.As(err, &e) || e.Disposition != pinterest.DispositionPark {
		return "The account could not be read. The program's log says why."
	}
	when := "in a moment"
	if e.RetryAt.After(s.now()) {
		when = "after " + e.RetryAt.In(s.now().Location()).Format("15:04:05")
	}
	return "Pinterest did not answer, or not in time. The connection is kept: try again " + when + "."
}
