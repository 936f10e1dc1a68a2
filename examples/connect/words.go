package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/pinterest-go/pinterest"
)

// permission is a scope in words.
type permission struct {
	Scope pinterest.Scope
	Text  string // what it allows, after "may" and "cannot"
}

var allows = map[pinterest.Scope]string{
	pinterest.ScopeBoardsRead:       "see your boards",
	pinterest.ScopeBoardsWrite:      "create, change and delete your boards",
	pinterest.ScopePinsRead:         "see your Pins",
	pinterest.ScopePinsWrite:        "publish, change and delete your Pins",
	pinterest.ScopeUserAccountsRead: "see your account: its name, its type and its counts",
}

func describe(scopes []pinterest.Scope) []permission {
	permissions := make([]permission, len(scopes))
	for i, scope := range scopes {
		text := allows[scope]
		if text == "" { // given to the app earlier, for something else
			text = "use another permission"
		}
		permissions[i] = permission{scope, text}
	}
	return permissions
}

// notice tells what has just happened.
type notice struct{ Title, Text string }

// notices are the messages that a redirect to the page can show. URLs contain only
// their names, so that nobody can put other text on the page.
var notices = map[string]*notice{
	"denied":  {"You have not given access", "Nothing was changed. If you did not mean to cancel, connect again."},
	"stale":   {"This login is over", "It was begun in another browser, took longer than ten minutes or was finished before. Use the button to begin another."},
	"busy":    {"Pinterest did not answer", "The account was not connected. Try again in a minute."},
	"other":   {"That is another Pinterest account", "You have given access as another Pinterest user than before. Nothing was changed. If you meant to, disconnect this account first. Otherwise log in to Pinterest as the user of this account and connect again."},
	"unsaved": {"The access could not be saved", "The token store failed. The program's log says why. Connect again when that is mended."},
	"refused": {"Pinterest refused the connection", "Check the app's id and secret, and that the redirect URL which the program has printed is registered for the app to the letter. The program's log has Pinterest's answer."},
	"cookies": {"Your browser has sent no cookie", "This page needs one to know which account is yours. Allow cookies for it and try again."},
	"kept":    {"The account is still connected", "Its token could not be deleted. The program's log says why."},

	"disconnected": {"The account is disconnected", "This program has deleted its token. To take the access away at Pinterest as well, remove the app in your account's settings there."},
}

// noticeOf returns the name of the notice for a connection that failed.
func noticeOf(err error) string {
	var e *pinterest.Error
	switch {
	case errors.Is(err, pinterest.ErrAccessDenied):
		return "denied"
	case errors.Is(err, pinterest.ErrState):
		return "stale"
	case errors.Is(err, pinterest.ErrOtherUser):
		return "other"
	case errors.Is(err, pinterest.ErrTokenStore):
		return "unsaved"
	case errors.As(err, &e) && e.Disposition == pinterest.DispositionPark:
		return "busy"
	}
	return "refused"
}

// moment is a time in words. The page runs on the visitor's machine, so the local
// time zone is the visitor's.
type moment struct{ Machine, Text, Away string }

// moment returns nil for a time that is not known.
func (s *site) moment(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	now := s.now()
	return &moment{t.UTC().Format(time.RFC3339), t.In(now.Location()).Format("2 January 2006, 15:04 MST"), away(t.Sub(now))}
}

// away says how far away something is, such as "in 30 days" or "2 hours ago".
func away(d time.Duration) string {
	form, n := "in %s", d.Round(time.Minute)
	if d < 0 {
		form, n = "%s ago", -n
	}
	switch {
	case n < time.Minute:
		return "now"
	case n < 2*time.Hour:
		return fmt.Sprintf(form, count(int(n/time.Minute), "minute"))
	case n < 48*time.Hour:
		return fmt.Sprintf(form, count(int(n.Round(time.Hour)/time.Hour), "hour"))
	}
	const day = 24 * time.Hour
	return fmt.Sprintf(form, count(int(n.Round(day)/day), "day"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
