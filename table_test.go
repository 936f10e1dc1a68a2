package pinterest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// row says how a rule of the table is brought about and what has to follow.
type row struct {
	reply   reply                    // what the API answers, again and again
	tls     bool                     // the server speaks TLS
	prepare func(*testing.T, *bench) // with the server started, where an answer alone does not do
	skip    string                   // the kind of call that cannot meet it

	class    error                 // the sentinel
	after    pinterest.Disposition // when given up
	attempts int                   // 0: one
	unsent   bool                  // no request reaches the server
	waits    []time.Duration       // between the attempts
	parked   time.Duration         // the least time until RetryAt, where it is parked
	unclear  bool                  // ambiguous for a create
	unproved bool                  // and absence cannot be shown
}

// The waits of five attempts, by the defaults.
var (
	throttleWaits = seconds(5, 10, 20, 40)
	serverWaits   = seconds(2, 4, 8, 16)
)

const (
	fix         = pinterest.DispositionFix
	reauthorize = pinterest.DispositionReauthorize
	park        = pinterest.DispositionPark
	review      = pinterest.DispositionReview
	uncertain   = pinterest.DispositionUncertain
)

// failing is a row that ends the call at once.
func failing(st reply, class error, after pinterest.Disposition) row {
	return row{reply: st, class: class, after: after}
}

// throttled is a row with the waits of a 429.
func throttled(st reply) row {
	return row{reply: st, class: pinterest.ErrThrottled, after: park, attempts: 5, waits: throttleWaits, parked: time.Minute}
}

// unavailable is a row with the waits of a 5xx, ambiguous for a create.
func unavailable(st reply, class error) row {
	return row{reply: st, class: class, after: park, attempts: 5, waits: serverWaits, unclear: true, parked: time.Second}
}

// rows has at least one entry for every rule of pinterest.DefaultRules.
var rows = map[string][]row{
	"canceled": {{
		prepare: func(_ *testing.T, b *bench) { b.scripts[toCall] = []reply{hang(b.cancel).always()} },
		class:   pinterest.ErrCanceled, after: park, unclear: true, unproved: true,
	}},
	"certificate": {{
		tls: true,
		prepare: func(t *testing.T, b *bench) {
			b.opts = append(b.opts, pinterest.WithHTTPClient(ownClient(t, nil)))
		},
		class: pinterest.ErrTransport, after: review, unsent: true,
	}},
	"bad request form": {{
		prepare: func(_ *testing.T, b *bench) {
			// A token read from a file, with the end of its line.
			b.bare, b.opts = true, append(b.opts, pinterest.WithTokenSource(&listSource{tokens: []string{accessToken + "\n"}}))
		},
		class: pinterest.ErrTransport, after: review, unsent: true,
	}},
	"no token": {{
		prepare: func(_ *testing.T, b *bench) {
			b.onToken(fault(401, 283, "The authorization grant is invalid").always())
			b.bare, b.opts = true, append(b.opts, pinterest.WithRefreshToken(refreshConfig()))
		},
		class: pinterest.ErrUnauthenticated, after: reauthorize, unsent: true,
	}},
	"paced": {{
		prepare: func(t *testing.T, b *bench) {
			// A limit of the whole account that the API has closed for an hour.
			pacer, err := pinterest.NewPacer(pinterest.AccessStandard.Limits(), b.clock)
			require.NoError(t, err)
			net := pinterest.RatePolicy{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second}
			rate := pinterest.RateLimit{Limit: 100, Reset: time.Hour, Policy: net, Policies: []pinterest.RatePolicy{net}}
			pacer.Penalize(t.Context(), pinterest.Permit{Category: pinterest.CategoryOrgRead}, rate, time.Hour)
			b.opts = append(b.opts, pinterest.WithLimiter(pacer))
		},
		class: pinterest.ErrThrottled, after: park, unsent: true, parked: time.Hour,
	}},
	"scope not granted": {{
		prepare: func(t *testing.T, b *bench) {
			store := pinterest.NewMemoryTokenStore()
			_, err := store.Save(t.Context(), "", &pinterest.Token{AccessToken: accessToken, Scopes: []pinterest.Scope{pinterest.ScopeAdsRead}})
			require.NoError(t, err)
			b.bare, b.opts = true, append(b.opts, pinterest.WithTokenStore(store))
		},
		class: pinterest.ErrMissingScope, after: fix, unsent: true,
	}},
	"oversize answer": {{
		reply:   answer(200, `{"id":"1","title":"0123456789012345678901234567890123456789012345678901234567890123456789"}`),
		prepare: func(_ *testing.T, b *bench) { b.opts = append(b.opts, pinterest.WithMaxResponse(64)) },
		class:   pinterest.ErrResponse, after: review, unclear: true,
	}},
	"garbled answer": {
		withSkip("delete", unavailable(answer(200, `{"id":"8137442264`), pinterest.ErrResponse)),
		withSkip("delete", unavailable(html(200), pinterest.ErrResponse)),
		withSkip("delete", unavailable(answer(200, `{"title":"no id"}`), pinterest.ErrResponse)),
		withSkip("delete", unavailable(answer(200, ``), pinterest.ErrResponse)),
	},
	"not sent": {{
		prepare: func(t *testing.T, b *bench) {
			b.opts = append(b.opts, pinterest.WithBaseURL("http://"+closedPort(t)+"/v5"))
		},
		class: pinterest.ErrTransport, after: park, attempts: 5, waits: serverWaits, unsent: true,
	}},
	"unanswered": {
		unavailable(reset(), pinterest.ErrTransport),
		unavailable(hangUp(), pinterest.ErrTransport),
		unavailable(halfBody(200, `{"id":"8137442264`), pinterest.ErrTransport),
	},
	"redirect": {
		failing(bare(302).with("Location", "https://elsewhere.example/v5/pins"), pinterest.ErrTransport, review),
		failing(bare(307).with("Location", "/v5/pins/2"), pinterest.ErrTransport, review),
		failing(answer(304, ""), pinterest.ErrTransport, review),
	},

	"refresh refused 400": {{
		prepare: func(t *testing.T, b *bench) {
			b.onToken(answer(400, `{"error":"invalid_grant"}`).always())
			b.bare, b.opts = true, append(b.opts, pinterest.WithTokenSource(oauthSource(t, b.server)))
		},
		class: pinterest.ErrUnauthenticated, after: reauthorize, unsent: true,
	}},
	"refresh refused 401": {{
		prepare: func(t *testing.T, b *bench) {
			b.onToken(fault(401, 283, "The authorization grant is invalid").always())
			b.bare, b.opts = true, append(b.opts, pinterest.WithTokenSource(oauthSource(t, b.server)))
		},
		class: pinterest.ErrUnauthenticated, after: reauthorize, unsent: true,
	}},

	"something went wrong": {
		unavailable(fault(400, 2787, "Sorry! Something went wrong on our end."), pinterest.ErrServer),
		unavailable(fault(400, 12, "something went wrong"), pinterest.ErrServer),
	},
	"name taken 400": {
		failing(fault(400, 58, "Try a different name. You already have a board with this name!"), pinterest.ErrConflict, fix),
	},
	"trial access 400": {failing(fault(400, 29, trialMessage), pinterest.ErrTrialAccess, fix)},
	"media unreachable": {
		mediaRow(fault(400, 1, "Sorry we could not fetch the image.")),
		mediaRow(fault(400, 1, "Unable to reach the URL")),
		mediaRow(answer(400, `{"message":"Unable to reach the URL"}`)),
	},
	"throttled 400": {{
		reply: fault(400, 1, "Too many requests. Retry after 7 seconds."), class: pinterest.ErrThrottled, after: park,
		attempts: 5, waits: seconds(7, 7, 7, 7), parked: 7 * time.Second,
	}},
	"invalid": {
		failing(fault(400, 1, "Invalid request: 'x' does not match '^\\d+$'"), pinterest.ErrInvalid, fix),
		failing(fault(400, 233, "The format of the image is not supported"), pinterest.ErrInvalid, fix),
		failing(html(400), pinterest.ErrInvalid, fix),
	},

	"app not allowed": {
		failing(fault(401, 3, "Your application consumer type is not supported"), pinterest.ErrForbidden, fix),
		failing(fault(401, 3, "Your app does not have access to this restricted feature"), pinterest.ErrForbidden, fix),
	},
	"missing scope": {
		failing(fault(401, 3, "Your token does not have sufficient permissions to perform this operation. Please ensure your token is authorized with the correct set of scopes."), pinterest.ErrMissingScope, fix),
	},
	"trial access 401": {failing(fault(401, 29, trialMessage), pinterest.ErrTrialAccess, fix)},
	"forbidden 401": {
		failing(fault(401, 7, "Not authorized to access board or Pin."), pinterest.ErrForbidden, fix),
		failing(fault(401, 29, "You are not permitted to access that resource."), pinterest.ErrForbidden, fix),
	},
	"unauthenticated": {
		failing(fault(401, 2, "Authentication failed."), pinterest.ErrUnauthenticated, reauthorize),
		failing(html(401), pinterest.ErrUnauthenticated, reauthorize),
	},

	"payment required": {failing(bare(402), pinterest.ErrPayment, fix)},
	"trial access":     {failing(fault(403, 29, trialMessage), pinterest.ErrTrialAccess, fix)},
	"forbidden": {
		failing(fault(403, 29, "You are not permitted to access that resource."), pinterest.ErrForbidden, review),
		failing(fault(403, 235, "Sorry, this image is broken. Please pick a different image."), pinterest.ErrForbidden, review),
	},
	"not found":          {failing(fault(404, 50, "Pin not found."), pinterest.ErrNotFound, fix)},
	"method not allowed": {failing(fault(405, 5, "Method not allowed"), pinterest.ErrInvalid, fix)},
	"request timeout":    {unavailable(bare(408), pinterest.ErrUnavailable)},
	"exclusive access": {{
		reply: fault(409, 409, "Could not get exclusive access to the board"), class: pinterest.ErrConflict, after: park,
		attempts: 5, waits: serverWaits, parked: time.Second,
	}},
	"conflict": {
		failing(fault(409, 58, "Try a different name. You already have a board with this name!"), pinterest.ErrConflict, fix),
		failing(fault(409, 4182, "Can't access this feature without an existing catalog"), pinterest.ErrConflict, fix),
	},
	"gone":                   {failing(bare(410), pinterest.ErrNotFound, fix)},
	"precondition failed":    {failing(bare(412), pinterest.ErrPrecondition, fix)},
	"too large":              {failing(bare(413), pinterest.ErrTooLarge, fix)},
	"unsupported media type": {failing(bare(415), pinterest.ErrInvalid, fix)},
	"unprocessable":          {failing(fault(422, 4170, "The feed name already exists."), pinterest.ErrInvalid, fix)},
	"too early":              {unavailable(bare(425), pinterest.ErrUnavailable)},

	"blocked link": {
		failing(fault(429, 9, "Sorry! We blocked this link because it may lead to spam."), pinterest.ErrBlockedLink, fix),
	},
	"blocked": {
		parkedFor(time.Hour, failing(fault(429, 9, "Sorry! You've hit a block (Pins) we have in place to combat spam."), pinterest.ErrBlocked, park)),
		parkedFor(time.Hour, failing(answer(429, `{"code":9,"message":"Sorry!","message_detail":"You've hit a block (Pins)"}`), pinterest.ErrBlocked, park)),
	},
	"throttled": {
		throttled(fault(429, 8, "You have exceeded your rate limit. Try again later.")),
		throttled(bare(429)),
		throttled(html(429)),
	},

	"other client error": {failing(bare(418), pinterest.ErrInvalid, fix), failing(bare(451), pinterest.ErrInvalid, fix)},

	"not implemented": {failing(fault(501, 4181, "Not implemented at the moment."), pinterest.ErrNotImplemented, fix)},
	"unavailable": {
		unavailable(html(502), pinterest.ErrUnavailable),
		unavailable(bare(503), pinterest.ErrUnavailable),
		unavailable(bare(504), pinterest.ErrUnavailable),
	},
	"server": {
		unavailable(fault(500, 12, "something went wrong"), pinterest.ErrServer),
		unavailable(bare(505), pinterest.ErrServer),
		unavailable(bare(599), pinterest.ErrServer),
	},

	"unknown": {{reply: bare(600), class: pinterest.ErrUnknown, after: review, unclear: true}},
}

const trialMessage = "Apps with Trial access may not create Pins in production https://api.pinterest.com - use API Sandbox https://api-sandbox.pinterest.com instead."

func withSkip(kind string, r row) row { r.skip = kind; return r }

func parkedFor(d time.Duration, r row) row { r.parked = d; return r }

func mediaRow(st reply) row {
	return row{
		reply: st, class: pinterest.ErrMediaUnreachable, after: park, attempts: 3, waits: seconds(5, 10),
		parked: 10 * time.Minute,
	}
}

// oauthSource is golang.org/x/oauth2's own source of tokens, refreshing at s.
func oauthSource(t *testing.T, s *server) oauth2.TokenSource {
	t.Helper()
	cfg := oauth2.Config{
		ClientID: "1478036", ClientSecret: "app-secret",
		Endpoint: oauth2.Endpoint{TokenURL: s.base() + "/oauth/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, ownClient(t, nil))
	return cfg.TokenSource(ctx, &oauth2.Token{RefreshToken: "pinr.old"})
}

// bench is a server, a client and a context for one row.
type bench struct {
	*server
	ctx    context.Context
	cancel context.CancelFunc
	opts   []pinterest.Option
	bare   bool // the options bring the token
	seen   recorder
}

func newBench(t *testing.T, r row) (*bench, *pinterest.Client) {
	t.Helper()
	b := &bench{server: newUnstarted(t, r.reply.always())}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	t.Cleanup(b.cancel)
	if r.tls {
		b.StartTLS()
	} else {
		b.Start()
	}
	if r.prepare != nil {
		r.prepare(t, b)
	}
	opts := append([]pinterest.Option{pinterest.WithObserver(b.seen.observe)}, b.opts...)
	if b.bare {
		return b, newBareClient(t, b.server, opts...)
	}
	return b, newClient(t, b.server, opts...)
}

func TestEveryRuleOfTheTableHasATest(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, rule := range pinterest.DefaultRules() {
		assert.Falsef(t, names[rule.Name], "two rules are called %q", rule.Name)
		names[rule.Name] = true
		assert.NotEmptyf(t, rows[rule.Name], "the rule %q (%s) has no entry in rows", rule.Name, rule)
	}
	for name := range rows {
		assert.Truef(t, names[name], "no rule is called %q", name)
	}
}

// eachRow runs f for every row.
func eachRow(t *testing.T, f func(t *testing.T, name string, r row)) {
	for name, list := range rows {
		for i, r := range list {
			if r.attempts == 0 {
				r.attempts = 1
			}
			t.Run(name+" "+itoa(i+1), func(t *testing.T) {
				t.Parallel()
				f(t, name, r)
			})
		}
	}
}

func (r row) requests() int {
	if r.unsent {
		return 0
	}
	return r.attempts
}

// check asserts what holds for an error of this row whatever the call was.
func (r row) check(t *testing.T, name string, b *bench, err error) *pinterest.Error {
	t.Helper()
	e := failure(t, err)
	assert.Equal(t, name, e.Rule, "the rule that decided")
	assert.ErrorIs(t, err, r.class)
	assert.Equal(t, e.Disposition == park, !e.RetryAt.IsZero(), "RetryAt belongs to park: %v", e.RetryAt)
	if e.Disposition == park {
		assert.False(t, e.RetryAt.Before(b.clock.Now()), "RetryAt lies in the past")
	}
	assert.Contains(t, e.Error(), e.Operation)
	assert.Contains(t, e.Error(), e.Disposition.String())
	return e
}

func TestRuleForReadAndIdempotentWrite(t *testing.T) {
	t.Parallel()
	kinds := []struct {
		name, method string
		call         func(context.Context, *pinterest.Client) error
	}{
		{"get", http.MethodGet, func(ctx context.Context, c *pinterest.Client) error {
			_, err := c.Pins.Get(ctx, pinID)
			return err
		}},
		{"update", http.MethodPatch, func(ctx context.Context, c *pinterest.Client) error {
			_, err := c.Pins.Update(ctx, pinID, pinUpdate())
			return err
		}},
		{"delete", http.MethodDelete, func(ctx context.Context, c *pinterest.Client) error {
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

func create(b *bench, c *pinterest.Client, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return c.Pins.Create(b.ctx, pinCreate(), opts...)
}

// A create that is shown absent is sent again, and not before reads over the
// settle time have shown it.
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

// assertProved checks that every POST that failed was followed by reads, the
// last of them not before the settle time was over, and that the next POST kept
// its wait.
func assertProved(t *testing.T, s *server, settle time.Duration, waits []time.Duration) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var posted, lastRead time.Time
	posts, reads := 0, 0
	proved := func() {
		if posts == 0 {
			return
		}
		assert.GreaterOrEqual(t, reads, 2, "reads after POST %d", posts)
		assert.GreaterOrEqual(t, lastRead.Sub(posted), settle, "time from POST %d to the last read", posts)
	}
	for _, req := range s.requests {
		switch {
		case req.kind == toLookup:
			reads++
			lastRead = req.at
		case req.method == http.MethodPost:
			proved()
			if posts > 0 && waits != nil {
				assert.GreaterOrEqual(t, req.at.Sub(posted), waits[posts-1], "the wait after POST %d", posts)
			}
			posts, reads, posted = posts+1, 0, req.at
		}
	}
	if reads > 0 { // the last one failed, too
		proved()
	}
}

// A create that took effect is found and adopted, with one POST.
func TestRuleForCreateThatTookEffect(t *testing.T) {
	t.Parallel()
	eachRow(t, func(t *testing.T, name string, r row) {
		b, c := newBench(t, r)
		b.onLookup(b.madePin().always())
		if name == "oversize answer" {
			b.scripts[toLookup] = nil // the look-up's answer would be too long, too
			return
		}
		var res pinterest.Response
		pin, err := create(b, c, pinterest.ResponseTo(&res))
		if !r.unclear {
			_ = r.check(t, name, b, err)
			assert.Zero(t, b.count(toLookup))
			assert.False(t, res.Adopted)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, newPinID, pin.ID)
		assert.Equal(t, pinCreate().Title, pin.Title)
		assert.True(t, res.Adopted)
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
				assert.True(t, e.RetryAt.IsZero(), "uncertain is not parked")
				require.NotNil(t, e.Uncertain, "what to look for")
				assert.Equal(t, "pins/create", e.Uncertain.Operation)
				assert.Equal(t, boardID, e.Uncertain.BoardID)
				assert.Equal(t, pinCreate().Title, e.Uncertain.Title)
				assert.Equal(t, pinCreate().Link, e.Uncertain.Link)
				assert.False(t, e.Uncertain.Since.After(sent), "Since is not after the first sending")
				assert.GreaterOrEqual(t, e.Uncertain.Since, sent.Add(-10*time.Second))
			})
		})
	}
}

func TestCreateWithoutAWayToLookEndsUncertain(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503).always())
	c := newClient(t, s)
	op := pinterest.Operation{ID: "campaigns/create", Method: http.MethodPost, Path: "/campaigns", Kind: pinterest.KindCreate}
	err := c.Do(t.Context(), op, pinterest.Request{Body: map[string]string{"name": "x"}}, nil)
	e := failure(t, err)
	assert.Equal(t, uncertain, e.Disposition)
	assert.ErrorIs(t, err, pinterest.ErrUncertain)
	assert.ErrorIs(t, err, pinterest.ErrUnavailable)
	assert.Equal(t, 1, s.count(toCall))
}

func TestResendUnseenSendsAgainWithoutLooking(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503), bare(503), okPin())
	c := newClient(t, s)
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.ResendUnseen())
	require.NoError(t, err)
	assert.Equal(t, []string{toCall, toCall, toCall}, s.kinds())
	assertSlept(t, s, seconds(2, 4))
}

func TestRulesOfTheCaller(t *testing.T) {
	t.Parallel()
	get := func(c *pinterest.Client) error { _, err := c.Pins.Get(context.Background(), pinID); return err }
	post := func(c *pinterest.Client) error {
		_, err := c.Pins.Create(context.Background(), pinCreate())
		return err
	}
	tests := []struct {
		name    string
		rules   []pinterest.Rule
		reply   reply
		call    func(*pinterest.Client) error
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

// No two sentinels are alike, and a class answers to its own alone.
func TestClassSentinelsAreDistinct(t *testing.T) {
	t.Parallel()
	all := []error{
		pinterest.ErrInvalid, pinterest.ErrUnauthenticated, pinterest.ErrMissingScope, pinterest.ErrForbidden, pinterest.ErrTrialAccess,
		pinterest.ErrNotFound, pinterest.ErrConflict, pinterest.ErrPayment, pinterest.ErrPrecondition, pinterest.ErrTooLarge,
		pinterest.ErrNotImplemented, pinterest.ErrMediaUnreachable, pinterest.ErrThrottled, pinterest.ErrBlocked, pinterest.ErrBlockedLink,
		pinterest.ErrServer, pinterest.ErrUnavailable, pinterest.ErrTransport, pinterest.ErrResponse, pinterest.ErrCanceled,
		pinterest.ErrLedger, pinterest.ErrTokenStore, pinterest.ErrUnknown,
	}
	for class := pinterest.ClassInvalid; class <= pinterest.ClassUnknown; class++ {
		var e error = &pinterest.Error{Class: class}
		matches := 0
		for _, sentinel := range all {
			if errors.Is(e, sentinel) {
				matches++
				assert.Contains(t, sentinel.Error(), class.String())
			}
		}
		assert.Equalf(t, 1, matches, "sentinels of the class %q", class)
		assert.NotErrorIs(t, e, pinterest.ErrUncertain)
	}
}
