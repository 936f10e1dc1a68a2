package pinterest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// The credentials of these tests have no shape by which they could be told:
// they have to be known. Those of a signed URL are known by their parameters.
const (
	secretAccess  = "AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ"
	secretRefresh = "RfR5u8wZ1xKj6TqEyVoP3sMb9DnF"
	secretNext    = "NxN2g7hC4lXa8SbGzUiO5rKw1EtQ"
	secretApp     = "SeC9m4vD6pYc1QfHxTnL7jZk3WsA"
	signature     = "5f1d3c0b9a8e7d6c5b4a39281706f5e4d3c2b1a0"
	credential    = "AKIAIOSFODNN7EXAMPLE"
	securityToken = "FwoGZXIvYXdzEBYaDEXAMPLESECURITY"
)

var allSecrets = []string{
	secretAccess, secretRefresh, secretNext, secretApp, signature, credential, securityToken,
	base64.StdEncoding.EncodeToString([]byte(appID + ":" + secretApp)),
}

const signedURL = "https://pinterest-media-upload.s3.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + credential +
	"%2F20260709%2Fus-east-1&X-Amz-Date=20260709T093355Z&X-Amz-Security-Token=" + securityToken + "&X-Amz-Signature=" + signature

// assertClean fails when a secret, or the better part of one, stands in text.
func assertClean(t *testing.T, where, text string) {
	t.Helper()
	for _, secret := range allSecrets {
		if i := strings.Index(text, secret[:len(secret)*3/4]); i >= 0 {
			t.Errorf("%s: ...%s...", where, text[max(0, i-100):min(len(text), i+len(secret)+20)])
			return
		}
	}
}

// assertErrorClean prints err in every way there is.
func assertErrorClean(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for i, e := range chain(err) {
		at := fmt.Sprintf("error %d of the chain (%T), ", i, e)
		assertClean(t, at+"Error()", e.Error())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			assertClean(t, at+verb, fmt.Sprintf(verb, e))
		}
		data, jsonErr := json.Marshal(e)
		assert.NoError(t, jsonErr, "%sjson", at)
		assertClean(t, at+"json", string(data))

		var own *pinterest.Error
		if !errors.As(e, &own) || error(own) != e { //nolint:errorlint // is it this very one?
			continue
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			assertClean(t, at+"dereferenced, "+verb, fmt.Sprintf(verb, *own))
		}
		assertClean(t, at+"Message", own.Message)
		assertClean(t, at+"Body", string(own.Body))
		assertClean(t, at+"Details", string(own.Details))
		assertClean(t, at+"RequestID", own.RequestID)
		assertClean(t, at+"Fields", fmt.Sprintf("%+v", own.Fields))
		assertClean(t, at+"Attempts", fmt.Sprintf("%+v", own.Attempts))
		assertClean(t, at+"LogValue", own.LogValue().String())
	}
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Error("failed", "err", err, slog.Any("again", []error{err}))
		assertClean(t, "slog "+name, out.String())
	}
}

// echoBody says everything that a server is sent, as right JSON.
func echoBody() string {
	all := secretAccess + " " + secretRefresh + " " + secretApp + " " + signedURL
	body, err := json.Marshal(map[string]any{
		"code": 1, "message": "refused: " + all, "message_detail": all,
		"details":        map[string]any{"access_token": secretAccess, "x-amz-signature": signature, "list": []string{signedURL, secretApp}, "field": secretRefresh},
		"errors":         []any{map[string]any{"field": secretAccess, "value": signedURL, "message": all}, "and " + all},
		"required_scope": secretApp, "request_id": secretAccess,
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// echoHeaders is what a server can put a credential into.
func echoHeaders(st reply) reply {
	return st.with("X-Pinterest-Rid", secretAccess, "Content-Type", "text/"+secretAccess, "X-Ratelimit-Limit", `100, 100;w=60;name="`+secretAccess+`"`,
		"Location", "https://"+secretAccess+".example/?X-Amz-Signature="+signature, "Retry-After", secretAccess, "Server", secretApp)
}

// secretive is a client with all credentials, whose log and events are read.
type secretive struct {
	*server
	client *testClient
	seen   recorder
	log    bytes.Buffer
}

func newSecretive(t *testing.T, change func(*pinterest.RefreshConfig), opts []pinterest.Option, steps ...reply) *secretive {
	t.Helper()
	x := &secretive{server: newServer(t, steps...)}
	cfg := pinterest.RefreshConfig{
		ClientID: appID, ClientSecret: secretApp, RefreshToken: secretRefresh, AccessToken: secretAccess,
		Store: func(context.Context, *oauth2.Token) error { return nil },
	}
	if change != nil {
		change(&cfg)
	}
	logger := slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	x.client = newBareClient(t, x.server, append([]pinterest.Option{
		pinterest.WithRefreshToken(cfg), pinterest.WithObserver(x.seen.observe), pinterest.WithLogger(logger),
		pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2, Jitter: -1}),
	}, opts...)...)
	return x
}

// assertClean reads what the client has said beside its errors.
func (x *secretive) assertClean(t *testing.T) {
	t.Helper()
	assertClean(t, "the log", x.log.String())
	for _, e := range x.seen.all() {
		assertClean(t, "an event", fmt.Sprintf("%v %+v %#v", e, e, e))
	}
	assertClean(t, "the client", fmt.Sprintf("%v / %+v / %#v / %s", x.client.Client, x.client.Client, x.client.Client, x.client.Client))
	assertClean(t, "its services", fmt.Sprintf("%+v / %#v", x.client.Pins, x.client.Boards))
}

// regranted refreshes the credentials.
func regranted() reply {
	return answer(200, `{"access_token":"`+secretNext+`","refresh_token":"`+secretRefresh+`","expires_in":2592000}`)
}

func TestNoCredentialLeaves(t *testing.T) {
	t.Parallel()
	echo := echoBody()
	tests := []struct {
		name   string
		steps  []reply
		token  []reply
		lookup []reply
		create bool
		opts   []pinterest.Option
		change func(*pinterest.RefreshConfig)
	}{
		{name: "400", steps: []reply{answer(400, echo)}},
		{name: "404 with headers", steps: []reply{echoHeaders(answer(404, echo))}},
		{name: "404 without a body", steps: []reply{echoHeaders(answer(404, ""))}},
		{name: "401", steps: []reply{echoHeaders(answer(401, echo))}, token: []reply{answer(401, echo)}},
		{name: "429", steps: repeated(2, answer(429, echo))},
		{name: "500", steps: repeated(2, echoHeaders(answer(500, echo)))},
		{name: "HTML", steps: repeated(2, answer(502, "<html>"+echo+"</html>").with("Content-Type", "text/html"))},
		{name: "a cut-off error body", steps: []reply{halfBody(404, echo[:len(echo)-30])}},
		{name: "a redirect", steps: []reply{echoHeaders(answer(302, echo))}},
		{name: "a redirect without a body", steps: []reply{echoHeaders(answer(302, ""))}},
		{name: "a redirect with user and password", steps: []reply{answer(302, "").with("Location", "https://"+secretApp+":"+secretAccess+"@other.example/"+secretAccess+"?"+secretAccess)}},
		{name: "a redirect to another scheme", steps: []reply{answer(302, "").with("Location", secretAccess+"://x/")}},
		{name: "a success that is not JSON", steps: repeated(2, echoHeaders(answer(200, "<"+echo)))},
		{name: "a success that is too long", steps: []reply{echoHeaders(answer(200, echo))}, opts: []pinterest.Option{pinterest.WithMaxResponse(100)}},
		{name: "a create that ends uncertain", create: true, steps: []reply{answer(500, echo)}, lookup: []reply{echoHeaders(answer(403, echo))}},
		{name: "a create that is absent", create: true, steps: repeated(2, answer(500, echo))},
		{name: "a refused refresh", steps: []reply{refused}, token: []reply{echoHeaders(answer(401, echo))}},
		{name: "a failing refresh", steps: []reply{refused}, token: repeated(5, echoHeaders(answer(500, echo)))},
		{name: "a refresh whose answer is no token", steps: []reply{refused}, token: repeated(5, answer(200, `{"echo":`+echo+`}`))},
		{name: "a refresh that echoes its request", steps: []reply{refused}, token: []reply{echoRequest()}},
		{name: "a call that echoes its request", steps: []reply{echoRequest()}},
		{name: "a refreshed token", steps: []reply{refused, answer(404, strings.ReplaceAll(echo, secretAccess, secretNext))}, token: []reply{regranted()}},
		{name: "the token before it", steps: []reply{refused, answer(404, echo)}, token: []reply{regranted()}},
		{name: "a store that tells", steps: []reply{refused}, token: []reply{regranted()}, change: func(cfg *pinterest.RefreshConfig) {
			cfg.Store = func(_ context.Context, tok *oauth2.Token) error {
				return fmt.Errorf("insert into tokens values (%q, %q): the disk is full", tok.AccessToken, tok.RefreshToken)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newSecretive(t, tt.change, tt.opts, tt.steps...)
			x.onToken(tt.token...)
			if tt.lookup != nil {
				x.onLookup(tt.lookup...)
			}
			var err error
			if tt.create {
				_, err = x.client.Pins.Create(t.Context(), pinCreate())
			} else {
				err = get(t.Context(), x.client)
			}
			assertErrorClean(t, err)
			x.assertClean(t)
		})
	}
}

// echoRequest answers with what it was sent, the Authorization header included.
func echoRequest() reply {
	return reply{act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(400)
		_ = json.NewEncoder(w).Encode(map[string]any{"message": "you sent " + fmt.Sprint(r.Header) + string(body), "details": map[string]any{"header": r.Header}})
	}}
}

// A success with strange headers is told of as well.
func TestEventsOfASuccessAreClean(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil, echoHeaders(okPin()))
	require.NoError(t, get(t.Context(), x.client))
	x.assertClean(t)
}

// textError prints as it is wherever it stands, even in a field that is not
// exported, where fmt does not call Error.
type textError string

func (e textError) Error() string { return string(e) }

// structError is the same as a struct.
type structError struct{ Text, URL string }

func (e structError) Error() string { return e.Text + " " + e.URL }

type failingTransport struct{ err error }

func (f failingTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestErrorsOfATransportAreClean(t *testing.T) {
	t.Parallel()
	text := "proxy refused Bearer " + secretAccess + " for " + signedURL + " with " + secretApp
	cause := errors.New("cause")
	for name, err := range map[string]error{
		"plain":    errors.New(text),
		"text":     textError(text),
		"struct":   structError{text, signedURL},
		"pointer":  &structError{text, signedURL},
		"wrapped":  fmt.Errorf("%s: %w", text, cause),
		"inner":    fmt.Errorf("the proxy: %w", textError(text)),
		"joined":   errors.Join(cause, textError(text)),
		"of a URL": &url.Error{Op: "Get", URL: signedURL, Err: textError(text)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newSecretive(t, nil, []pinterest.Option{pinterest.WithHTTPClient(&http.Client{Transport: failingTransport{err}})})
			got := get(t.Context(), x.client)
			assertErrorClean(t, got)
			x.assertClean(t)
			assert.Contains(t, got.Error(), "refused", "what is not secret is told")
			if errors.Is(err, cause) {
				assert.ErrorIs(t, got, cause, "the cause is still found")
			}
		})
	}
}

func TestErrorsOfATokenSourceAreClean(t *testing.T) {
	t.Parallel()
	const shaped = "pinr.eyJhbGciOiJIUzI1NiJ9.EXAMPLE-SHAPED-TOKEN"
	src := failingSource{fmt.Errorf("token call failed: refresh_token=%s client_secret=%s&x", shaped, secretApp)}
	s := newServer(t)
	err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(src)))
	assertErrorClean(t, err)
	for _, e := range chain(err) {
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), shaped)
	}
}

// answerError is like the errors of some SDKs: they hold the answer.
type answerError struct{ Answer *sdkAnswer }

type sdkAnswer struct {
	*http.Response
	Token string
}

func (*answerError) Error() string { return "refused" }

// What an error refers to is not handed out with it.
func TestErrorsOfATransportHoldNothing(t *testing.T) {
	t.Parallel()
	own := &answerError{&sdkAnswer{Response: &http.Response{Request: &http.Request{Header: http.Header{"Authorization": {"Bearer " + secretAccess}}}}, Token: secretAccess}}
	x := newSecretive(t, nil, []pinterest.Option{pinterest.WithHTTPClient(&http.Client{Transport: failingTransport{fmt.Errorf("dialing: %w", own)}})})
	got := get(t.Context(), x.client)
	require.ErrorIs(t, got, own)
	require.ErrorContains(t, got, "dialing: refused")
	_, ok := errors.AsType[*answerError](got)
	assert.False(t, ok)
}

// busyError is changed by all who have it, under its own lock.
type busyError struct {
	mu   sync.Mutex
	last string
	seen map[int]int
}

func (e *busyError) Error() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range 1000 {
		e.seen[i%100]++
	}
	e.last = fmt.Sprint(len(e.seen))
	return "the pool is empty"
}

// An error that many calls get at once is not read without its lock: that would be a
// race, and could end the process.
func TestErrorThatManyCallsShare(t *testing.T) {
	t.Parallel()
	own := &busyError{seen: map[int]int{}}
	x := newSecretive(t, nil, []pinterest.Option{pinterest.WithoutPacing(), pinterest.WithHTTPClient(&http.Client{Transport: failingTransport{own}})})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				assert.ErrorIs(t, get(t.Context(), x.client), own)
			}
		})
	}
	wg.Wait()
}

// A token of which the kept part of a body ends in the middle is not kept
// either.
func TestTokenAtTheEndOfALongBodyIsClean(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	for _, kept := range []int{len(secretAccess) - 1, len(secretAccess) - 5} {
		body := strings.Repeat("x", limit-kept-1) + " " + secretAccess + strings.Repeat("y", 1000)
		x := newSecretive(t, nil, nil, answer(404, body))
		assertErrorClean(t, get(t.Context(), x.client))
	}
}

// Many refreshes must not push the app's secret out of what is known.
func TestSecretIsKnownAfterManyRefreshes(t *testing.T) {
	t.Parallel()
	const refreshes = 40
	steps, tokens := []reply{}, []reply{}
	for i := range refreshes {
		steps = append(steps, refused, okPin())
		tokens = append(tokens, answer(200, fmt.Sprintf(`{"access_token":"access-%d-%s","refresh_token":"refresh-%d-%s","expires_in":100000}`, i, "0123456789", i, "0123456789")))
	}
	x := newSecretive(t, nil, nil, append(steps, answer(404, echoBody()))...)
	x.onToken(tokens...)
	for range refreshes {
		require.NoError(t, get(t.Context(), x.client))
		x.clock.advance(time.Minute) // a token that is refused at once, again and again, is not refreshed
	}
	err := get(t.Context(), x.client)
	require.Error(t, err)
	var e *pinterest.Error
	require.ErrorAs(t, err, &e)
	assert.NotContains(t, err.Error()+string(e.Body), secretApp, "the app's secret is in use as long as the client")
}

// Details stay JSON, whatever was taken out of them: an error that cannot be
// marshalled is lost in a log.
func TestRedactedDetailsAreStillJSON(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil, answer(400, echoBody()))
	e := failure(t, get(t.Context(), x.client))
	require.NotEmpty(t, e.Details)
	assert.True(t, json.Valid(e.Details), "%s", e.Details)
	_, err := json.Marshal(e)
	assert.NoError(t, err)
}

func TestErrorsBeforeSendingAreClean(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil)
	pin := pinCreate()
	pin.Link = "ftp://shop.example/?" + signedURL
	pin.MediaSource = pinterest.ImageURL("ftp" + strings.TrimPrefix(signedURL, "https"))
	_, err := x.client.Pins.Create(t.Context(), pin)
	assert.ErrorIs(t, err, pinterest.ErrInvalid)
	assertErrorClean(t, err)

	_, err = x.client.Pins.Get(t.Context(), signedURL)
	assert.ErrorIs(t, err, pinterest.ErrInvalid)
	assertErrorClean(t, err)

	_, err = pinterest.New(pinterest.WithAccessToken("t"), pinterest.WithBaseURL("https://"+secretApp+":"+secretAccess+"@api.pinterest.com/?X-Amz-Signature="+signature))
	assertErrorClean(t, err)
}

func TestErrorsOfCancellationAreClean(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil, answer(400, `{"message":"Retry after 30 seconds `+secretAccess+`"}`))
	ctx, cancel := context.WithDeadline(t.Context(), x.clock.Now().Add(20*time.Second))
	defer cancel()
	err := get(ctx, x.client)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assertErrorClean(t, err)
	x.assertClean(t)
}

// What is printed of an error says what was there.
func TestRedactionLeavesTheRest(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil, fault(400, 1, "the token "+secretAccess+" may not use "+signedURL+" for this board"))
	err := get(t.Context(), x.client)
	assert.Contains(t, err.Error(), "the token [redacted] may not use")
	assert.Contains(t, err.Error(), "for this board")
}
