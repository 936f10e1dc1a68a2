package seam_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
)

const formSecret = "POLICYSECRET/abc+def=="

var opUpload = pinterest.Operation{ID: "media/upload", Method: "POST", Path: "/", Kind: pinterest.KindWrite, Category: "org_write", NoBody: true}

type upload struct {
	header http.Header
	body   []byte
	err    error
	length int64
}

type storage struct {
	got    chan upload
	handle func(n int, w http.ResponseWriter, r *http.Request) bool // true: answered
	n      atomic.Int64
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(s.n.Add(1))
	if s.handle != nil && s.handle(n, w, r) {
		return
	}
	b, err := io.ReadAll(r.Body)
	s.got <- upload{r.Header.Clone(), b, err, r.ContentLength}
	w.WriteHeader(204)
}

// onlyReader hides all but Read.
type onlyReader struct{ io.Reader }

type onlyReaderAt struct{ r *bytes.Reader }

func (o onlyReaderAt) Read(p []byte) (int, error)              { return o.r.Read(p) }
func (o onlyReaderAt) ReadAt(p []byte, off int64) (int, error) { return o.r.ReadAt(p, off) }

func newStorage(t *testing.T, proto string, handle func(n int, w http.ResponseWriter, r *http.Request) bool, opts ...pinterest.Option) (*storage, *pinterest.Client, string, *recorder) {
	t.Helper()
	s := &storage{got: make(chan upload, 100), handle: handle}
	base, more := serve(t, proto, s)
	rec := &recorder{}
	return s, client(t, "https://api.pinterest.example", append(append(more, rec.options()...), opts...)...), base + "/upload" + signed, rec
}

func checkUpload(t *testing.T, u upload, body []byte) {
	t.Helper()
	if !bytes.Equal(u.body, body) || u.err != nil || u.length != int64(len(body)) {
		t.Errorf("got %d bytes of %d (Content-Length %d), err %v", len(u.body), len(body), u.length, u.err)
	}
	for k, v := range u.header {
		if k == "Authorization" || k == "Cookie" || strings.Contains(strings.Join(v, " "), token) {
			t.Errorf("a credential was sent: %s %v", k, v)
		}
	}
}

// Promise: a streamed body reaches another host whole, without credentials; after a 5xx or a reset, in the middle too, it is sent again from its start.
func TestStreamIsSentAgain(t *testing.T) {
	body := content(700000)
	for _, proto := range protos {
		for name, fail := range map[string]func(w http.ResponseWriter, r *http.Request){
			"500 after the body":  func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); w.WriteHeader(500) },
			"503 before the body": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
			"500 in the middle": func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.CopyN(io.Discard, r.Body, 300000)
				w.WriteHeader(500)
			},
			"reset in the middle": func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.CopyN(io.Discard, r.Body, 300000)
				panic(http.ErrAbortHandler)
			},
			"reset after the body": func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			},
			"reset at once":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"429":                     func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "1"); w.WriteHeader(429) },
			"slow down (S3, 503 XML)": func(w http.ResponseWriter, r *http.Request) { reply(w, 503, "<Error><Code>SlowDown</Code></Error>") },
		} {
			for _, from := range []int64{0, 5} {
				for _, kind := range []string{"seeker", "readerat", "plain", "no size"} {
					t.Run(fmt.Sprint(proto, " ", name, " ", kind, " from ", from), func(t *testing.T) {
						t.Parallel()
						s, c, u, rec := newStorage(t, proto, func(n int, w http.ResponseWriter, r *http.Request) bool {
							if n <= 2 {
								fail(w, r)
								return true
							}
							return false
						})
						rd := bytes.NewReader(body)
						_, _ = rd.Seek(from, io.SeekStart)
						st := &pinterest.Stream{Reader: rd, Size: int64(len(body)) - from, ContentType: "video/mp4"}
						switch kind {
						case "readerat":
							st.Reader = onlyReaderAt{rd}
						case "plain":
							st.Reader = onlyReader{rd}
						case "no size":
							st.Size = 0
						}
						err := safely(t, func() error { return c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: st}, nil) })
						absent(t, "events and log", rec.text(), urlSecrets...)
						words(t, err)
						if kind == "plain" || kind == "readerat" {
							if err == nil {
								checkUpload(t, <-s.got, body[from:]) // nothing had been read of it: it may be sent again
							} else {
								absent(t, "error", show(err), urlSecrets...)
							}
							return
						}
						if err != nil || len(s.got) != 1 {
							t.Fatalf("%d requests: %v", s.n.Load(), err)
						}
						checkUpload(t, <-s.got, body[from:])
					})
				}
			}
		}
	}
}

// Promise: size mismatches and failing readers are found; they end the call with an error that says so, and no upload is taken for whole.
func TestStreamMismatch(t *testing.T) {
	body := content(100000)
	for _, proto := range protos {
		for name, st := range map[string]func() *pinterest.Stream{
			"shorter, seeker": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: bytes.NewReader(body), Size: 100001, ContentType: "a/b"}
			},
			"longer, seeker": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: bytes.NewReader(body), Size: 99999, ContentType: "a/b"}
			},
			"shorter, plain": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: onlyReader{bytes.NewReader(body)}, Size: 100001, ContentType: "a/b"}
			},
			"longer, plain": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: onlyReader{bytes.NewReader(body)}, Size: 99999, ContentType: "a/b"}
			},
			"fails in the middle": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: io.MultiReader(bytes.NewReader(body[:50000]), iotest.ErrReader(errors.New("disk says "+formSecret))), Size: 100000, ContentType: "a/b"}
			},
			"fails at once": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: iotest.ErrReader(errors.New("disk")), Size: 100000, ContentType: "a/b"}
			},
			"no size, plain": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: onlyReader{bytes.NewReader(body)}, ContentType: "a/b"}
			},
			"negative size": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: bytes.NewReader(body), Size: -1, ContentType: "a/b"}
			},
			"no content type": func() *pinterest.Stream { return &pinterest.Stream{Reader: bytes.NewReader(body), Size: 100000} },
			"bad content type": func() *pinterest.Stream {
				return &pinterest.Stream{Reader: bytes.NewReader(body), Size: 100000, ContentType: "a/b\r\nX: y"}
			},
			"nil reader": func() *pinterest.Stream { return &pinterest.Stream{Size: 5, ContentType: "a/b"} },
			"nil stream": func() *pinterest.Stream { return nil },
		} {
			t.Run(proto+" "+name, func(t *testing.T) {
				defer noPanic(t)
				s, c, u, rec := newStorage(t, proto, nil)
				err := safely(t, func() error {
					return c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: st(), Secrets: []string{formSecret}}, nil)
				})
				if err == nil {
					if len(s.got) > 0 {
						t.Errorf("a success with %d bytes", len((<-s.got).body))
					} else {
						t.Error("a success")
					}
					return
				}
				t.Log(s.n.Load(), "requests:", err)
				words(t, err)
				if s.n.Load() > 1 {
					t.Errorf("%d requests", s.n.Load())
				}
				if e := failure(t, err); e.Disposition == pinterest.DispositionPark {
					t.Errorf("park: the same call will fail again: %v", err)
				}
				absent(t, "error", show(err), append(urlSecrets, formSecret)...)
				absent(t, "events", rec.text(), append(urlSecrets, formSecret)...)
				for len(s.got) > 0 {
					if g := <-s.got; g.err == nil && int64(len(g.body)) == g.length {
						t.Errorf("the storage took %d bytes for the whole file", len(g.body))
					}
				}
			})
		}
	}
}

// Promise: secrets of the request, echoed by the server in every place, appear nowhere.
func TestStreamSecretsEchoed(t *testing.T) {
	secrets := []string{formSecret, "SHORT1", "with space+plus"}
	echoes(t, secrets, secrets)
}

// Promise: the same where the server echoes them as they came: percent-encoded, as in a form, or escaped in JSON.
func TestStreamSecretsEchoedEncoded(t *testing.T) {
	secrets := []string{formSecret, "with \"quotes\" & <html>", "with space+plus"}
	var hidden []string
	for _, s := range secrets {
		hidden = append(hidden, url.QueryEscape(s), strings.Trim(mustJSON(s), `"`))
	}
	echoes(t, secrets, hidden)
}

func echoes(t *testing.T, secrets, hidden []string) {
	t.Helper()
	echo := strings.Join(hidden, " | ") + " | " + signature + " " + signed + " " + token
	for _, status := range []int{200, 201, 206, 301, 307, 400, 401, 403, 404, 409, 413, 429, 500, 503, 599} {
		for _, form := range []string{"json", "code", "details", "xml", "text", "html"} {
			t.Run(fmt.Sprint(status, form), func(t *testing.T) {
				t.Parallel()
				s, c, u, rec := newStorage(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
					w.Header().Set("x-pinterest-rid", "rid "+secrets[0])
					w.Header().Set("Location", "https://x.example/"+url.PathEscape(secrets[0])+signed)
					switch form {
					case "json":
						reply(w, status, `{"code":1,"message":`+mustJSON(echo)+`}`)
					case "code":
						reply(w, status, `{"code":`+mustJSON(secrets[0])+`,"error":`+mustJSON(echo)+`}`)
					case "details":
						reply(w, status, `{"code":1,"message":"m","details":{"field":`+mustJSON(echo)+`,`+mustJSON(secrets[1])+`:["`+signature+`"]}}`)
					case "xml":
						reply(w, status, "<Error><Code>AccessDenied</Code><Message>"+echo+"</Message></Error>")
					case "html":
						w.Header().Set("Content-Type", "text/html; x="+secrets[1])
						w.WriteHeader(status)
						_, _ = io.WriteString(w, "<html>"+echo)
					default:
						w.WriteHeader(status)
						_, _ = io.WriteString(w, echo)
					}
					return true
				})
				var res pinterest.Response
				op := opUpload
				op.NoBody = false
				err := safely(t, func() error {
					return c.Do(context.Background(), op, pinterest.Request{URL: u, Body: url.Values{"policy": secrets}, Secrets: secrets}, &struct{ X int }{}, pinterest.ResponseTo(&res))
				})
				_ = s
				res.Header = nil
				all := append(append([]string{}, hidden...), urlSecrets...)
				if err != nil {
					words(t, err)
					absent(t, "error", show(err), all...)
				}
				absent(t, "events", rec.text(), all...)
				absent(t, "Response", show(res), all...)
			})
		}
	}
}

// Promise: DryRun of an upload shows no secret; Request.Secrets are kept from what it shows of the body as well.
func TestStreamDryRun(t *testing.T) {
	_, c, u, rec := newStorage(t, "h1", nil)
	var d pinterest.DryRun
	if err := safely(t, func() error {
		return c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: url.Values{"policy": {formSecret}}, Secrets: []string{formSecret}}, nil, pinterest.DryRunTo(&d))
	}); err != nil {
		t.Fatal(err)
	}
	absent(t, "DryRun's URL and headers", d.URL+fmt.Sprint(d.Header), append(urlSecrets, formSecret)...)
	absent(t, "events", rec.text(), formSecret, signature)
	r := bytes.NewReader(content(50))
	if err := safely(t, func() error {
		return c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: &pinterest.Stream{Reader: r, ContentType: "a/b"}}, nil, pinterest.DryRunTo(&d))
	}); err != nil || r.Len() != 50 {
		t.Errorf("a dry run reads the stream: %d left, %v", r.Len(), err)
	}
}

// Promise: URL is https or http to loopback; others are refused before anything is sent, without showing the signature.
func TestOtherHostRefused(t *testing.T) {
	_, c, _, rec := newStorage(t, "h1", nil)
	for _, u := range []string{"http://files.example/x" + signed, "ftp://127.0.0.1/x" + signed, "//127.0.0.1/x" + signed, "/x" + signed, "https:///x" + signed, "https://u:" + signature + "@x.example/" + signed, "javascript:" + signed, "https://x.example:99999/" + signed, "http://127.0.0.1.evil.example/x" + signed, "http://localhost.evil.example/x" + signed} {
		err := c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: url.Values{"a": {"b"}}}, nil, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}))
		if err == nil {
			t.Errorf("%s: a success", u)
			continue
		}
		words(t, err)
		t.Log(err)
		absent(t, "error", show(err), urlSecrets...)
	}
	absent(t, "events", rec.text(), urlSecrets...)
}

// Promise: a create to another host is never sent twice without a lookup; a redirect by the storage is refused.
func TestStreamCreateAndRedirect(t *testing.T) {
	s, c, u, _ := newStorage(t, "h1", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(500)
		return true
	})
	op := opUpload
	op.Kind = pinterest.KindCreate
	err := safely(t, func() error {
		return c.Do(context.Background(), op, pinterest.Request{URL: u, Body: &pinterest.Stream{Reader: bytes.NewReader(content(99)), ContentType: "a/b"}}, nil)
	})
	if !errors.Is(err, pinterest.ErrUncertain) || s.n.Load() != 1 {
		t.Errorf("%d requests, %v", s.n.Load(), err)
	}
	var elsewhere int
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer evil.Close()
	_, c, u, _ = newStorage(t, "h1", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, evil.URL, http.StatusTemporaryRedirect)
		return true
	})
	if err := safely(t, func() error {
		return c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: &pinterest.Stream{Reader: bytes.NewReader(content(99)), ContentType: "a/b"}}, nil)
	}); err == nil || elsewhere != 0 {
		t.Errorf("redirected %d times, %v", elsewhere, err)
	}
}

// Promise: a cancelled upload ends at once and leaves no goroutine, also where the reader hangs.
func TestStreamCanceled(t *testing.T) {
	for _, proto := range protos {
		t.Run(proto, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Run("calls", func(t *testing.T) {
				_, c, u, _ := newStorage(t, proto, func(_ int, _ http.ResponseWriter, r *http.Request) bool {
					_, _ = io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
					return true
				})
				for i := range 4 {
					ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					pr, pw := io.Pipe()
					st := &pinterest.Stream{Reader: pr, Size: 1000, ContentType: "a/b"}
					if i%2 == 0 {
						st.Reader = bytes.NewReader(content(500000))
						st.Size = 0
					}
					start := time.Now()
					hang := time.AfterFunc(4*time.Second, func() { _ = pr.CloseWithError(errors.New("the test ends a hanging call")) })
					err := safely(t, func() error { return c.Do(ctx, opUpload, pinterest.Request{URL: u, Body: st}, nil) })
					hang.Stop()
					if err == nil || time.Since(start) > 3*time.Second || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%d: %v after %v", i, err, time.Since(start))
					}
					words(t, err)
					cancel()
					_ = pw.Close()
				}
			})
			goleak.VerifyNone(t, before)
		})
	}
}

// Promise: AttemptTimeout bounds the time without progress of an upload, not the whole transfer.
func TestStreamSlow(t *testing.T) {
	s, c, u, _ := newStorage(t, "h1", nil)
	pr, pw := io.Pipe()
	go func() {
		for range 20 {
			time.Sleep(30 * time.Millisecond)
			_, _ = pw.Write(make([]byte, 5))
		}
		_ = pw.Close()
	}()
	err := safely(t, func() error {
		return c.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: &pinterest.Stream{Reader: pr, Size: 100, ContentType: "a/b"}}, nil, pinterest.AttemptTimeout(300*time.Millisecond))
	})
	if err != nil || len((<-s.got).body) != 100 {
		t.Errorf("%v", err)
	}
}
