package creates_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Row 10: absence is proved, and then a long wait follows before the resend.
func TestALastLookComesRightBeforeEachResend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		lag    time.Duration
		fault  fault
		policy pinterest.RetryPolicy
	}{
		{"lag 20 s, Retry-After 50", 20 * time.Second, fault{status: 503, retryAfter: 50}, pinterest.RetryPolicy{}},
		{"lag 48 s, Retry-After 50", 48 * time.Second, fault{status: 503, retryAfter: 50}, pinterest.RetryPolicy{}},
		{"lag 8 s, Retry-After 10", 8 * time.Second, fault{status: 500, retryAfter: 10}, pinterest.RetryPolicy{}},
		{"lag 12 s, ServerDelay 20 s", 12 * time.Second, server500, pinterest.RetryPolicy{ServerDelay: 20 * time.Second}},
		{"lag 12 s, ServerDelay 20 s, connection broken", 12 * time.Second, broken, pinterest.RetryPolicy{ServerDelay: 20 * time.Second}},
		{"lag 55 s, ServerDelay 60 s", 55 * time.Second, server2787, pinterest.RetryPolicy{ServerDelay: 60 * time.Second}},
	} {
		for _, commit := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, committed %v", c.name, commit), func(t *testing.T) {
				t.Parallel()
				r := &record{name: fmt.Sprintf("row 10, %s, committed %v", c.name, commit)}
				for seed := range 10 {
					w := newWorld(t, seed)
					client := w.client(pinterest.WithRetry(c.policy))
					if seed%2 == 0 {
						w.warm(client)
					}
					w.lag = func() time.Duration { return c.lag }
					f := c.fault
					f.commit = commit
					w.onCreate = first(&f)
					_ = w.create(r, client, w.pin(fmt.Sprint("wait-", seed)), fmt.Sprint("seed ", seed))
					w.freshBeforeResend(r, fmt.Sprint("seed ", seed))
				}
				r.report(t, 0)
			})
		}
	}
}

// Row 10: a resend that waits for a pacer or is throttled again and again. Each
// send has its look.
func TestALastLookComesBeforeEveryFurtherResend(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 10, throttled between the sends"}
	for seed := range 20 {
		w := newWorld(t, seed)
		client := w.client()
		w.warm(client)
		late := time.Duration(6+3*(seed%8)) * time.Second
		w.lag = func() time.Duration { return late }
		w.onCreate = func(_ string, n int) *fault {
			switch n {
			case 1:
				return committed(server500)
			case 2, 3:
				return &fault{status: 429, code: 8, message: "You have exceeded your rate limit. Try again later.", retryAfter: 25}
			}
			return nil
		}
		_ = w.create(r, client, w.pin(fmt.Sprint("throttled-", seed)), fmt.Sprintf("lag %v, seed %d", late, seed))
		w.freshBeforeResend(r, fmt.Sprintf("lag %v, seed %d", late, seed))
	}
	r.report(t, 0)
}

// Row 10: the resend is refused for good, and the first attempt has taken effect.
func TestALastLookComesBeforeADefiniteFailure(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]fault{
		"403":                  answered(403, 29, "You are not permitted to access that resource."),
		"429/9 block":          answered(429, 9, "Sorry! You've hit a block (Pins) we have in place to combat spam."),
		"429/9 blocked link":   answered(429, 9, "Sorry! We blocked this link because it may lead to spam."),
		"400":                  answered(400, 1, "Invalid request"),
		"404":                  answered(404, 40, "Board not found."),
		"401/3":                answered(401, 3, "Your token does not have sufficient permissions to perform this operation."),
		"401":                  answered(401, 2, "Authentication failed."),
		"429, wait of an hour": {status: 429, code: 8, message: "You have exceeded your rate limit. Try again later.", retryAfter: 3600},
		"503, wait of an hour": {status: 503, retryAfter: 3600},
		"image not fetched":    answered(400, 1, "Sorry we could not fetch the image."),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, lag := range []time.Duration{5500 * time.Millisecond, 6 * time.Second, 8 * time.Second, 20 * time.Second} {
				r := &record{name: fmt.Sprintf("row 10, %s on the resend, lag %v", name, lag)}
				for seed := range 5 {
					w := newWorld(t, seed)
					client := w.client()
					if seed%2 == 0 {
						w.warm(client)
					}
					w.lag = func() time.Duration { return lag }
					f := ambiguous[seed%len(ambiguous)]
					w.onCreate = func(_ string, n int) *fault {
						if n == 1 {
							return committed(f)
						}
						return uncommitted(refused)
					}
					_ = w.create(r, client, w.pin(fmt.Sprint("refused-", seed)), fmt.Sprintf("%s, seed %d", faultName(f), seed))
				}
				r.report(t, 1)
			}
		})
	}
}

// Row 10: what was never made and is refused stays a definite failure.
func TestARefusedResendOfWhatWasNeverMadeIsDefinite(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 10, 403 on the resend, nothing made", mayFail: true}
	for seed := range 20 {
		w := newWorld(t, seed)
		client := w.client()
		f := ambiguous[seed%len(ambiguous)]
		w.onCreate = func(_ string, n int) *fault {
			if n == 1 {
				return uncommitted(f)
			}
			return uncommitted(answered(403, 29, "You are not permitted to access that resource."))
		}
		err := w.create(r, client, w.pin(fmt.Sprint("never-", seed)), fmt.Sprintf("%s, seed %d", faultName(f), seed))
		if !errors.Is(err, pinterest.ErrForbidden) {
			r.wrong("%s, seed %d: want the refusal itself, got %v", faultName(f), seed, err)
		}
	}
	r.report(t, 0)
}

// Row 11: a success that names nothing.
func TestASuccessWithoutAnIDIsLookedUp(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"204":            {status: 204},
		"200, no body":   {status: 200, raw: text("")},
		"201, null":      {status: 201, raw: text("null")},
		"201, empty":     {status: 201, raw: text("{}")},
		"201, list":      {status: 201, raw: text("[]")},
		"201, id null":   {status: 201, raw: text(`{"id":null,"title":"Oak"}`)},
		"201, id empty":  {status: 201, raw: text(`{"id":"","title":"Oak"}`)},
		"201, id blank":  {status: 201, raw: text(`{"id":" ","title":"Oak"}`)},
		"201, id object": {status: 201, raw: text(`{"id":{"pin":"1"},"title":"Oak"}`)},
		"201, id true":   {status: 201, raw: text(`{"id":true}`)},
		"202":            {status: 202, raw: text(`{"status":"queued"}`)},
		"200, HTML":      {status: 200, raw: text("<html>fine</html>")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, commit := range []bool{true, false} {
				r := &record{name: fmt.Sprintf("row 11, %s, committed %v", name, commit)}
				for seed := range 5 {
					w := newWorld(t, seed)
					f.commit = commit
					answer := f
					w.onCreate = first(&answer)
					_ = w.create(r, w.client(), w.pin(fmt.Sprint("noid-", seed)), fmt.Sprint("seed ", seed))
				}
				r.report(t, 0)
			}
		})
	}
}

// Row 11: items of a list whose id is not a text.
func TestAListItemWithoutATextForAnIDIsNeverAResultWithoutOne(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]func(string) any{
		"number":  jsonNumber,
		"null":    func(string) any { return nil },
		"empty":   func(string) any { return "" },
		"object":  func(id string) any { return map[string]any{"pin": id} },
		"list":    func(id string) any { return []any{id} },
		"boolean": func(string) any { return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "row 11, list item with " + name + " for an id"}
			for seed := range 12 {
				w := newWorld(t, seed)
				w.listed = func(p *pin, item map[string]any) { item["id"] = id(p.id) }
				f := append(ambiguous, fault{status: 204})[seed%(len(ambiguous)+1)]
				w.onCreate = first(committed(f))
				_ = w.create(r, w.client(), w.pin(fmt.Sprint("listed-", seed)), fmt.Sprintf("%s, seed %d", faultName(f), seed))
			}
			r.report(t, 1)
		})
	}
}
