package pinterest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestAttemptsAreListed(t *testing.T) {
	t.Parallel()
	// The reset comes first, on a new connection, because http.Transport retries a
	// read by itself when a reused connection breaks.
	steps := []reply{reset(), fault(429, 8, "slow").with("Retry-After", "3"), bare(503)}
	check := func(t *testing.T, list []pinterest.Attempt, began time.Time) {
		t.Helper()
		require.GreaterOrEqual(t, len(list), 3)
		assert.Equal(t, pinterest.Attempt{
			Number: 1, Start: began, Phase: pinterest.PhaseUnanswered, Class: pinterest.ClassTransport,
			Action: pinterest.ActionBackOff, Rule: "unanswered", Wait: 2 * time.Second,
		}, list[0])
		assert.Equal(t, pinterest.Attempt{
			Number: 2, Start: began.Add(2 * time.Second), Phase: pinterest.PhaseAnswered, Status: 429, Code: 8, Class: pinterest.ClassThrottled,
			Action: pinterest.ActionBackOff, Rule: "throttled", Wait: 3 * time.Second, RequestID: requestID,
		}, list[1])
		assert.Equal(t, 3, list[2].Number)
		assert.Equal(t, pinterest.ClassUnavailable, list[2].Class)
	}
	t.Run("in an error", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, append(steps, bare(404))...)
		began := s.clock.Now()
		var res pinterest.Response
		e := failure(t, get(t.Context(), newClient(t, s), pinterest.ResponseTo(&res)))
		check(t, e.Attempts, began)
		require.Len(t, e.Attempts, 4)
		assert.Zero(t, e.Attempts[3].Wait)
		assert.Equal(t, "not found", e.Attempts[3].Rule)
		assert.Equal(t, e.Attempts, res.Attempts)
		assert.Equal(t, 404, res.Status)
		assert.Contains(t, e.Error(), "4 attempts")
	})
	t.Run("in a response", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, append(steps, okPin().with("X-Ratelimit-Limit", structuredLimit, "X-Ratelimit-Remaining", "99", "X-Ratelimit-Reset", "1"))...)
		began := s.clock.Now()
		var res pinterest.Response
		require.NoError(t, get(t.Context(), newClient(t, s), pinterest.ResponseTo(&res)))
		check(t, res.Attempts, began)
		require.Len(t, res.Attempts, 4)
		last := res.Attempts[3]
		assert.Equal(t, pinterest.ClassNone, last.Class)
		assert.Equal(t, pinterest.PhaseAnswered, last.Phase)
		assert.Equal(t, 200, res.Status)
		assert.Equal(t, requestID, res.RequestID)
		assert.NotEqual(t, pinterest.OriginLookup, res.Origin)
		assert.NoError(t, res.DecodeError)
		assert.Equal(t, pinterest.RateLimit{
			Limit: 100, Remaining: 99, Reset: time.Second,
			Policy:   pinterest.RatePolicy{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second},
			Policies: []pinterest.RatePolicy{{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second}, {Name: "org_read_app_id_user_id", Limit: 1000, Window: time.Minute}},
		}, res.Rate)
	})
}

func TestEventsComeInOrder(t *testing.T) {
	t.Parallel()
	t.Run("of a call with retries", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(429).with("Retry-After", "3"), okPin())
		var seen recorder
		require.NoError(t, get(t.Context(), newClient(t, s, pinterest.WithObserver(seen.observe))))
		assert.Equal(t, []string{"pins/get attempt", "pins/get attempt", "pins/get done"}, seen.words())
		events := seen.all()
		assert.Equal(t, 3*time.Second, events[0].Wait)
		assert.Equal(t, 2, events[2].Attempts)
		assert.NoError(t, events[2].Err)
		assert.Equal(t, 200, events[2].Attempt.Status)
	})
	t.Run("of a failed call", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(404))
		var seen recorder
		err := get(t.Context(), newClient(t, s, pinterest.WithObserver(seen.observe)))
		events := seen.all()
		require.Len(t, events, 2)
		assert.Equal(t, err, events[1].Err)
	})
	t.Run("of an ambiguous create", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(503), okPin())
		var seen recorder
		_, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Create(t.Context(), pinCreate())
		require.NoError(t, err)
		words := seen.words()
		assert.Equal(t, "pins/create attempt", words[0], "an attempt is told of as it ends, before what follows it: %q", words)
		var own []string
		for _, w := range words {
			if strings.HasPrefix(w, "pins/create") {
				own = append(own, w)
			}
		}
		assert.Equal(t, "pins/create lookup", own[1], "%q", own)
		assert.Equal(t, []string{"pins/create attempt", "pins/create done"}, own[len(own)-2:])
	})
	t.Run("of an adopted create", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(503))
		s.onLookup(s.madePin())
		var seen recorder
		var res pinterest.Response
		_, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Create(t.Context(), pinCreate(), pinterest.ResponseTo(&res))
		require.NoError(t, err)
		require.Len(t, res.Attempts, 1)
		assert.Zero(t, res.Attempts[0].Wait, "the pin was adopted at once: nothing was slept")
		events := seen.all()
		last := events[len(events)-1]
		assert.Equal(t, pinterest.EventDone, last.Type)
		assert.Equal(t, pinterest.OriginLookup, last.Origin)
		assert.Zero(t, last.Attempt.Wait)
		assert.NoError(t, last.Err)
		for _, e := range events {
			if e.Type == pinterest.EventAttempt && e.Operation == "pins/create" {
				assert.Equal(t, pinterest.ClassUnavailable, e.Attempt.Class, "the attempt itself failed")
				assert.Positive(t, e.Wait, "the wait was planned")
				assert.NoError(t, e.Err, "an HTTP status is told by Attempt.Class")
			}
		}
	})
	t.Run("of a refresh", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, fault(401, 2, "Authentication failed."), okPin()).onToken(answer(200, `{"access_token":"pina_new","refresh_token":"pinr.new","expires_in":2592000}`))
		cfg := refreshConfig()
		cfg.AccessToken = accessToken
		var seen recorder
		require.NoError(t, get(t.Context(), newBareClient(t, s, pinterest.WithRefreshToken(cfg), pinterest.WithObserver(seen.observe))))
		assert.Equal(t, []string{
			"pins/get attempt", "oauth/token attempt", "oauth/token done", "oauth/token refresh", "pins/get attempt", "pins/get done",
		}, seen.words())
	})
}

func TestLogContainsNoToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, reset(), fault(429, 8, "token "+accessToken), fault(503, 0, "Bearer "+accessToken), bare(404))
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	require.Error(t, get(t.Context(), newClient(t, s, pinterest.WithLogger(logger))))
	text := out.String()
	assert.NotContains(t, text, accessToken)
	assert.Contains(t, text, "pins/get")
	assert.Contains(t, text, requestID)
	assert.Equal(t, 3, strings.Count(text, `"level":"INFO"`), "waits are at Info:\n%s", text)
	assert.Equal(t, 1, strings.Count(text, `"level":"WARN"`), "the failure is at Warn:\n%s", text)
}

type traceKey struct{}

// traced is a context that the caller can be known by.
func traced(t *testing.T) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), traceKey{}, t.Name())
}

// assertTraced requires events of these types, and the caller's context in all.
func assertTraced(t *testing.T, events []pinterest.Event, types ...pinterest.EventType) {
	t.Helper()
	seen := map[pinterest.EventType]bool{}
	for _, e := range events {
		seen[e.Type] = true
		require.NotNil(t, e.Context, "%v", e.Type)
		assert.Equal(t, t.Name(), e.Context.Value(traceKey{}), "%s %v", e.Operation, e.Type)
	}
	for _, want := range types {
		assert.True(t, seen[want], "no event %v", want)
	}
}

// logRecords is a slog.Handler that keeps what it is given.
type logRecords struct {
	mu   sync.Mutex
	list []logRecord
}

type logRecord struct {
	ctx   context.Context
	attrs map[string]slog.Value
}

func (l *logRecords) Enabled(context.Context, slog.Level) bool { return true }
func (l *logRecords) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logRecords) WithGroup(string) slog.Handler            { return l }

func (l *logRecords) Handle(ctx context.Context, r slog.Record) error {
	rec := logRecord{ctx: ctx, attrs: map[string]slog.Value{}}
	r.Attrs(func(a slog.Attr) bool { rec.attrs[a.Key] = a.Value; return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, rec)
	return nil
}

func TestEventsAndLogsCarryTheCallersContext(t *testing.T) {
	t.Parallel()
	paced := &fakeLimiter{wait: func(_ context.Context, p pinterest.Permit) error {
		p.Waiting(pinterest.PaceWait{Limit: "org_write"})
		return nil
	}}
	t.Run("of a create that is looked up", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(503))
		s.onLookup(s.madePin())
		var seen recorder
		var log logRecords
		c := newClient(t, s, pinterest.WithLimiter(paced), pinterest.WithObserver(seen.observe), pinterest.WithLogger(slog.New(&log)))
		_, err := c.Pins.Create(traced(t), pinCreate())
		require.NoError(t, err)
		assertTraced(t, seen.all(), pinterest.EventPace, pinterest.EventAttempt, pinterest.EventLookup, pinterest.EventDone)
		require.Len(t, log.list, len(seen.all()))
		for _, rec := range log.list {
			assert.Equal(t, t.Name(), rec.ctx.Value(traceKey{}))
		}
	})
	t.Run("of a create whose context has ended", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(traced(t))
		s := newServer(t, hang(cancel))
		s.onLookup(s.madePin())
		var seen recorder
		_, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Create(ctx, pinCreate())
		require.NoError(t, err)
		assertTraced(t, seen.all(), pinterest.EventAttempt, pinterest.EventLookup, pinterest.EventDone)
	})
	t.Run("of a refresh", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, fault(401, 2, ""), okPin()).onToken(answer(200, `{"access_token":"pina_new","refresh_token":"pinr.new","expires_in":2592000}`))
		cfg := refreshConfig()
		cfg.AccessToken = accessToken
		var seen recorder
		require.NoError(t, get(traced(t), newBareClient(t, s, pinterest.WithRefreshToken(cfg), pinterest.WithObserver(seen.observe))))
		assertTraced(t, seen.all(), pinterest.EventAttempt, pinterest.EventRefresh, pinterest.EventDone)
	})
	t.Run("of a token source", func(t *testing.T) {
		t.Parallel()
		var seen recorder
		c := newBareClient(t, newServer(t), pinterest.WithTokenSource(failingSource{errors.New("no coffee")}), pinterest.WithObserver(seen.observe))
		require.Error(t, get(traced(t), c))
		assertTraced(t, seen.all(), pinterest.EventAttempt, pinterest.EventRefresh, pinterest.EventDone)
	})
	t.Run("of what was not sent", func(t *testing.T) {
		t.Parallel()
		var seen recorder
		_, err := newClient(t, newServer(t), pinterest.WithObserver(seen.observe)).Pins.Create(traced(t), pinterest.PinCreate{})
		require.Error(t, err)
		assertTraced(t, seen.all(), pinterest.EventDone)
	})
	t.Run("without one", func(t *testing.T) {
		t.Parallel()
		var seen recorder
		var log logRecords
		c := newClient(t, newServer(t), pinterest.WithObserver(seen.observe), pinterest.WithLogger(slog.New(&log)))
		require.Error(t, get(nil, c)) //nolint:staticcheck // a nil context is what is tested
		require.Len(t, seen.all(), 1)
		assert.NotNil(t, seen.all()[0].Context)
		require.Len(t, log.list, 1)
		assert.NotNil(t, log.list[0].ctx)
	})
}

func TestTokenEventsCarryTheCallersContext(t *testing.T) {
	t.Parallel()
	t.Run("of a connection", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, answer(200, `{"id":"1","username":"alice"}`)).onToken(answer(200, `{"access_token":"`+accessToken+`","refresh_token":"pinr.new","expires_in":2592000}`))
		var seen recorder
		app := storedApp(t, s, pinterest.NewMemoryTokenStore(), pinterest.WithObserver(seen.observe), pinterest.WithOAuth(pinterest.OAuth{
			ClientID: appID, ClientSecret: appSecret, RedirectURL: "http://localhost/back", Scopes: []pinterest.Scope{pinterest.ScopePinsRead},
		}))
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		page, err := url.Parse(login.URL)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/back?code=abcd&state="+page.Query().Get("state"), nil)
		r.AddCookie(login.Cookie)
		_, err = app.OAuth.Callback(traced(t), r, "shop-1")
		require.NoError(t, err)
		assertTraced(t, seen.all(), pinterest.EventDone, pinterest.EventConnected)
	})
	t.Run("of a refresh", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, fault(401, 2, ""), okPin()).onToken(answer(200,
			`{"access_token":"pina_new_token","refresh_token":"pinr.new","expires_in":2592000,"refresh_token_expires_in":86400,"scope":"boards:read,pins:read"}`))
		tok := oldToken()
		tok.Scopes = []pinterest.Scope{pinterest.ScopePinsRead, pinterest.ScopeBoardsRead, pinterest.ScopeAdsRead}
		var seen recorder
		require.NoError(t, get(traced(t), shop(storedApp(t, s, newTokenStore(t, tok), pinterest.WithObserver(seen.observe)))))
		assertTraced(t, seen.all(), pinterest.EventRefresh, pinterest.EventExpiring, pinterest.EventScopesLost)
	})
	t.Run("of a disconnection", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, fault(401, 2, "")).onToken(fault(400, 283, "gone"))
		var seen recorder
		require.Error(t, get(traced(t), shop(storedApp(t, s, newTokenStore(t, oldToken()), pinterest.WithObserver(seen.observe)))))
		assertTraced(t, seen.all(), pinterest.EventRefresh, pinterest.EventDisconnected)
	})
	t.Run("of a job", func(t *testing.T) {
		t.Parallel()
		s := newServer(t).onToken(answer(200, `{"access_token":"pina_new_token","refresh_token":"pinr.new","expires_in":2592000}`))
		tok := oldToken()
		tok.Expiry = s.clock.Now().Add(time.Hour)
		var seen recorder
		_, err := storedApp(t, s, newTokenStore(t, tok), pinterest.WithObserver(seen.observe)).RefreshDue(traced(t))
		require.NoError(t, err)
		assertTraced(t, seen.all(), pinterest.EventRefresh)
	})
}
