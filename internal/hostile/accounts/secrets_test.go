package accounts

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
)

const (
	access1  = "pina_AHIDDENACCESSTOKENthatnobodymaysee00112233"
	refresh1 = "pinr.AHIDDENREFRESHTOKENthatnobodymaysee44556677"
)

// hidden are parts of the credentials. None of them may be shown, in any case.
var hidden = []string{"HIDDENACCESS", "HIDDENREFRESH", "s3cr3t/App", "0123456789abcdef"}

func shows(text string) string {
	low := strings.ToLower(text)
	for _, h := range hidden {
		if strings.Contains(low, strings.ToLower(h)) {
			return h
		}
	}
	return ""
}

// Values with credentials, in all that prints, logs or encodes.
func TestValuesShowNothing(t *testing.T) {
	w := newWorld()
	store := pinterest.NewMemoryTokenStore()
	tok := pinterest.Token{AccessToken: access1, RefreshToken: refresh1, Expiry: time.Now().Add(time.Hour).UTC(), User: &pinterest.PinterestUser{ID: "77", Username: "u"}}
	_, err := store.Save(t.Context(), "shop", &tok)
	require.NoError(t, err)
	oauth := pinterest.OAuth{ClientID: clientID, ClientSecret: secret, RedirectURL: "https://app.example/callback", Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead}}
	app, _ := w.appOf(t, oauth, store)
	cfg := pinterest.RefreshConfig{ClientID: clientID, ClientSecret: secret, RefreshToken: refresh1, AccessToken: access1, Store: func(context.Context, *oauth2.Token) error { return nil }}
	single, err := pinterest.New(pinterest.WithAccessToken(access1))
	require.NoError(t, err)
	one, err := pinterest.New(pinterest.WithRefreshToken(cfg))
	require.NoError(t, err)
	block, err := aes.NewCipher([]byte("0123456789abcdef"))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	files, err := filestore.Open(t.TempDir(), filestore.WithAEAD(aead))
	require.NoError(t, err)
	login, err := app.OAuth.Login("shop")
	require.NoError(t, err)
	conn := pinterest.Connection{Account: "shop", Token: &tok}
	req := pinterest.Request{Path: []string{access1}, Query: url.Values{"token": {refresh1}}, Body: map[string]string{"a": access1}, Secrets: []string{secret}, URL: "https://u:" + url.QueryEscape(secret) + "@x.example/?k=" + access1}
	var report pinterest.RefreshReport
	type mine struct {
		Name string
		T    pinterest.Token
		P    *pinterest.Token
		O    pinterest.OAuth
		R    pinterest.RefreshConfig
		C    *pinterest.Connection
		L    pinterest.Login
		App  *pinterest.App
		Cl   *pinterest.Client
		M    map[string]pinterest.Token
		S    []pinterest.Token
		I    any
		K    map[pinterest.PinterestUser]*pinterest.Token
	}
	values := map[string]any{
		"Token": tok, "*Token": &tok, "**Token": func() any { p := &tok; return &p }(), "[]Token": []pinterest.Token{tok}, "[]*Token": []*pinterest.Token{&tok},
		"[1]Token": [1]pinterest.Token{tok}, "map": map[string]pinterest.Token{"a": tok}, "map of any": map[string]any{"a": tok, "b": &tok},
		"OAuth": oauth, "*OAuth": &oauth, "RefreshConfig": cfg, "*RefreshConfig": &cfg, "Connection": conn, "*Connection": &conn, "[]Connection": []pinterest.Connection{conn},
		"Login": *login, "*Login": login, "Request": req, "*Request": &req, "App": app, "Client": app.Client("shop"), "one": one, "single": single,
		"OAuthService": app.OAuth, "MemoryTokenStore": store, "filestore": files, "report": report,
		"filestore value": reflect.ValueOf(files).Elem().Interface(),
		"Pins":            one.Pins, "Pins value": *one.Pins, "Account value": *single.Account, "Boards value": *one.Boards,
		"mine":    mine{Name: "m", T: tok, P: &tok, O: oauth, R: cfg, C: &conn, L: *login, App: app, Cl: one, M: map[string]pinterest.Token{"a": tok}, S: []pinterest.Token{tok}, I: tok, K: map[pinterest.PinterestUser]*pinterest.Token{{ID: "1"}: &tok}},
		"*mine":   &mine{T: tok, P: &tok, O: oauth, R: cfg, C: &conn, App: app, Cl: one, I: &tok},
		"reflect": reflect.ValueOf(tok), "option": pinterest.WithAccessToken(access1), "option 2": pinterest.WithOAuth(oauth), "errors": errors.Join(fmt.Errorf("x %v", tok)),
	}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "% x", "%#x", "%08v", "%-50.90v", "%t", "%e", "%U", "%c", "%b", "%o", "%O", "%+q", "%#q"} {
			if h := shows(fmt.Sprintf(verb, v)); h != "" {
				t.Errorf("%s: %s shows %s", name, verb, h)
			}
			text := fmt.Sprintf(verb, v)
			if raw, err := hex.DecodeString(strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(text), " ", ""), "0x")); err == nil && shows(string(raw)) != "" {
				t.Errorf("%s: %s shows it in hex", name, verb)
			}
		}
		for enc, f := range map[string]func() string{
			"json":        func() string { b, _ := json.Marshal(v); return string(b) },
			"json indent": func() string { b, _ := json.MarshalIndent(map[string]any{"v": v}, "", " "); return string(b) },
			"xml":         func() string { b, _ := xml.Marshal(v); return string(b) },
			"gob":         func() string { var b bytes.Buffer; _ = gob.NewEncoder(&b).Encode(v); return b.String() },
			"Println":     func() string { return fmt.Sprintln(v, v) },
			"template": func() string {
				var b bytes.Buffer
				_ = template.Must(template.New("").Parse(`<p>{{.}}</p><script>var x = {{.}};</script>`)).Execute(&b, v)
				return b.String()
			},
			"slog": func() string {
				var b bytes.Buffer
				for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
					l := slog.New(h)
					l.Info("m", "v", v, slog.Any("any", v), slog.Group("g", "v", v), "s", []any{v}, "m", map[string]any{"v": v})
					l.With("v", v).WithGroup("g").Info("m")
				}
				return b.String()
			},
			"panic": func() string {
				defer func() { _ = recover() }()
				return fmt.Sprint(struct{ V any }{v})
			},
		} {
			if h := shows(f()); h != "" {
				t.Errorf("%s: %s shows %s: %.200s", name, enc, h, f())
			}
		}
	}
}

// What a pointer in front keeps from printing is not printed without it either,
// by a verb, for which vet has no warning.
func TestDereferencedShowsNothing(t *testing.T) {
	store := pinterest.NewMemoryTokenStore()
	_, err := store.Save(t.Context(), "shop", &pinterest.Token{AccessToken: access1, RefreshToken: refresh1})
	require.NoError(t, err)
	app, _ := newWorld().appOf(t, pinterest.OAuth{ClientID: clientID, ClientSecret: secret, RedirectURL: "https://app.example/callback", Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead}}, store)
	for name, v := range map[string]any{"App": *app, "OAuthService": *app.OAuth} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			assert.Empty(t, shows(fmt.Sprintf(verb, v)), "%s: %s", name, verb)
		}
	}
}

var encodings = map[string]func(s string) string{
	"plain":          func(s string) string { return s },
	"upper":          strings.ToUpper,
	"lower":          strings.ToLower,
	"URL":            url.QueryEscape,
	"URL path":       url.PathEscape,
	"URL every byte": func(s string) string { return percent(s, "%%%02X") },
	"URL lower":      func(s string) string { return percent(s, "%%%02x") },
	"URL twice":      func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"URL punctuation": func(s string) string {
		return strings.NewReplacer("_", "%5F", ".", "%2e", "/", "%2f", "+", "%2B", "=", "%3d").Replace(s)
	},
	"HTML":          html.EscapeString,
	"HTML entities": func(s string) string { return percent(s, "&#x%02x;") },
	"HTML decimal":  func(s string) string { return percent(s, "&#%d;") },
	"HTML some": func(s string) string {
		return strings.NewReplacer("_", "&#95;", ".", "&#46;", "/", "&#47;", "+", "&#43;", "=", "&#61;").Replace(s)
	},
	"HTML names": func(s string) string {
		return strings.NewReplacer("_", "&lowbar;", ".", "&period;", "/", "&sol;", "+", "&plus;", "=", "&equals;").Replace(s)
	},
	"JSON u":       func(s string) string { return percent(s, `\u%04x`) },
	"JSON u upper": func(s string) string { return percent(s, `\u%04X`) },
	"JSON some": func(s string) string {
		return strings.NewReplacer("_", `\u005f`, ".", `\u002E`, "/", `\/`, "+", `\u002b`, "=", `\u003d`).Replace(s)
	},
	"JSON twice": func(s string) string {
		return strings.NewReplacer("_", `\\u005f`, ".", `\\u002E`, "/", `\\\/`).Replace(s)
	},
	"x":               func(s string) string { return percent(s, `\x%02x`) },
	"base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 raw":      func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64 URL":      func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"base64 within":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s + "yy")) },
	"base64 within 2": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xx" + s + "y")) },
	"base64 pair":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte(clientID + ":" + s)) },
	"base64 Basic":    func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+s)) },
	"base64 escaped": func(s string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(clientID + ":" + s)))
	},
	"hex": func(s string) string { return hex.EncodeToString([]byte(s)) },
}

func percent(s, form string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, form, s[i])
	}
	return b.String()
}

// decodings finds a credential in a text however it was encoded.
func reveals(text, s string) string {
	low := strings.ToLower(text)
	for name, enc := range encodings {
		e := enc(s)
		if name == "base64 within" || name == "base64 within 2" || name == "base64 pair" {
			e = e[8 : len(e)-8]
		}
		if strings.Contains(text, e) || strings.Contains(low, strings.ToLower(e)) && !strings.HasPrefix(name, "base64") {
			return name
		}
	}
	return ""
}

// echo repeats a text in every place of an answer.
func echo(rw http.ResponseWriter, status int, place, text string) {
	h := rw.Header()
	h.Set("Content-Type", "application/json")
	q, _ := json.Marshal(text)
	raw := `"` + text + `"`
	if strings.ContainsAny(text, "\"\\\n") && !json.Valid([]byte(raw)) {
		raw = string(q)
	}
	body := `{"code":1,"message":"no"}`
	switch place {
	case "message":
		body = `{"code":1,"message":` + raw + `}`
	case "message in words":
		body = `{"code":1,"message":"the token ` + raw[1:len(raw)-1] + ` is not good"}`
	case "key":
		body = `{"code":1,` + raw + `:"no","message":"x"}`
	case "code":
		body = `{"code":` + raw + `,"message":"x"}`
	case "details":
		body = `{"code":1,"message":"x","details":{"deep":[{"er":` + raw + `}]}}`
	case "field":
		body = `{"code":1,"message":"Invalid request: ` + raw[1:len(raw)-1] + ` is not of type 'string'","details":[{"field":` + raw + `,"message":` + raw + `}]}`
	case "oauth":
		body = `{"error":` + raw + `,"error_description":` + raw + `,"error_uri":` + raw + `}`
	case "data":
		body = `{"code":283,"data":` + raw + `,"message":` + raw + `}`
	case "html":
		h.Set("Content-Type", "text/html")
		body = `<html><a href="https://x.example/?t=` + text + `">` + text + `</a></html>`
	case "text":
		h.Set("Content-Type", "text/plain")
		body = text
	case "garbled":
		body = `{"id":"1","username":` + raw + `,"account_type":` + raw + `,"board_count":` + raw
		status = 200
	case "wrong type":
		body = `{"id":"1","username":"u","account_type":"BUSINESS","board_count":` + raw + `}`
		status = 200
	case "request id":
		h.Set("X-Pinterest-Rid", text)
	case "header":
		h.Set("X-Debug", text)
		h.Set("Set-Cookie", "t="+text)
		h.Set("Www-Authenticate", `Bearer error="`+text+`"`)
		h.Set("Link", "<https://x.example/"+text+">")
	case "rate":
		h.Set("X-Ratelimit-Limit", `100, 100;w=1;name="`+text+`"`)
		h.Set("X-Ratelimit-Remaining", text)
		h.Set("X-Ratelimit-Reset", text)
		h.Set("Retry-After", text)
	case "location":
		status = 302
		h.Set("Location", "https://x.example/"+text+"?t="+text)
	case "content type":
		h.Set("Content-Type", text)
		h.Set("Content-Encoding", text)
	case "split":
		n := 64<<10 - len(text)/2 - 30
		body = `{"code":1,"pad":"` + strings.Repeat("x", n) + `","more":` + raw + `,"message":"x"}`
	case "split text":
		h.Set("Content-Type", "text/plain")
		body = strings.Repeat("x ", (2048-len(text)/2)/2) + text
	case "split message":
		body = `{"code":1,"message":"` + strings.Repeat("x ", 980) + raw[1:] + `}`
	}
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte(body))
}

var places = []string{
	"message", "message in words", "key", "code", "details", "field", "oauth", "data", "html", "text", "garbled", "wrong type",
	"request id", "header", "rate", "location", "content type", "split", "split text", "split message",
}

// An API and a token endpoint that repeat the credentials that they were sent,
// encoded in every way, in every place of an answer.
func TestEchoes(t *testing.T) {
	for _, at := range []string{"API", "token"} {
		t.Run(at, func(t *testing.T) {
			var text, place atomic.Value
			var status atomic.Int64
			srv := handled(func(rw http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/token") == (at == "token") {
					echo(rw, int(status.Load()), place.Load().(string), text.Load().(string))
					return
				}
				say(rw, 401, `{"code":2,"message":"Authentication failed."}`)
			})
			w := newWorld()
			bad := map[string]int{}
			for _, s := range []string{access1, refresh1, secret} {
				for enc, f := range encodings {
					for _, p := range places {
						if !slices.Contains([]string{"plain", "base64"}, enc) && !slices.Contains([]string{"message", "data"}, p) {
							continue // every encoding in some places, and some in every place
						}
						for _, st := range []int{400 + 3*(len(p)%2)} {
							text.Store(f(s))
							place.Store(p)
							status.Store(int64(st))
							var log bytes.Buffer
							var events []string
							store := pinterest.NewMemoryTokenStore()
							tok := &pinterest.Token{AccessToken: access1, RefreshToken: refresh1, Expiry: time.Now().Add(6 * day).UTC()}
							if at == "token" {
								tok.Expiry = time.Now().Add(-time.Hour).UTC()
							}
							_, err := store.Save(t.Context(), "shop", tok)
							require.NoError(t, err)
							app, _ := w.app(t, store, pinterest.WithHTTPClient(&http.Client{Transport: srv}), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}),
								pinterest.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
								pinterest.WithObserver(func(e pinterest.Event) { events = append(events, fmt.Sprintf("%+v %#v", e, e.Err)) }))
							var resp pinterest.Response
							_, err = app.Client("shop").Account.Get(t.Context(), pinterest.ResponseTo(&resp))
							out := map[string]string{"log": log.String(), "events": strings.Join(events, "\n"), "response": fmt.Sprintf("%+v %#v", resp, resp)}
							if err != nil {
								out["error"] = err.Error()
								out["error %#v"] = fmt.Sprintf("%#v", err)
								var e *pinterest.Error
								if errors.As(err, &e) {
									out["body"] = string(e.Body)
									out["user"] = e.UserMessage()
									out["fields"] = fmt.Sprintf("%+v %s %s %s %s", e.Fields, e.Details, e.CodeName, e.Message, e.RequestID)
									b, _ := json.Marshal(e)
									out["json"] = string(b)
								}
								for u := range chain(err) {
									out["chain"] += fmt.Sprintf("%v\n%+v\n", u, u)
								}
							}
							kept := load(t, store, "shop")
							out["store"] = fmt.Sprint(kept.Quarantined, kept.Disconnected)
							for where, o := range out {
								if how := reveals(o, s); how != "" {
									bad[fmt.Sprintf("%s of %.5s in the %s: shown in %s", enc, s, p, where)]++
								} else if part := s[:len(s)/2]; strings.HasPrefix(p, "split") && len(part) > 16 && strings.Contains(o, part) {
									bad[fmt.Sprintf("%s of %.5s in the %s: half of it shown in %s", enc, s, p, where)]++
								}
							}
						}
					}
				}
			}
			for b := range bad {
				t.Error(b)
			}
		})
	}
}

// handled is a transport in memory.
type handled func(rw http.ResponseWriter, r *http.Request)

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	rec := httptest.NewRecorder()
	h(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

// chain walks all causes of an error.
func chain(err error) func(yield func(error) bool) {
	return func(yield func(error) bool) {
		var walk func(error) bool
		walk = func(e error) bool {
			if e == nil {
				return true
			}
			if !yield(e) {
				return false
			}
			switch x := e.(type) { //nolint:errorlint // it walks the chain itself
			case interface{ Unwrap() error }:
				return walk(x.Unwrap())
			case interface{ Unwrap() []error }:
				for _, c := range x.Unwrap() {
					if !walk(c) {
						return false
					}
				}
			}
			return true
		}
		walk(err)
	}
}

// A server below HTTP: what it says is in the errors of net/http.
func TestEchoesBelowHTTP(t *testing.T) {
	for name, form := range map[string]string{
		"status line": "HTTP/1.1 %s\r\n\r\n", "version": "%s\r\n\r\n", "header": "HTTP/1.1 200 OK\r\n%s\r\n\r\n", "reason": "HTTP/1.1 400 %s\r\nContent-Length: 0\r\n\r\n",
		"length": "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", "coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n", "chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
		"location": "HTTP/1.1 302 Found\r\nLocation: ht!tp://%s\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { _ = l.Close() }()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer func() { _ = c.Close() }()
						buf := make([]byte, 16<<10)
						n, _ := c.Read(buf)
						said := access1
						if bytes.Contains(buf[:n], []byte("/token")) {
							said = refresh1 + base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret)) + secret
						}
						_, _ = fmt.Fprintf(c, form, said)
					}()
				}
			}()
			w := newWorld()
			for _, good := range []time.Duration{6 * day, -time.Hour} {
				store := pinterest.NewMemoryTokenStore()
				_, err = store.Save(t.Context(), "shop", &pinterest.Token{AccessToken: access1, RefreshToken: refresh1, Expiry: time.Now().Add(good).UTC()})
				require.NoError(t, err)
				var log bytes.Buffer
				app, _ := w.app(t, store, pinterest.WithBaseURL("http://"+l.Addr().String()+"/v5"), pinterest.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
					pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}), pinterest.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
				err = get(app, "shop")
				require.Error(t, err)
				var all strings.Builder
				for e := range chain(err) {
					fmt.Fprintf(&all, "%v %+v %#v\n", e, e, e)
				}
				all.WriteString(log.String())
				assert.Empty(t, shows(all.String()), all.String())
				assert.NotContains(t, all.String(), base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret)))
			}
		})
	}
}

// A store and a transport of the program's own whose errors have the credentials.
func TestErrorsOfOthers(t *testing.T) {
	for enc, f := range encodings {
		if enc == "hex" || strings.Contains(enc, "twice") {
			continue
		}
		store := newNasty()
		_, err := store.Save(t.Context(), "shop", &pinterest.Token{AccessToken: access1, RefreshToken: refresh1, Expiry: time.Now().Add(6 * day).UTC()})
		require.NoError(t, err)
		text := f(access1) + " and " + f(refresh1) + " and " + f(secret)
		w := newWorld()
		for where, opts := range map[string]func() []pinterest.Option{
			"transport": func() []pinterest.Option {
				return []pinterest.Option{pinterest.WithHTTPClient(&http.Client{Transport: failing{errors.New(text)}})}
			},
			"transport panic": func() []pinterest.Option { return nil },
		} {
			if where == "transport panic" {
				store.onVersion = func(context.Context, string) error { panic(text) }
				store.onLoad = func(context.Context, string) error { panic(text) }
			}
			var log bytes.Buffer
			app, _ := w.app(t, store, append(opts(), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}), pinterest.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))...)
			err := get(app, "shop")
			require.Error(t, err)
			var all strings.Builder
			for e := range chain(err) {
				fmt.Fprintf(&all, "%v %+v %#v\n", e, e, e)
			}
			all.WriteString(log.String())
			for _, s := range []string{access1, refresh1} {
				if where == "transport panic" {
					continue // nothing was loaded: the library does not know the tokens; their form it does
				}
				if how := reveals(all.String(), s); how != "" {
					t.Errorf("%s, %s: %.5s is shown as %s: %s", where, enc, s, how, all.String())
				}
			}
			if where == "transport panic" && enc == "plain" && shows(strings.ReplaceAll(all.String(), secret, "")) != "" {
				t.Errorf("%s: %s", where, all.String())
			}
			store.onVersion, store.onLoad = nil, nil
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// oauth2.RetrieveError, whole requests and answers are not to be had with errors.As.
func TestNoAsToCredentials(t *testing.T) {
	re := &oauth2.RetrieveError{
		Response: &http.Response{Status: "400 Bad Request", StatusCode: 400, Header: http.Header{"X": {refresh1}}, Request: &http.Request{Header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret))}}}},
		Body:     []byte(`{"error":"invalid_grant","refresh_token":"` + refresh1 + `"}`), ErrorCode: "invalid_grant", ErrorDescription: "about " + refresh1,
	}
	c, err := pinterest.New(pinterest.WithTokenSource(source{fmt.Errorf("x: %w", re)}), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	_, err = c.Account.Get(t.Context())
	require.Error(t, err)
	var got *oauth2.RetrieveError
	if errors.As(err, &got) {
		assert.Empty(t, shows(fmt.Sprintf("%v %+v %s %+v", got, got, got.Body, got.Response)))
		if got.Response != nil {
			assert.Nil(t, got.Response.Request)
		}
	}
	for e := range chain(err) {
		assert.Empty(t, shows(fmt.Sprintf("%v %+v %#v", e, e, e)))
	}
	for _, e := range []error{
		&url.Error{Op: "Post", URL: "https://u:" + "s3cr3t%2FApp" + "@api.pinterest.com/v5?hmac=HIDDENACCESSKEY1234567890&key=HIDDENACCESS", Err: errors.New("x")},
		&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("proxy said: Basic " + base64.StdEncoding.EncodeToString([]byte("HIDDENACCESS:HIDDENACCESSHIDDENACCESS")))},
	} {
		c, err := pinterest.New(pinterest.WithAccessToken(access1), pinterest.WithHTTPClient(&http.Client{Transport: failing{e}}), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
		require.NoError(t, err)
		_, err = c.Account.Get(t.Context())
		for e := range chain(err) {
			text := fmt.Sprintf("%v %+v", e, e)
			assert.Empty(t, shows(text), text)
			assert.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte("HIDDENACCESS:HIDDENACCESSHIDDENACCESS")))
		}
	}
}

type source struct{ err error }

func (s source) Token() (*oauth2.Token, error) { return nil, s.err }

// URLs with credentials in what the library itself refuses.
func TestValidationShowsNothing(t *testing.T) {
	c, err := pinterest.New(pinterest.WithAccessToken(access1))
	require.NoError(t, err)
	for _, link := range []string{
		"ftp://user:HIDDENACCESSpw@host.example/x", "https://user:HIDDENACCESSpw@host.example/" + strings.Repeat("x", 2100), "https://HIDDENACCESSpw@", "//user:HIDDENACCESSpw@host/",
		"https://host.example/\x00?hmac=HIDDENACCESSpw&key=HIDDENACCESSpw&auth=HIDDENACCESSpw&hdnts=exp=1~hmac=HIDDENACCESSpw", "http s://u:HIDDENACCESSpw@h/?sig=HIDDENACCESSpw", "user:HIDDENACCESSpw@host.example/x",
		"https:/user:HIDDENACCESSpw@host.example", "https://user:HIDDENACCESSpw%zz@host.example/", "HTTPS://user:HIDDENACCESSpw@ho st/", "https://user:HIDDENACCESSpw@[::1/",
	} {
		_, err := c.Pins.Create(t.Context(), pinterest.PinCreate{BoardID: "1", Link: link, MediaSource: pinterest.ImageURL(link)})
		if err == nil {
			continue
		}
		assert.Empty(t, shows(fmt.Sprintf("%v %+v %#v", err, err, err)), "%q: %v", link, err)
		_, err = pinterest.New(pinterest.WithAccessToken(access1), pinterest.WithBaseURL(link))
		require.Error(t, err)
		assert.Empty(t, shows(fmt.Sprintf("%v %+v %#v", err, err, err)), "%q: %v", link, err)
		_, err = c.Download(t.Context(), link, &bytes.Buffer{}, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}), pinterest.AttemptTimeout(time.Millisecond))
		assert.Empty(t, shows(fmt.Sprintf("%v %+v %#v", err, err, err)), "%q: %v", link, err)
		_, err = pinterest.NewApp(pinterest.WithOAuth(pinterest.OAuth{ClientID: clientID, ClientSecret: secret, RedirectURL: link}))
		assert.Empty(t, shows(fmt.Sprintf("%v", err)), "%q: %v", link, err)
	}
}
