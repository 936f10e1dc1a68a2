package pinterest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// row says how to trigger a rule of the table and what has to follow.
type row struct {
	reply   reply                    // what the API answers every time
	tls     bool                     // the server speaks TLS
	prepare func(*testing.T, *bench) // runs with the server started, where an answer alone is not enough
	skip    string                   // the kind of call that cannot meet it

	class    error                 // the sentinel
	after    pinterest.Disposition // when given up
	attempts int                   // 0: one
	unsent   bool                  // no request reaches the server
	waits    []time.Duration       // between the attempts
	parked   time.Duration         // the least time until RetryAt, if parked
	unclear  bool                  // ambiguous for a create
	unproved bool                  // absence cannot be shown either
}

// The default waits between five attempts.
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
			// A token read from a file together with its newline.
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
			// A limit of the whole account that is used up for an hour.
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

	"app refused": {
		tokenRow(answer(401, `{"status":"failure","code":283,"data":"Invalid Application ID","message":"The authorization grant is invalid","endpoint_name":"oauth_connect"}`), review),
		tokenRow(fault(401, 3, "Your application consumer type is not supported"), review),
		tokenRow(answer(400, `{"code":283,"data":{"app_id":"not known"},"message":"The authorization grant is invalid"}`), review),
	},
	"app unknown": {
		tokenRow(answer(401, `{"error":"invalid_client","error_description":"Invalid client_id"}`), review),
		tokenRow(answer(400, `{"error":"invalid_client"}`), review),
		tokenRow(answer(400, `{"error":"unauthorized_client"}`), review),
		tokenRow(answer(400, `{"error":"unsupported_grant_type"}`), review),
	},
	"app secret refused": {tokenRow(refused, review)},
	"grant refused": {
		tokenRow(fault(401, 283, "The authorization grant is invalid"), reauthorize),
		tokenRow(fault(400, 283, "The authorization grant is invalid"), reauthorize),
	},
	"invalid grant": {
		tokenRow(answer(400, `{"error":"invalid_grant"}`), reauthorize),
		tokenRow(answer(401, `{"error":"invalid_grant","error_description":"The user has removed this application"}`), reauthorize),
	},
	"token call unexplained": {
		unexplained(html(400)), unexplained(html(401)), unexplained(answer(400, "")), unexplained(answer(401, "{}")),
	},
	"token call refused": {
		tokenRow(answer(400, `{"error":"invalid_request"}`), review),
		tokenRow(fault(400, 1, "Invalid request: 'refresh_token' is a required property"), review),
		tokenRow(fault(401, 7, "Not authorized to access board or Pin."), review),
		tokenRow(fault(401, 29, "You are not permitted to access that resource."), review),
	},

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
	"URL expired 400": {failing(fault(400, 0, "The provided token has expired."), pinterest.ErrNotFound, fix)},
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
	"unexplained 401": {gateway(html(401)), gateway(answer(401, "")), gateway(answer(401, "{}"))},
	"unauthenticated": {
		failing(fault(401, 2, "Authentication failed."), pinterest.ErrUnauthenticated, reauthorize),
		failing(answer(401, `{"message":"Token expired"}`), pinterest.ErrUnauthenticated, reauthorize),
	},

	"payment required": {failing(bare(402), pinterest.ErrPayment, fix)},
	"trial access":     {failing(fault(403, 29, trialMessage), pinterest.ErrTrialAccess, fix)},
	"URL expired":      {failing(fault(403, 0, "Request has expired"), pinterest.ErrNotFound, fix)},
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

// tokenRow is an answer of the token endpoint, to a token source of golang.org/x/oauth2.
func tokenRow(st reply, after pinterest.Disposition) row {
	return row{
		prepare: func(t *testing.T, b *bench) {
			b.onToken(st.always())
			b.bare, b.opts = true, append(b.opts, pinterest.WithTokenSource(oauthSource(t, b.server)))
		},
		class: pinterest.ErrUnauthenticated, after: after, unsent: true,
	}
}

func unexplained(st reply) row {
	r := tokenRow(st, park)
	r.class, r.attempts, r.waits, r.parked = pinterest.ErrUnavailable, 5, serverWaits, time.Second
	return r
}

func gateway(st reply) row {
	return row{reply: st, class: pinterest.ErrUnavailable, after: park, parked: time.Minute}
}

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
	bare   bool // the options contain the token
	seen   recorder
}

func newBench(t *testing.T, r row) (*bench, *testClient) {
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

// check asserts what holds for an error of this row, whatever the call.
func (r row) check(t *testing.T, name string, b *bench, err error) *pinterest.Error {
	t.Helper()
	e := failure(t, err)
	assert.Equal(t, name, e.Rule, "the rule that decided")
	assert.ErrorIs(t, err, r.class)
	assert.Equal(t, e.Disposition == park || e.Disposition == uncertain, !e.RetryAt.IsZero(), "RetryAt belongs to park and uncertain: %v", e.RetryAt)
	if e.Disposition == park {
		assert.False(t, e.RetryAt.Before(b.clock.Now()), "RetryAt lies in the past")
	}
	assert.Contains(t, e.Error(), e.Operation)
	assert.Contains(t, e.Error(), e.Disposition.String())
	return e
}
