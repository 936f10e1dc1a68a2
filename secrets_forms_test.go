package pinterest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	htmltext "html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// encodings are the forms in which a server may repeat a credential.
var encodings = []struct {
	name   string
	encode func(string) string
}{
	{"as it is", func(s string) string { return s }},
	{"upper case", strings.ToUpper},
	{"lower case", strings.ToLower},
	{"query", url.QueryEscape},
	{"path", url.PathEscape},
	{"query, lower case", func(s string) string { return strings.ToLower(url.QueryEscape(s)) }},
	{"query, every byte", func(s string) string { return eachByte(s, "%%%02X") }},
	{"query, twice", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
	{"JSON, every byte", func(s string) string { return eachByte(s, `\u%04x`) }},
	{"JSON, every byte, upper case", func(s string) string { return strings.ToUpper(eachByte(s, `\u%04x`)) }},
	{"JSON, some", func(s string) string {
		return strings.NewReplacer("_", `\u005f`, "/", `\/`, "+", `\u002B`).Replace(s)
	}},
	{"JSON, twice", func(s string) string { return strings.ReplaceAll(s, "_", `\\u005f`) }},
	{"JSON, in a string of JSON", func(s string) string {
		data, _ := json.Marshal(strings.ReplaceAll(s, "/", `\/`))
		return strings.Trim(string(data), `"`)
	}},
	{"HTML, numbers", func(s string) string { return eachByte(s, "&#%d;") }},
	{"HTML, hexadecimal", func(s string) string { return eachByte(s, "&#x%x;") }},
	{"HTML, names", func(s string) string {
		return strings.NewReplacer("_", "&lowbar;", "+", "&plus;", "/", "&sol;", "=", "&equals;", ".", "&period;").Replace(s)
	}},
	{"HTML, twice", func(s string) string { return htmltext.EscapeString(eachByte(s, "&#%d;")) }},
	{"JavaScript", func(s string) string { return eachByte(s, "%%u%04x") }},
	{"a string of C", func(s string) string { return eachByte(s, `\x%02x`) }},
	{"hexadecimal", func(s string) string { return hex.EncodeToString([]byte(s)) }},
	{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
	{"base64 for URLs", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }},
	{"base64 of credentials", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(appID + ":" + s)) }},
	{"base64 of credentials, one byte more", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(appID + "0:" + s)) }},
	{"base64 of credentials, two bytes more", func(s string) string { return base64.URLEncoding.EncodeToString([]byte(appID + "00:" + s + ":")) }},
	{"base64 of escaped credentials", func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(appID + ":" + url.QueryEscape(s)))
	}},
}

func eachByte(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// place is where a server, a transport or a source of tokens may put a text.
type place struct {
	name   string
	answer func(text string) (*http.Response, error)
}

var places = []place{
	{"the body of an error", func(text string) (*http.Response, error) {
		quoted, _ := json.Marshal(text)
		return responseOf(400, fmt.Sprintf(`{"code":1,"message":%s,"message_detail":%[1]s,"details":{"a":%[1]s,%[1]s:[%[1]s]},"errors":[{"field":%[1]s,"value":%[1]s,"message":%[1]s},%[1]s],"required_scope":%[1]s,"request_id":%[1]s}`, quoted)), nil
	}},
	{"the code of an error", func(text string) (*http.Response, error) {
		quoted, _ := json.Marshal(text)
		return responseOf(403, fmt.Sprintf(`{"code":%s,"error":%[1]s,"reason":%[1]s}`, quoted)), nil
	}},
	{"raw JSON", func(text string) (*http.Response, error) {
		return responseOf(400, `{"code":1,"message":"`+text+`","details":{"a":"`+text+`"}}`), nil
	}},
	{"HTML", func(text string) (*http.Response, error) { return responseOf(502, "<html>"+text), nil }},
	{"the headers of an error", func(text string) (*http.Response, error) { return responseOf(404, "", headers(text)...), nil }},
	{"the headers of a success", func(text string) (*http.Response, error) {
		return responseOf(200, `{"id":"`+pinID+`"}`, headers(text)...), nil
	}},
	{"a redirect", func(text string) (*http.Response, error) {
		return responseOf(302, "", "Location", "https://"+text+".example/"+text+"?"+text), nil
	}},
	{"a success that is not JSON", func(text string) (*http.Response, error) { return responseOf(200, text, "Content-Type", text), nil }},
	{"a field of another type", func(text string) (*http.Response, error) {
		quoted, _ := json.Marshal(text)
		return responseOf(200, fmt.Sprintf(`{"id":"%s","is_owner":%s,"media":{"width":%[2]s,%[2]s:1}}`, pinID, quoted)), nil
	}},
	{"the error of a transport", func(text string) (*http.Response, error) {
		return nil, fmt.Errorf("proxy: %w", &url.Error{Op: "Get", URL: "https://x.example/" + text, Err: errors.Join(textError(text), &structError{text, text})})
	}},
	{"what the error of a transport holds", func(text string) (*http.Response, error) {
		return nil, heldError{held: map[string]any{"x": []any{text}}, request: &http.Request{Header: http.Header{"Authorization": {text}}}}
	}},
}

func headers(text string) []string {
	return []string{"X-Pinterest-Rid", text, "Server", text, "X-Echo", text, "Content-Type", text, "X-Ratelimit-Limit", `100, 100;w=60;name="` + text + `"`, "Set-Cookie", "x=" + text}
}

// heldError says nothing and holds much.
type heldError struct {
	held    map[string]any
	request *http.Request
}

func (heldError) Error() string { return "refused" }

func responseOf(status int, body string, header ...string) *http.Response {
	res := &http.Response{StatusCode: status, ProtoMajor: 2, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

// said returns all that the library says about a call in which a text stands at that
// place, by where it says it.
func said(t *testing.T, cfg pinterest.RefreshConfig, at place, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	var seen recorder
	var lines, objects bytes.Buffer
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := at.answer(text)
		if res != nil {
			res.Request = r
		}
		return res, err
	})
	app := func(log slog.Handler) *pinterest.Client {
		cfg.Store = func(context.Context, *oauth2.Token) error { return nil }
		c, err := pinterest.New(pinterest.WithRefreshToken(cfg), pinterest.WithHTTPClient(&http.Client{Transport: transport}), pinterest.WithoutPacing(),
			pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}), pinterest.WithRules(pinterest.Rule{Name: "mine", Status: 400, Action: pinterest.ActionBackOff, Class: pinterest.ClassServer, Disposition: pinterest.DispositionPark, Wait: func(f pinterest.Failure, _ time.Time) time.Duration {
				out["Rule.Wait"] += fmt.Sprintf("%+v", f)
				return 0
			}}), pinterest.WithObserver(seen.observe), pinterest.WithLogger(slog.New(log)))
		require.NoError(t, err)
		return c
	}
	var res pinterest.Response
	_, err := app(slog.NewTextHandler(&lines, debug)).Pins.Get(t.Context(), pinID, pinterest.ResponseTo(&res))
	_, again := app(slog.NewJSONHandler(&objects, debug)).Pins.Get(t.Context(), pinID)
	out["log, text"], out["log, JSON"] = lines.String(), objects.String()
	out["Response"] = fmt.Sprintf("%+v %#v", res, res)
	for _, err := range []error{err, again, res.DecodeError} {
		sayError(out, err)
	}
	for _, e := range seen.all() {
		out["events"] += fmt.Sprintf("%v %+v %#v", e, e, e)
		sayError(out, e.Err)
	}
	return out
}

// sayError adds all that an error says, and those that are found in it.
func sayError(out map[string]string, err error) {
	for _, e := range chain(err) {
		out["Error()"] += e.Error()
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			out[verb] += fmt.Sprintf(verb, e) + fmt.Sprintf(verb, []any{e})
		}
		data, _ := json.Marshal(e)
		out["JSON"] += string(data)
		if own, ok := e.(*pinterest.Error); ok { //nolint:errorlint // this very one
			out["Body"] += string(own.Body)
			out["Details"] += string(own.Details)
			out["Message"] += own.Message + own.RequiredScope + own.CodeName + own.RequestID + own.UserMessage()
			out["Fields"] += fmt.Sprintf("%+v", own.Fields)
			out["Attempts"] += fmt.Sprintf("%+v", own.Attempts)
		}
	}
	if e, ok := errors.AsType[heldError](err); ok {
		out["errors.As"] += fmt.Sprint(e.held, e.request.Header)
	}
	if e, ok := errors.AsType[*structError](err); ok {
		out["errors.As"] += fmt.Sprint(*e)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		out["errors.As"] += e.URL
	}
}

// leaks reports whether text has a form of a credential, or the better part of one, in
// capitals or not, and quoted any number of times.
func leaks(text, form string) bool {
	text = strings.ToLower(text)
	for form = strings.ToLower(form[:len(form)*3/4]); ; {
		if strings.Contains(text, form) {
			return true
		}
		data, _ := json.Marshal(form)
		quoted := strings.Trim(string(data), `"`)
		if quoted == form || len(quoted) > len(text) {
			return false
		}
		form = quoted
	}
}

// Whatever form a credential of the account or the app has, and wherever it stands, it
// is found.
func TestNoFormOfACredentialLeaves(t *testing.T) {
	t.Parallel()
	cfg := pinterest.RefreshConfig{
		ClientID: appID, ClientSecret: "Se_C9m4vD/6pYc1Q+fHxTn.L7jZk3==", RefreshToken: "Rf_R5u8w/Z1xKj6T+qEyVo.P3sMb9DnF~", AccessToken: "Ax_S7f3k/Q9zLm2W+vBtYp.R8dNc4HgJ=",
	}
	for _, at := range places {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []string{cfg.ClientSecret, cfg.RefreshToken, cfg.AccessToken} {
				for _, e := range encodings {
					form := e.encode(secret)
					for where, text := range said(t, cfg, at, "before "+form+" after") {
						assert.False(t, leaks(text, form), "%s: %s is in %s: %.500q", e.name, form, where, text)
					}
				}
			}
		})
	}
}

// escaping is how many of the encodings only escape.
const escaping = 19

// FuzzSecretsLeave encodes a credential up to three times and puts it between any two
// texts, at any place.
func FuzzSecretsLeave(f *testing.F) {
	for i := range encodings {
		f.Add("Ax_S7f3k/Q9zLm2W+vBtYp.R8dNc4HgJ=", `say "`, `" \u00`, byte(i), byte(0), byte(0), byte(i))
	}
	f.Add("000000000000", "0", "0", byte(14), byte(0), byte(13), byte(3)) // a semicolon that is escaped itself
	f.Add("0.123456789/_+=", "%2", `\`, byte(3), byte(8), byte(13), byte(0))
	f.Fuzz(func(t *testing.T, secret, before, after string, first, second, third, where byte) {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=-"
		if len(secret) < 12 || len(secret) > 100 || strings.Trim(secret, alphabet) != "" || !strings.ContainsAny(secret, "0123456789") ||
			strings.HasPrefix(secret, "pin") || strings.ContainsAny(before+after, "\r\n") || len(before+after) > 200 {
			return // not a token, or not the text of a header
		}
		form := encodings[int(first)%len(encodings)].encode(secret)
		if i := int(second) % len(encodings); i > 0 && i < escaping { // what escapes, not what encodes
			form = encodings[i].encode(form)
		}
		if i := int(third) % len(encodings); i > 0 && i < escaping {
			form = encodings[i].encode(form)
		}
		if leaks(before+after, form) || len(form) > 10_000 {
			return // it would be there anyway
		}
		cfg := pinterest.RefreshConfig{ClientID: appID, ClientSecret: secretApp, RefreshToken: secretRefresh, AccessToken: secret}
		at := places[int(where)%len(places)]
		for place, text := range said(t, cfg, at, before+form+after) {
			if leaks(text, form) {
				t.Errorf("%s: %q is in %s: %.2000q", at.name, form, place, text)
			}
		}
	})
}

// A credential that is not known is told by what stands before it.
func TestCredentialsAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdefXYZ"
	cfg := pinterest.RefreshConfig{ClientID: appID, ClientSecret: secretApp, RefreshToken: secretRefresh, AccessToken: secretAccess}
	for _, text := range []string{
		"https://alice:" + secret + "@x.example/a", "http://" + secret + "@x.example", "postgres://alice:" + secret + "@db:5432/x?sslmode=off",
		"https://x.example/?hmac=" + secret, "https://x.example/?a=b&key=" + secret + "&c=d", "https://x.example/?auth=" + secret,
		"https://x.example/?hdnts=exp=1700000000~acl=/*~hmac=" + secret, "https://x.example/cb?state=a&code=" + secret,
		"https://x.example/?X-Goog-Signature=" + secret, "https://x.example/?a_token=" + secret, "grant_type=x&refresh_token=" + secret,
		`{"client_secret": "` + secret + `"}`, `{'clientSecret':'` + secret + `'}`, "host=db user=x password=" + secret,
		"pina_" + secret, "PINR." + secret, "Bearer " + secret, "Basic " + secret,
	} {
		for _, escape := range []func(string) string{
			func(s string) string { return s }, url.QueryEscape, htmltext.EscapeString, strings.ToUpper,
			func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
			func(s string) string {
				return strings.NewReplacer("&", `\u0026`, "=", `\u003d`, "_", `\u005F`).Replace(s)
			},
			func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
			func(s string) string { data, _ := json.Marshal(s); return string(data) },
		} {
			for where, said := range said(t, cfg, places[0], "before "+escape(text)+" after") {
				assert.False(t, leaks(said, secret), "%s: %s in %.300q", where, escape(text), said)
			}
		}
	}
}

// What has no credential in it is left as it is.
func TestOrdinaryWordsAreLeft(t *testing.T) {
	t.Parallel()
	const text = `'board_id' value 'x' must match: ^\d+$ of https://shop.example/p?id=12345&color=red%2Fblue, "key": "title", auth is missing, a@b.example, design=modern`
	x := newSecretive(t, nil, nil, fault(400, 1, text))
	assert.Equal(t, text, failure(t, get(t.Context(), x.client)).Message)
}

// The headers of the API's own answers are for the caller to read, too, and what they
// repeat is not.
func TestResponseHeaderIsClean(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil, okPin().with("Server", "envoy", "X-Echo", "Bearer "+secretAccess, "X-"+secretApp, "x", "Set-Cookie", "_session=0123456789; Path=/", "X-Pinterest-Rid", requestID,
		"Link", "<https://api.example/next?id=5>"))
	var res pinterest.Response
	require.NoError(t, get(t.Context(), x.client, pinterest.ResponseTo(&res)))
	assertClean(t, "the headers", fmt.Sprint(res.Header))
	assert.Equal(t, "envoy", res.Header.Get("Server"))
	assert.Equal(t, requestID, res.Header.Get("X-Pinterest-Rid"))
	assert.Equal(t, "Bearer [redacted]", res.Header.Get("X-Echo"))
	assert.Equal(t, "[redacted]", res.Header.Get("Set-Cookie"))
	assert.Equal(t, "<https://api.example/next?id=5>", res.Header.Get("Link"))
}

// What would be sent is shown without the credentials in it.
func TestDryRunIsClean(t *testing.T) {
	t.Parallel()
	x := newSecretive(t, nil, nil)
	var d pinterest.DryRun
	pin := pinCreate()
	pin.Description, pin.Link = "by "+secretAccess, "https://shop.example/?key=12345678"
	_, err := x.client.Pins.Create(t.Context(), pin, pinterest.DryRunTo(&d))
	require.NoError(t, err)
	assertClean(t, "a body", string(d.Body))
	assert.Contains(t, string(d.Body), "?key=12345678", "what the caller wrote stays")

	form := url.Values{"grant_type": {"authorization_code"}, "code": {"0123456789abcdef"}, "refresh_token": {secretRefresh}}
	require.NoError(t, x.client.Do(t.Context(), pinterest.OpOAuthToken, pinterest.Request{Body: form}, nil, pinterest.DryRunTo(&d)))
	assertClean(t, "a form", string(d.Body))
	assert.NotContains(t, string(d.Body), "0123456789abcdef")
	assert.Contains(t, string(d.Body), "grant_type=authorization_code")
}

// Our own errors about a request show none of what it should not have had in it.
func TestOwnErrorsAreClean(t *testing.T) {
	t.Parallel()
	const password = "hunter2-password"
	for _, link := range []string{
		"ftp://alice:" + password + "@shop.example/p", "https://alice:" + password + "@/p", "//" + password + "@shop.example", `https:\/\/alice:` + password + `@shop.example`,
		"ftp%3A%2F%2Falice%3A" + password + "%40shop.example", "ftp://x.example/pina_" + password, "ftp://alice:" + password + strings.Repeat("x", 100) + "@shop.example",
		"ftp://alice:p/" + password + "@shop.example", "https://alice:p?" + password + "@shop.example/", "https://alice:p#" + password + "@shop.example/",
		"ftp://alice:p'" + password + "@shop.example", "https://alice:p " + password + "@shop.example", "//alice:p/" + password + "@shop.example",
		"https://alice:12/" + password + "@shop.example", "ftp://alice:" + password + strings.Repeat("x", 5000) + "@shop.example",
	} {
		pin := pinCreate()
		pin.Link, pin.MediaSource = link, pinterest.ImageURL(link)
		err := pin.Validate()
		if err == nil { // it is a URL
			pin.BoardID = link
			err = pin.Validate()
		}
		require.ErrorIs(t, err, pinterest.ErrInvalid)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), password[:9])
		x := newSecretive(t, nil, nil)
		_, err = x.client.Pins.Create(t.Context(), pin)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v %+v", err, err, err, failure(t, err).Fields), password[:9])
		err = x.client.Do(t.Context(), pinterest.OpPinsGet, pinterest.Request{URL: link}, nil)
		require.Error(t, err)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), password[:9])
		_, err = pinterest.New(pinterest.WithAccessToken("t"), pinterest.WithBaseURL(link))
		require.Error(t, err)
		assert.NotContains(t, err.Error(), password[:9])
		_, err = pinterest.NewApp(pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), pinterest.WithOAuth(pinterest.OAuth{ClientID: "a", ClientSecret: "b", RedirectURL: link}))
		if err != nil { // else it is https, and is sent to Pinterest as it is
			assert.NotContains(t, err.Error(), password[:9])
		}
	}
	for _, id := range []string{secretAccess, strings.Repeat("x", 50) + secretAccess, "https://x.example/" + secretApp} {
		x := newSecretive(t, nil, nil)
		_, err := x.client.Pins.Get(t.Context(), id)
		require.ErrorIs(t, err, pinterest.ErrInvalid)
		for _, secret := range []string{secretAccess, secretApp} {
			assert.NotContains(t, fmt.Sprintf("%+v %+v", err, failure(t, err).Fields), secret[:8])
		}
	}
	for _, opt := range []pinterest.Option{
		pinterest.WithBaseURL("https://alice:" + password + "@api.pinterest.com/v5"), pinterest.WithBaseURL("ftp://alice:" + password + "@x\x7f"),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: "1", ClientSecret: password, RedirectURL: "http://alice:" + password + "@shop.example"}),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: "1", ClientSecret: password, Scopes: []pinterest.Scope{password + ","}}),
	} {
		_, err := pinterest.NewApp(opt)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), password)
	}
}

// A password in the address of a proxy may have characters that should be escaped.
func TestPasswordOfAProxyIsClean(t *testing.T) {
	t.Parallel()
	for _, proxy := range []string{
		"http://alice:pass#Word9@127.0.0.1:1", "http://alice:pass/Word9@127.0.0.1:1", "http://alice:pa'ssWord9@127.0.0.1:1", "http://alice:pass?Word9@127.0.0.1:1",
		"http://alice:passWord9%zz@127.0.0.1:1", "http://alice:passWord9/x@127.0.0.1:1",
	} {
		transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
			u, err := url.Parse(proxy)
			if err != nil {
				err = fmt.Errorf("invalid proxy address %q: %w", proxy, err)
			}
			return u, err
		}}
		x := newSecretive(t, nil, []pinterest.Option{pinterest.WithHTTPClient(&http.Client{Transport: transport})})
		err := get(t.Context(), x.client)
		require.Error(t, err)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err)+x.log.String(), "Word9", proxy)
		assert.NotContains(t, err.Error(), `":pass`, proxy)
	}
}

// An *oauth2.RetrieveError of the caller's token source is found as a copy: its
// request and its body have the credentials.
func TestRetrieveErrorIsClean(t *testing.T) {
	t.Parallel()
	request, err := http.NewRequest(http.MethodPost, "https://api.example/token", strings.NewReader("refresh_token="+secretRefresh))
	require.NoError(t, err)
	request.SetBasicAuth(appID, secretApp)
	retrieve := &oauth2.RetrieveError{
		Response: &http.Response{StatusCode: 400, Status: "400 Bad Request", Header: http.Header{"X-Echo": {"Bearer " + secretAccess}}, Request: request},
		Body:     []byte(`{"error":"invalid_grant","refresh_token":"` + secretRefresh + `"}`), ErrorCode: "invalid_grant", ErrorDescription: "refresh_token=" + secretRefresh,
	}
	for name, cause := range map[string]error{
		"alone": retrieve, "wrapped": fmt.Errorf("the source: %w", retrieve), "joined": errors.Join(errors.New("x"), retrieve), "silent": silentError{retrieve},
		"of a URL": &url.Error{Op: "Post", URL: "https://api.example/token", Err: retrieve},
	} {
		var seen recorder
		c := newBareClient(t, newServer(t), pinterest.WithTokenSource(failingSource{cause}), pinterest.WithObserver(seen.observe))
		err := get(t.Context(), c)
		assertErrorClean(t, err)
		errs := []error{err}
		for _, e := range seen.all() {
			errs = append(errs, e.Err)
		}
		for _, err := range errs {
			got, ok := errors.AsType[*oauth2.RetrieveError](err)
			if err == nil || !ok && name == "silent" {
				continue
			}
			require.True(t, ok, name)
			assert.NotSame(t, retrieve, got)
			assert.Equal(t, "invalid_grant", got.ErrorCode)
			assert.Equal(t, 400, got.Response.StatusCode)
			assert.Nil(t, got.Response.Request)
			assertClean(t, name, fmt.Sprintf("%s %+v %+v %s", got, *got, *got.Response, got.Body))
			assert.JSONEq(t, `{"error":"invalid_grant","refresh_token":"[redacted]"}`, string(got.Body))
		}
	}
}

// silentError says nothing of what it wraps.
type silentError struct{ cause error }

func (silentError) Error() string   { return "no token" }
func (e silentError) Unwrap() error { return e.cause }

// An error of the caller's own is found as it is, as long as nothing in it is a
// credential.
func TestErrorsOfTheCallerAreFound(t *testing.T) {
	t.Parallel()
	own := &structError{"the proxy", "https://proxy.example/"}
	for _, err := range []error{own, fmt.Errorf("dialing: %w", own), errors.Join(own, io.EOF)} {
		x := newSecretive(t, nil, []pinterest.Option{pinterest.WithHTTPClient(&http.Client{Transport: failingTransport{err}})})
		got := get(t.Context(), x.client)
		found, ok := errors.AsType[*structError](got)
		require.True(t, ok)
		assert.Same(t, own, found)
	}
}
