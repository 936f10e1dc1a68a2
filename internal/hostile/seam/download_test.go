package seam_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
)

const (
	signature = "SIGNATUREabcdef0123456789deadbeef"
	signed    = "?X-Amz-Algorithm=AWS4&X-Amz-Security-Token=STSTOKENxyz987&X-Amz-Signature=" + signature + "&plainparam=PLAINVALUE77"
)

var urlSecrets = []string{signature, "STSTOKENxyz987", "PLAINVALUE77", token}

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewSource(int64(n)))
	for i := range b {
		b[i] = "abcdefgh,1234567890\n"[r.Intn(20)]
	}
	return b
}

func zipped(b []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(b)
	_ = z.Close()
	return buf.Bytes()
}

// store is a server of files that breaks off.
type store struct {
	mu     sync.Mutex
	reqs   []*http.Request
	handle func(n int, w http.ResponseWriter, r *http.Request)
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.reqs = append(s.reqs, r)
	n := len(s.reqs)
	s.mu.Unlock()
	s.handle(n, w, r)
}

func (s *store) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.reqs...)
}

// send serves part of a file; after cut bytes of this answer the connection breaks (cut < 0: never).
func send(w http.ResponseWriter, r *http.Request, file []byte, etag string, ranges bool, cut int) {
	from := 0
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	if rg := r.Header.Get("Range"); ranges && rg != "" && (r.Header.Get("If-Range") == "" || r.Header.Get("If-Range") == etag) {
		_, err := fmt.Sscanf(rg, "bytes=%d-", &from)
		if err != nil || from >= len(file) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(file)))
			w.WriteHeader(416)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(file)-1, len(file)))
	}
	part := file[from:]
	w.Header().Set("Content-Length", strconv.Itoa(len(part)))
	if w.Header().Get("Content-Range") != "" {
		w.WriteHeader(206)
	}
	if cut >= 0 && cut < len(part) {
		_, _ = w.Write(part[:cut])
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(part)
}

type fetched struct {
	n    int64
	buf  bytes.Buffer
	err  error
	res  pinterest.Response
	rec  *recorder
	s    *store
	took time.Duration
}

func download(t *testing.T, proto string, handle func(n int, w http.ResponseWriter, r *http.Request), opts ...pinterest.CallOption) *fetched {
	t.Helper()
	s := &store{handle: handle}
	base, more := serve(t, proto, s)
	f := &fetched{rec: &recorder{}, s: s}
	c := client(t, "https://api.pinterest.example", append(more, f.rec.options()...)...)
	start := time.Now()
	panicked := func() (panicked bool) {
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("the library panics: %v", r)
				panicked = true
			}
		}()
		f.n, f.err = c.Download(context.Background(), base+"/reports/f.csv"+signed, &f.buf, append([]pinterest.CallOption{pinterest.ResponseTo(&f.res)}, opts...)...)
		return false
	}()
	if panicked {
		f.err, f.n = &pinterest.Error{Message: "panic"}, int64(f.buf.Len())
	}
	f.took = time.Since(start)
	for _, r := range s.requests() {
		for k, v := range r.Header {
			if k == "Authorization" || strings.Contains(strings.Join(v, " "), token) {
				t.Errorf("a credential was sent: %s: %v", k, v)
			}
		}
	}
	rest := f.res
	rest.Header = nil // TestResponseHeader looks at it
	shown := f.rec.text() + show(rest) + fmt.Sprint(f.res.Attempts, f.res.DecodeError)
	absent(t, "event, log or Response", shown, urlSecrets...)
	if f.err != nil {
		absent(t, "error", show(f.err), urlSecrets...)
		words(t, f.err)
		var e *pinterest.Error
		if !errors.As(f.err, &e) {
			t.Errorf("no *Error: %T %v", f.err, f.err)
		}
	}
	if int64(f.buf.Len()) != f.n {
		t.Errorf("returned %d, wrote %d", f.n, f.buf.Len())
	}
	return f
}

func (f *fetched) wantFile(t *testing.T, file []byte) {
	t.Helper()
	if f.err != nil || !bytes.Equal(f.buf.Bytes(), file) {
		t.Errorf("err %v, %d bytes of %d, requests %d", f.err, f.buf.Len(), len(file), len(f.s.requests()))
	}
}

// wantFailure: an error, and what was written is the beginning of the file.
func (f *fetched) wantFailure(t *testing.T, file []byte) {
	t.Helper()
	if f.err == nil {
		t.Errorf("a success with %d bytes of %d", f.buf.Len(), len(file))
	}
	if file != nil && !bytes.HasPrefix(file, f.buf.Bytes()) {
		t.Errorf("what was written is not the beginning of the file (%d bytes)", f.buf.Len())
	}
}

// Promise: a transfer that breaks off at any byte is resumed, with and without ranges, with and without gzip.
func TestDownloadResumes(t *testing.T) {
	for _, proto := range protos {
		for _, gz := range []bool{false, true} {
			for _, ranges := range []bool{true, false} {
				for _, etag := range []string{`"v1"`, `W/"v1"`, ""} {
					t.Run(fmt.Sprint(proto, gz, ranges, etag), func(t *testing.T) {
						t.Parallel()
						file := content(200)
						body := file
						if gz {
							body = zipped(file)
						}
						step := 1
						if proto == "h2" {
							step = 23
						}
						for cut := 0; cut <= len(body); cut += step {
							f := download(t, proto, func(n int, w http.ResponseWriter, r *http.Request) {
								c := -1
								if n == 1 {
									c = cut
								}
								send(w, r, body, etag, ranges, c)
							})
							f.wantFile(t, file)
						}
						// many breaks, each with some progress
						big := content(90000)
						body = big
						if gz {
							body = zipped(big)
						}
						f := download(t, proto, func(n int, w http.ResponseWriter, r *http.Request) {
							c := 9000 * n
							if n > 3 {
								c = -1
							}
							send(w, r, body, etag, ranges, c)
						})
						f.wantFile(t, big)
						rs := f.s.requests()
						if ranges && etag == `"v1"` && (rs[1].Header.Get("Range") == "" || rs[1].Header.Get("If-Range") != `"v1"`) {
							t.Errorf("not resumed: Range %q If-Range %q", rs[1].Header.Get("Range"), rs[1].Header.Get("If-Range"))
						}
					})
				}
			}
		}
	}
}

// Promise: lies in Content-Range, files changed in between and 206s that nobody asked for never give a wrong file as a success.
func TestDownloadLies(t *testing.T) {
	file, other := content(5000), content(5001)
	head := func(w http.ResponseWriter, r *http.Request) { send(w, r, file, `"v1"`, true, 2000) }
	for name, second := range map[string]func(w http.ResponseWriter, r *http.Request){
		"another file, etag ignored": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v2"`)
			w.Header().Set("Content-Range", "bytes 2000-5000/5001")
			w.WriteHeader(206)
			_, _ = w.Write(other[2000:])
		},
		"another file, whole": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			send(w, r, other, `"v2"`, true, -1)
		},
		"shorter file, whole": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			send(w, r, file[:1000], `"v2"`, true, -1)
		},
		"another total": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Range", "bytes 2000-4999/9000")
			w.WriteHeader(206)
			_, _ = w.Write(file[2000:])
		},
		"from another byte": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Range", "bytes 1000-4999/5000")
			w.WriteHeader(206)
			_, _ = w.Write(file[1000:])
		},
		"no Content-Range": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); _, _ = w.Write(file[1000:]) },
		"garbage Content-Range": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes -5--1/x")
			w.WriteHeader(206)
			_, _ = w.Write(file[1000:])
		},
		"ends early": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Range", "bytes 2000-2999/5000")
			w.WriteHeader(206)
			_, _ = w.Write(file[2000:3000])
		},
		"longer than it says": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Range", "bytes 2000-4999/5000")
			w.WriteHeader(206)
			_, _ = w.Write(append(append([]byte{}, file[2000:]...), "tail"...))
		},
		"multipart ranges": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "multipart/byteranges; boundary=x")
			w.WriteHeader(206)
			_, _ = io.WriteString(w, "--x\r\nContent-Range: bytes 2000-4999/5000\r\n\r\n")
		},
		"416": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes */2000")
			w.WriteHeader(416)
		},
		"416 bare": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(416) },
		"204":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"302": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere"+signed)
			w.WriteHeader(302)
		},
		"html 200": func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, "<html>maintenance</html>") },
	} {
		for _, always := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " always=", always), func(t *testing.T) {
				t.Parallel()
				f := download(t, "h1", func(n int, w http.ResponseWriter, r *http.Request) {
					switch {
					case n == 1:
						head(w, r)
					case always || n == 2:
						second(w, r)
					default:
						send(w, r, file, `"v1"`, true, -1)
					}
				})
				if f.err == nil {
					f.wantFile(t, file)
				} else {
					f.wantFailure(t, file)
				}
				t.Logf("requests %d, %d bytes, err %v", len(f.s.requests()), f.n, f.err)
			})
		}
	}
	t.Run("206 without being asked", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 1000-4999/5000")
			w.WriteHeader(206)
			_, _ = w.Write(file[1000:])
		})
		f.wantFailure(t, file)
	})
	t.Run("206 of the beginning without being asked", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-999/5000")
			w.WriteHeader(206)
			_, _ = w.Write(file[:1000])
		})
		f.wantFailure(t, file)
	})
}

// Promise: gzip is decompressed whether or not the server says so; truncated or damaged gzip is an error, a bomb is bounded.
func TestDownloadGzip(t *testing.T) {
	file := content(50000)
	z := zipped(file)
	for _, header := range []string{"", "gzip", "x-gzip", "identity", "GZIP"} {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Content-Encoding", header)
			}
			_, _ = w.Write(z)
		})
		t.Run("encoding "+header, func(t *testing.T) { f.wantFile(t, file) })
	}
	t.Run("two members", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(append([]byte{}, z...), z...))
		})
		f.wantFile(t, append(append([]byte{}, file...), file...))
	})
	t.Run("empty file", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		f.wantFile(t, nil)
		f = download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(zipped(nil)) })
		f.wantFile(t, nil)
	})
	t.Run("one byte files", func(t *testing.T) {
		for _, b := range []string{"\x1f", "\x1f\x8b", "x", "\x1f\x8bnot gzip at all"} {
			f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, b) })
			if f.err == nil && f.buf.String() != b {
				t.Errorf("%q gave %q", b, f.buf.String())
			}
		}
	})
	for _, cut := range []int{3, 11, 1000, len(z) - 9, len(z) - 4, len(z) - 1} {
		t.Run(fmt.Sprint("truncated at ", cut), func(t *testing.T) {
			f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(z[:cut]) })
			f.wantFailure(t, file)
		})
	}
	for _, at := range []int{1000, len(z) - 6, len(z) - 2} {
		t.Run(fmt.Sprint("damaged at ", at), func(t *testing.T) {
			bad := append([]byte{}, z...)
			bad[at] ^= 0x55
			f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bad) })
			if f.err == nil {
				t.Error("a success")
			}
		})
	}
	t.Run("garbage after it", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(append([]byte{}, z...), "garbage"...))
		})
		if f.err == nil {
			t.Error("a success")
		}
	})
	t.Run("bomb", func(t *testing.T) {
		bomb := zipped(make([]byte, 64<<20))
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bomb) }, pinterest.MaxDownload(1<<20))
		if f.err == nil || f.n > 1<<20 || !errors.Is(f.err, pinterest.ErrResponse) || len(f.s.requests()) != 1 {
			t.Errorf("err %v, wrote %d, requests %d", f.err, f.n, len(f.s.requests()))
		}
	})
	t.Run("nested", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped(z))
		})
		if f.err == nil && !bytes.Equal(f.buf.Bytes(), file) && !bytes.Equal(f.buf.Bytes(), z) {
			t.Error("neither")
		}
		t.Logf("err %v, decompressed twice: %v", f.err, bytes.Equal(f.buf.Bytes(), file))
	})
	t.Run("unknown encoding", func(t *testing.T) {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, "xyz")
		})
		t.Logf("err %v, %q", f.err, f.buf.String())
		if f.err == nil {
			t.Error("bytes in an encoding that is not decoded are a success")
		}
	})
}

// Promise: MaxDownload bounds the file; exactly that much is allowed.
func TestDownloadBound(t *testing.T) {
	file := content(5000)
	for _, length := range []bool{true, false} {
		for limit, ok := range map[int64]bool{4999: false, 5000: true, 1: false} {
			f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
				if length {
					w.Header().Set("Content-Length", "5000")
				} else {
					w.(http.Flusher).Flush()
				}
				_, _ = w.Write(file)
			}, pinterest.MaxDownload(limit))
			if ok {
				f.wantFile(t, file)
			} else if f.wantFailure(t, file); f.n > limit || len(f.s.requests()) != 1 || !errors.Is(f.err, pinterest.ErrResponse) {
				t.Errorf("limit %d: wrote %d, requests %d, %v", limit, f.n, len(f.s.requests()), f.err)
			}
		}
	}
	for _, bad := range []int64{0, -1} {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }, pinterest.MaxDownload(bad))
		t.Logf("MaxDownload(%d): %v, %d", bad, f.err, f.n)
	}
}

// Promise: errors of the store (XML) are classified: an expired URL is ErrNotFound, and neither the URL nor what the store echoes of it is shown.
func TestDownloadErrors(t *testing.T) {
	xml := func(r *http.Request, code string) string {
		return `<?xml version="1.0"?><Error><Code>` + code + `</Code><Message>Request has expired</Message><X-Amz-Expires>300</X-Amz-Expires><CanonicalRequest>GET
` + r.URL.RequestURI() + `</CanonicalRequest><SignatureProvided>` + signature + `</SignatureProvided><Token-0>STSTOKENxyz987</Token-0></Error>`
	}
	for status, want := range map[int]error{403: pinterest.ErrNotFound, 404: pinterest.ErrNotFound, 410: pinterest.ErrNotFound, 400: pinterest.ErrInvalid, 500: pinterest.ErrServer, 503: pinterest.ErrUnavailable, 401: nil, 302: nil, 429: pinterest.ErrThrottled, 206: nil} {
		for _, after := range []bool{false, true} {
			f := download(t, "h1", func(n int, w http.ResponseWriter, r *http.Request) {
				if after && n == 1 {
					send(w, r, content(5000), `"v"`, true, 700)
					return
				}
				w.Header().Set("Location", "https://other.example/x"+signed)
				w.Header().Set("Content-Type", "application/xml")
				w.Header().Set("X-Echo", r.URL.RequestURI())
				w.WriteHeader(status)
				_, _ = io.WriteString(w, xml(r, "AccessDenied"))
			})
			if f.err == nil || want != nil && !errors.Is(f.err, want) {
				t.Errorf("%d after=%v: %v", status, after, f.err)
			} else {
				t.Logf("%d after=%v: %d requests, %v", status, after, len(f.s.requests()), f.err)
			}
			if status == 401 && errors.Is(f.err, pinterest.ErrUnauthenticated) {
				if e := failure(t, f.err); e.Disposition == pinterest.DispositionReauthorize {
					t.Errorf("a 401 of a file store says that the account has to be connected again: %v", f.err)
				}
			}
		}
	}
	// the URL itself: bad ones, with the signature in them
	c := client(t, "https://api.pinterest.example")
	for _, u := range []string{"", "ftp://x.example/f" + signed, "http://files.example/f" + signed, "https://user:" + signature + "@127.0.0.1:1/f", "://" + signed, "https://127.0.0.1:1/f" + signed, "/f" + signed, "https://nohost.invalid/%zz" + signed, "https://[::1" + signed} {
		rec := &recorder{}
		c = client(t, "https://api.pinterest.example", append(rec.options(), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2}))...)
		var err error
		func() {
			defer noPanic(t)
			_, err = c.Download(context.Background(), u, io.Discard)
		}()
		if err == nil {
			t.Errorf("%s: a success", u)
			continue
		}
		words(t, err)
		absent(t, "error of "+u[:min(len(u), 12)], show(err), urlSecrets...)
		absent(t, "events of "+u[:min(len(u), 12)], rec.text(), urlSecrets...)
	}
}

// Promise: neither the URL nor its signature stands in the Response, where the server echoes it in headers.
func TestResponseHeader(t *testing.T) {
	for _, status := range []int{200, 302, 403} {
		f := download(t, "h1", func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://other.example/x"+signed)
			w.Header().Set("X-Echo", r.URL.RequestURI())
			w.WriteHeader(status)
		})
		absent(t, fmt.Sprint("Response.Header of a ", status), fmt.Sprint(f.res.Header), urlSecrets...)
	}
}

type badWriter struct {
	after int
	n     int
	short bool
}

func (b *badWriter) Write(p []byte) (int, error) {
	if b.n+len(p) > b.after {
		k := max(0, b.after-b.n)
		b.n += k
		if b.short {
			return k, nil
		}
		return k, errors.New("disk full of " + signature)
	}
	b.n += len(p)
	return len(p), nil
}

// Promise: a writer that fails ends the call at once, as ErrResponse (its error is a cause); a short write is an error.
func TestDownloadWriterFails(t *testing.T) {
	for _, short := range []bool{false, true} {
		s := &store{handle: func(_ int, w http.ResponseWriter, r *http.Request) { send(w, r, content(100000), `"v"`, true, -1) }}
		base, more := serve(t, "h1", s)
		c := client(t, "https://api.pinterest.example", more...)
		w := &badWriter{after: 40000, short: short}
		var n int64
		var err error
		func() {
			defer noPanic(t)
			n, err = c.Download(context.Background(), base+"/f"+signed, w)
		}()
		if err == nil || !errors.Is(err, pinterest.ErrResponse) || n != 40000 || len(s.requests()) != 1 {
			t.Errorf("short %v: n %d, %v, %d requests", short, n, err, len(s.requests()))
		}
		words(t, err)
		t.Log(err)
	}
	c := client(t, "https://api.pinterest.example")
	func() {
		defer noPanic(t)
		if _, err := c.Download(context.Background(), "https://127.0.0.1:1/f", nil); err == nil {
			t.Error("a nil writer is accepted")
		}
	}()
}

// Promise: AttemptTimeout bounds the time without progress, not the transfer: a slow drip is finished, a silent one is tried again.
func TestDownloadDrips(t *testing.T) {
	file := content(40)
	f := download(t, "h1", func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "40")
		for i := range file {
			_, _ = w.Write(file[i : i+1])
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}, pinterest.AttemptTimeout(300*time.Millisecond))
	f.wantFile(t, file)
	if len(f.s.requests()) != 1 {
		t.Errorf("%d requests", len(f.s.requests()))
	}
	f = download(t, "h1", func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Content-Length", "40")
			w.Header().Set("ETag", `"v"`)
			_, _ = w.Write(file[:10])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		send(w, r, file, `"v"`, true, -1)
	}, pinterest.AttemptTimeout(200*time.Millisecond))
	f.wantFile(t, file)
	f = download(t, "h1", func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		pinterest.AttemptTimeout(50*time.Millisecond), pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 2, AttemptTimeout: 50 * time.Millisecond}))
	f.wantFailure(t, file)
	if f.took > 5*time.Second {
		t.Errorf("took %v", f.took)
	}
}

// Promise: cancellation ends a download at once, also where the writer was slow, and leaves no goroutine.
func TestDownloadCanceled(t *testing.T) {
	for _, proto := range protos {
		t.Run(proto, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			func() {
				s := &store{handle: func(_ int, w http.ResponseWriter, r *http.Request) {
					_, _ = w.Write(content(1000))
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				}}
				var base string
				var more []pinterest.Option
				t.Run("calls", func(t *testing.T) {
					base, more = serve(t, proto, s)
					c := client(t, "https://api.pinterest.example", more...)
					for range 5 {
						ctx, cancel := context.WithCancel(context.Background())
						pr, pw := io.Pipe()
						go func() {
							_, _ = pr.Read(make([]byte, 10))
							cancel()
							time.Sleep(10 * time.Millisecond)
							_, _ = io.Copy(io.Discard, pr)
						}()
						start := time.Now()
						err := safely(t, func() error {
							_, err := c.Download(ctx, base+"/f"+signed, pw)
							return err
						})
						_ = pw.Close()
						if !errors.Is(err, context.Canceled) || !errors.Is(err, pinterest.ErrCanceled) || time.Since(start) > 2*time.Second {
							t.Errorf("%v after %v", err, time.Since(start))
						}
						words(t, err)
						absent(t, "error", show(err), urlSecrets...)
						cancel()
					}
				})
			}()
			goleak.VerifyNone(t, before)
		})
	}
}

// Promise: a redirect is refused, and the URL's host gets nothing of the API's; the same host as the API's gets no token either.
func TestDownloadFromTheAPIHost(t *testing.T) {
	s := &store{handle: func(_ int, w http.ResponseWriter, r *http.Request) { send(w, r, []byte("x"), "", true, -1) }}
	base, more := serve(t, "h1", s)
	c := client(t, base, more...)
	if _, err := c.Download(context.Background(), base+"/v5/f"+signed, io.Discard); err != nil {
		t.Error(err)
	}
	if got := s.requests()[0].Header.Get("Authorization"); got != "" {
		t.Errorf("Authorization %q", got)
	}
	if _, err := c.Download(context.Background(), base+"/v5/f"+signed, io.Discard, pinterest.UsingToken("pina_OTHERTOKEN1234567890")); err == nil {
		if got := s.requests()[len(s.requests())-1].Header.Get("Authorization"); got != "" {
			t.Errorf("Authorization %q with UsingToken", got)
		}
	}
}
