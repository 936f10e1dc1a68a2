package pinterest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest"
)

func TestRulesOfTheCaller(t *testing.T) {
	t.Parallel()
	get := func(c *testClient) error { _, err := c.Pins.Get(context.Background(), pinID); return err }
	post := func(c *testClient) error {
		_, err := c.Pins.Create(context.Background(), pinCreate())
		return err
	}
	tests := []struct {
		name    string
		rules   []pinterest.Rule
		reply   reply
		call    func(*testClient) error
		rule    string
		class   error
		after   pinterest.Disposition
		calls   int
		looked  bool
		waits   []time.Duration
		success bool
	}{
		{
			name: "a row in front decides",
			rules: []pinterest.Rule{{
				Name: "teapot", Status: 418, Action: pinterest.ActionBackOff, Class: pinterest.ClassUnavailable,
				Disposition: park, MaxAttempts: 3,
			}},
			reply: bare(418), call: get, rule: "teapot", class: pinterest.ErrUnavailable, after: park, calls: 3, waits: seconds(2, 4),
		},
		{
			name: "the first that matches decides",
			rules: []pinterest.Rule{
				{Name: "one", Status: 404, Class: pinterest.ClassConflict, Disposition: review},
				{Name: "two", Status: 404, Class: pinterest.ClassInvalid, Disposition: fix},
			},
			reply: bare(404), call: get, rule: "one", class: pinterest.ErrConflict, after: review, calls: 1,
		},
		{
			name:  "one that does not match leaves the defaults",
			rules: []pinterest.Rule{{Name: "one", Status: 404, Op: "boards/get", Class: pinterest.ClassConflict}},
			reply: bare(404), call: get, rule: "not found", class: pinterest.ErrNotFound, after: fix, calls: 1,
		},
		{
			name:  "class, disposition and name are inherited",
			rules: []pinterest.Rule{{Status: 404, Action: pinterest.ActionBackOff, MaxAttempts: 2}},
			reply: fault(404, 50, "Pin not found."), call: get, rule: "404", class: pinterest.ErrNotFound, after: fix, calls: 2, waits: seconds(2),
		},
		{
			name:  "the action is inherited",
			rules: []pinterest.Rule{{Name: "fewer", Status: 503, MaxAttempts: 2}},
			reply: bare(503), call: get, rule: "fewer", class: pinterest.ErrUnavailable, after: park, calls: 2, waits: seconds(2),
		},
		{
			name:  "a kind is a condition",
			rules: []pinterest.Rule{{Name: "reads", Kinds: []pinterest.Kind{pinterest.KindRead}, Status: 503, Action: pinterest.ActionFail, Disposition: review}},
			reply: bare(503), call: get, rule: "reads", class: pinterest.ErrUnavailable, after: review, calls: 1,
		},
		{
			name:  "a code is a condition, and 0 stands for none",
			rules: []pinterest.Rule{{Name: "no code", Status: 404, Codes: []int{0}, Disposition: review}},
			reply: bare(404), call: get, rule: "no code", class: pinterest.ErrNotFound, after: review, calls: 1,
		},
		{
			name:  "the waits of a throttled class are those of a 429",
			rules: []pinterest.Rule{{Name: "busy", Status: 503, Action: pinterest.ActionBackOff, Class: pinterest.ClassThrottled}},
			reply: bare(503), call: get, rule: "busy", class: pinterest.ErrThrottled, after: park, calls: 5, waits: throttleWaits,
		},
		{
			name:  "more attempts than the policy allows are not made",
			rules: []pinterest.Rule{{Name: "many", Status: 404, Action: pinterest.ActionBackOff, MaxAttempts: 50}},
			reply: bare(404), call: get, rule: "many", class: pinterest.ErrNotFound, after: fix, calls: 5, waits: serverWaits,
		},
		{
			name:  "a row that forgets the flag keeps a create ambiguous",
			rules: []pinterest.Rule{{Name: "mine", Status: 503, Action: pinterest.ActionFail, Disposition: review}},
			reply: bare(503), call: post, rule: "mine", class: pinterest.ErrUnavailable, after: review, calls: 1, looked: true,
		},
		{
			name:  "definite takes it away",
			rules: []pinterest.Rule{{Name: "mine", Status: 503, Action: pinterest.ActionFail, Definite: true}},
			reply: bare(503), call: post, rule: "mine", class: pinterest.ErrUnavailable, after: park, calls: 1,
		},
		{
			name:  "a definite row that backs off sends a create again without looking",
			rules: []pinterest.Rule{{Name: "mine", Status: 503, Action: pinterest.ActionBackOff, Definite: true}},
			reply: bare(503), call: post, rule: "mine", class: pinterest.ErrUnavailable, after: park, calls: 5, waits: serverWaits,
		},
		{
			name:  "a row can hold ambiguous what the defaults do not",
			rules: []pinterest.Rule{{Name: "mine", Status: 404, Ambiguous: true}},
			reply: bare(404), call: post, rule: "mine", class: pinterest.ErrNotFound, after: fix, calls: 1, looked: true,
		},
		{
			name:  "what was not sent is not ambiguous whatever a row says",
			rules: []pinterest.Rule{{Name: "mine", Phases: []pinterest.Phase{pinterest.PhaseAnswered}, Status: 429, Action: pinterest.ActionFail}},
			reply: bare(429), call: post, rule: "mine", class: pinterest.ErrThrottled, after: park, calls: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply.always())
			c := newClient(t, s, pinterest.WithRules(tt.rules...))
			err := tt.call(c)
			e := failure(t, err)
			assert.Equal(t, tt.rule, e.Rule)
			assert.ErrorIs(t, err, tt.class)
			assert.Equal(t, tt.after, e.Disposition)
			assert.Equal(t, tt.calls, s.count(toCall))
			assert.Equal(t, tt.looked, s.count(toLookup) > 0, "looked up")
			if tt.looked {
				assertProved(t, s, 5*time.Second, nil)
				return
			}
			assertSlept(t, s, tt.waits)
		})
	}
}

func TestDefaultRulesAreACopy(t *testing.T) {
	t.Parallel()
	rules := pinterest.DefaultRules()
	for i := range rules {
		rules[i] = pinterest.Rule{}
	}
	for _, r := range pinterest.DefaultRules() {
		assert.NotEmpty(t, r.Name)
		assert.NotEmpty(t, r.When())
		assert.Contains(t, r.String(), r.Action.String())
		assert.NotEqual(t, pinterest.ClassNone, r.Class)
		assert.NotEqual(t, pinterest.DispositionNone, r.Disposition)
	}
}
