package pinterest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/reserved"
)

// This file decides whether the refusal of a refresh token is believed. It is, unless
// other accounts are refused as well: then the fault is probably the app's, or
// Pinterest's.

const (
	// maxRefusals is how many accounts in a row are refused a refresh before that is
	// taken for the fault of the app or of Pinterest.
	maxRefusals = 3
	// believeAfter is how long an account must have been refused to be believed in any
	// case, if others were granted a token in that time. It is also how long a refusal
	// counts as one of a row.
	believeAfter = day
)

// refusals are the refreshes that were refused since one succeeded, in all processes
// that share a store. When there are too many, refreshes are paused: no account is
// marked until one succeeds, and the marks that were made in that row are undone.
type refusals struct {
	Accounts map[string]time.Time `json:"accounts,omitzero"` // when they were refused
	Paused   bool                 `json:"paused,omitzero"`
	Granted  time.Time            `json:"granted,omitzero"` // when a refresh has ended the last row
	PausedAt time.Time            `json:"paused_at,omitzero"`
	PausedBy string               `json:"paused_by,omitzero"` // the account that was refused last
}

// loadRefusals reads the record. A client of its own, without a store, has none.
func (k *core) loadRefusals(ctx context.Context) (r refusals, err error) {
	if k.store == nil {
		return r, nil
	}
	record, err := k.load(ctx, reserved.Refusals)
	return decodeRefusals(record), err
}

func decodeRefusals(record *Token) (r refusals) {
	if record != nil {
		_ = json.Unmarshal([]byte(record.AccessToken), &r) // a record that is damaged begins anew
	}
	return r
}

// updateRefusals changes the record. change returns false if it has changed nothing.
func (k *core) updateRefusals(ctx context.Context, change func(*refusals) bool) (r refusals, err error) {
	if k.store == nil {
		return r, nil
	}
	_, err = k.update(ctx, reserved.Refusals, func(stored *Token) *Token {
		if r = decodeRefusals(stored); !change(&r) {
			return nil
		}
		text, _ := json.Marshal(r) // nothing in it can fail
		return &Token{AccessToken: string(text)}
	})
	return r, err
}

// paused reports whether refreshes are paused.
func (k *core) paused(ctx context.Context) bool {
	r, err := k.loadRefusals(ctx)
	return err == nil && r.Paused
}

// granted notes that a refresh has succeeded, which ends a row. If the store fails to
// undo the marks or to end the row, the next success does it. A mark that cannot be
// undone for a day, such as that of a damaged record, does not keep the row any longer.
func (s *storedToken) granted(ctx context.Context) {
	row, err := s.client.loadRefusals(ctx)
	if err != nil || len(row.Accounts) == 0 {
		return
	}
	if row.Paused {
		if _, err := s.undo(ctx, row); err != nil && s.client.clock.Now().Sub(row.PausedAt) < believeAfter {
			return
		}
	}
	_, _ = s.client.updateRefusals(ctx, func(r *refusals) bool {
		if len(r.Accounts) == 0 || r.Paused != row.Paused {
			return false // by now it is another row
		}
		*r = refusals{Granted: s.client.clock.Now().UTC(), PausedAt: r.PausedAt}
		return true
	})
}

// refused counts a refusal of the account's refresh token. It reports whether the
// account must not be marked: because too many others are refused as well, or because
// it was refused before another one was granted a token, but not for long enough.
func (s *storedToken) refused(ctx context.Context, stored *Token, why *refusal) (doubtful bool, err error) {
	c, now := s.client, s.client.clock.Now().UTC()
	ended := !stored.RefreshExpiry.IsZero() && !now.Before(stored.RefreshExpiry)
	long := now.Sub(stored.RefusedSince) >= believeAfter
	var began, before bool
	row, err := c.updateRefusals(ctx, func(r *refusals) bool {
		before = !stored.RefusedSince.IsZero() && r.Granted.After(stored.RefusedSince)
		if r.Paused {
			began = r.PausedBy == c.name && r.PausedAt.Equal(now) // saved, although the store said that it was not
			return false
		}
		if before || why.gone && ended {
			return false
		}
		maps.DeleteFunc(r.Accounts, func(_ string, at time.Time) bool { return now.Sub(at) >= believeAfter })
		if r.Accounts == nil {
			r.Accounts = map[string]time.Time{}
		}
		if _, counted := r.Accounts[c.name]; !counted {
			r.Accounts[c.name] = now
		}
		why.counted = now
		if began = why.ofApp || len(r.Accounts) >= maxRefusals; began {
			r.Paused, r.PausedAt, r.PausedBy = true, now, c.name
		}
		return true
	})
	if err != nil {
		return false, loadError{fmt.Errorf("%s, and whether others were is not known: %w", why.reason, storeCause(err))}
	}
	if !row.Paused {
		return before && !long && !ended, nil
	}
	undone, _ := s.undo(ctx, row)
	if began {
		text := "the last time because " + why.reason
		if len(row.Accounts) > 1 {
			text = fmt.Sprintf("%d accounts in a row, %s", len(row.Accounts), text)
		}
		if len(undone) > 0 {
			text += fmt.Sprintf("; not disconnected any more: %q", strings.Join(undone, ", "))
		}
		c.reportToken(ctx, Event{Type: EventRefreshPaused, Time: now, Err: fmt.Errorf("%w: %s", ErrRefreshPaused, text)})
	}
	return true, nil
}

// undo takes back the marks that were made in a row, and returns the accounts. A mark
// that the store fails to take back is tried again with the next refusal or success.
func (s *storedToken) undo(ctx context.Context, row refusals) (accounts []string, failed error) {
	for _, account := range slices.Sorted(maps.Keys(row.Accounts)) {
		switch undone, err := s.undoMark(ctx, account, row.Accounts[account]); {
		case err != nil:
			failed = err
		case undone:
			accounts = append(accounts, account)
			s.client.reportToken(ctx, Event{Type: EventReinstated, Account: account, Time: s.client.clock.Now()})
		}
	}
	return accounts, failed
}

// undoMark takes back the marks of an account that were made since then. Some stores
// keep times to the second.
func (s *storedToken) undoMark(ctx context.Context, account string, since time.Time) (undone bool, err error) {
	since = since.Truncate(time.Second)
	err = s.client.untilSaved(ctx, func() error {
		undone = false
		tok, err := s.store.Load(ctx, account)
		if err != nil || tok == nil {
			return err
		}
		disconnected := tok.Disconnected != nil && !tok.Disconnected.At.Before(since)
		quarantined := tok.Quarantined != nil && !tok.Quarantined.Since.Before(since)
		if !disconnected && !quarantined {
			return nil
		}
		if disconnected {
			tok.Disconnected = nil
		}
		if quarantined {
			tok.Quarantined = nil
		}
		undone = true
		_, err = s.store.Save(ctx, account, tok)
		return err
	})
	return undone, err
}

// mark saves a mark of the stored token, unless another token is stored by now, which
// is an ErrTokenConflict. If refreshes were paused in the meantime, the mark is taken
// back, and the error is a pausedError.
func (s *storedToken) mark(ctx context.Context, stored *Token, why *refusal, set func(*Token)) (*Token, error) {
	c, refresh := s.client, stored.RefreshToken
	marked, replaced := *stored, false
	err := c.untilSaved(ctx, func() (err error) {
		setDefault(&marked.RefusedSince, c.clock.Now().UTC())
		set(&marked)
		version, err := s.store.Save(ctx, c.name, &marked)
		if !errors.Is(err, ErrTokenConflict) {
			marked.Version = version
			return err
		}
		now, loadErr := s.store.Load(ctx, c.name)
		switch {
		case loadErr != nil:
			return loadErr
		case now == nil || now.RefreshToken != refresh || now.Disconnected != nil:
			replaced = true
			return nil
		}
		marked = *now
		return err
	})
	switch {
	case err != nil:
		return nil, loadError{err}
	case replaced:
		return nil, ErrTokenConflict
	}
	// A pause may have begun meanwhile, and even be over.
	row, err := c.loadRefusals(ctx)
	if err == nil && !why.counted.IsZero() && !row.PausedAt.Before(why.counted) {
		if _, err := s.undoMark(ctx, c.name, why.counted); err == nil {
			return nil, pausedError{why.reason}
		}
	}
	return &marked, nil
}
