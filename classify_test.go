package pinterest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestEveryRuleOfTheTableHasATest(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, rule := range pinterest.DefaultRules() {
		assert.Falsef(t, names[rule.Name], "two rules are called %q", rule.Name)
		names[rule.Name] = true
		if fileRules[rule.Name] {
			continue // no call of the API can meet it
		}
		assert.NotEmptyf(t, rows[rule.Name], "the rule %q (%s) has no entry in rows", rule.Name, rule)
	}
	for name := range rows {
		assert.Truef(t, names[name], "no rule is called %q", name)
	}
}

func TestRuleForReadAndIdempotentWrite(t *testing.T) {
	t.Parallel()
	kinds := []struct {
		name, method string
		call         func(context.Context, *testClient) error
	}{
		{"get", http.MethodGet, func(ctx context.Context, c *testClient) error {
			_, err := c.Pins.Get(ctx, pinID)
			return err
		}},
		{"update", http.MethodPatch, func(ctx context.Context, c *testClient) error {
			_, err := c.Pins.Update(ctx, pinID, pinUpdate())
			return err
		}},
		{"delete", http.MethodDelete, func(ctx context.Context, c *testClient) error {
			return c.Pins.Delete(ctx, pinID)
		}},
	}
	eachRow(t, func(t *testing.T, name string, r row) {
		for _, kind := range kinds {
			if kind.name == r.skip {
				continue
			}
			t.Run(kind.name, func(t *testing.T) {
				t.Parallel()
				b, c := newBench(t, r)
				err := kind.call(b.ctx, c)
				e := r.check(t, name, b, err)
				assert.Equal(t, r.after, e.Disposition)
				assert.Equal(t, r.requests(), b.count(toCall), "requests")
				assert.Len(t, e.Attempts, r.attempts)
				for _, at := range e.Attempts {
					assert.Equal(t, name, at.Rule)
				}
				assertSlept(t, b.server, r.waits)
				if r.after == park {
					assert.GreaterOrEqual(t, e.RetryAt.Sub(b.clock.Now()), r.parked, "parked for")
				}
				assert.Zero(t, b.seen.lookups(), "only creates are looked up")
				for _, req := range b.received(toCall) {
					assert.Equal(t, kind.method, req.method)
				}
			})
		}
	})
}

func create(b *bench, c *testClient, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return c.Pins.Create(b.ctx, pinCreate(), opts...)
}

// A create is sent again only after reads over the settle time have shown that it
// is absent.
func TestRuleForCreateThatIsAbsent(t *testing.T) {
	t.Parallel()
	const settle = 5 * time.Second
	eachRow(t, func(t *testing.T, name string, r row) {
		b, c := newBench(t, r)
		_, err := create(b, c)
		e := r.check(t, name, b, err)
		assert.Equal(t, r.requests(), b.count(toCall), "POSTs")
		assert.Len(t, e.Attempts, r.attempts)
		if !r.unclear {
			assert.Equal(t, r.after, e.Disposition)
			assert.Zero(t, b.seen.lookups(), "what cannot have taken effect is not looked up")
			assert.Zero(t, b.count(toLookup))
			assertSlept(t, b.server, r.waits)
			return
		}
		assert.NotZero(t, b.seen.lookups(), "it is looked up")
		if r.unproved {
			assert.Equal(t, uncertain, e.Disposition)
			assert.ErrorIs(t, err, pinterest.ErrUncertain)
			return
		}
		assert.Equal(t, r.after, e.Disposition, "absence was shown: the class's own disposition")
		assert.NotErrorIs(t, err, pinterest.ErrUncertain)
		assertProved(t, b.server, settle, r.waits)
	})
}

// A create that took effect is found and adopted, with one POST.
func TestRuleForCreateThatTookEffect(t *testing.T) {
	t.Parallel()
	eachRow(t, func(t *testing.T, name string, r row) {
		b, c := newBench(t, r)
		b.onLookup(b.madePin().always())
		if name == "oversize answer" {
			b.scripts[toLookup] = nil // the answer to the look-up would be too long, too
			return
		}
		var res pinterest.Response
		pin, err := create(b, c, pinterest.ResponseTo(&res))
		if !r.unclear {
			_ = r.check(t, name, b, err)
			assert.Zero(t, b.count(toLookup))
			assert.NotEqual(t, pinterest.OriginLookup, res.Origin)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, newPinID, pin.ID)
		assert.Equal(t, pinCreate().Title, pin.Title)
		assert.Equal(t, pinterest.OriginLookup, res.Origin)
		assert.Equal(t, 1, b.count(toCall), "POSTs")
		assert.Equal(t, 1, b.count(toLookup), "a hit counts at once")
		assert.Empty(t, b.clock.sleeps())
	})
}

// A create that cannot be looked up ends uncertain, with exactly one POST.
func TestRuleForCreateWhoseLookupFails(t *testing.T) {
	t.Parallel()
	lookups := map[string]reply{
		"forbidden": fault(403, 29, "You are not permitted to access that resource."),
		"down":      bare(503),
		"garbled":   html(200),
		"throttled": fault(429, 8, "slow").with("Retry-After", "3600"),
	}
	for kind, answer := range lookups {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			eachRow(t, func(t *testing.T, name string, r row) {
				b, c := newBench(t, r)
				b.onLookup(answer.always())
				sent := b.clock.Now()
				_, err := create(b, c)
				e := r.check(t, name, b, err)
				if !r.unclear {
					assert.Zero(t, b.count(toLookup))
					return
				}
				assert.Equal(t, 1, b.count(toCall), "POSTs")
				assert.NotZero(t, b.count(toLookup))
				assert.Equal(t, uncertain, e.Disposition)
				assert.ErrorIs(t, err, pinterest.ErrUncertain)
				assert.False(t, e.RetryAt.IsZero(), "when to look again")
				require.NotNil(t, e.Uncertain, "what to look for")
				assert.Equal(t, "pins/create", e.Uncertain.Operation)
				var sought struct {
					BoardID string `json:"board_id"`
					Title   string `json:"title"`
					Link    string `json:"link"`
				}
				require.NoError(t, json.Unmarshal(e.Uncertain.Want, &sought))
				assert.Equal(t, boardID, sought.BoardID)
				assert.Equal(t, pinCreate().Title, sought.Title)
				assert.Equal(t, pinCreate().Link, sought.Link)
				assert.False(t, e.Uncertain.Since.After(sent), "Since is not after the first sending")
				assert.GreaterOrEqual(t, e.Uncertain.Since, sent.Add(-10*time.Second))
			})
		})
	}
}
