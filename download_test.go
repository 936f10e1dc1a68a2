package pinterest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// fileRules are the rules that only a download meets: TestDownloadOfAnUnusableFile.
var fileRules = map[string]bool{"unusable file": true}

// storage serves one file, as a storage of signed URLs does, and breaks off.
type storage struct {
	*httptest.Server
	clock *fakeClock

	mu       sync.Mutex
	file     []byte
	etag     string
	cuts     []int // how many bytes an answer sends before it breaks off; then whole
	noRange  bool  // it sends the whole file, whatever is asked for
	noLength bool  // it does not tell the length
	change   func(s *storage, r *http.Request, h http.Header)
	handler  http.HandlerFunc // in place of all that
	requests []*http.Request
}

func newStorage(t testing.TB, file []byte) *storage {
	t.Helper()
	s := &storage{file: file, etag: `"v1"`, clock: newClock()}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *storage) signedURL() string {
	return s.URL + "/report.csv?X-Amz-Expires=3600&X-Amz-Credential=" + credential + "%2Feu%2Fs3&X-Amz-Signature=" + signature + "&sig=s%2Bec%2Fret;broken"
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	if s.handler != nil {
		s.handler(w, r)
		return
	}
	h := w.Header()
	h.Set("ETag", s.etag)
	if s.change != nil {
		s.change(s, r, h)
	}
	body, status := s.file, http.StatusOK
	if span := r.Header.Get("Range"); span != "" && !s.noRange && (r.Header.Get("If-Range") == s.etag) {
		start, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(span, "bytes="), "-"))
		if err != nil || start >= len(s.file) {
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", len(s.file)))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		if h.Get("Content-Range") == "" {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(s.file)-1, len(s.file)))
		}
		body, status = body[start:], http.StatusPartialContent
	}
	if !s.noLength {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	n := len(body)
	if len(s.cuts) > 0 {
		n, s.cuts = min(n, s.cuts[0]), s.cuts[1:]
		defer panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body[:n])
	_ = http.NewResponseController(w).Flush()
}

func (s *storage) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *storage) client(t testing.TB, opts ...pinterest.Option) *pinterest.Client {
	t.Helper()
	c, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken(accessToken), pinterest.WithClock(s.clock), pinterest.WithRetry(exact), pinterest.WithHTTPClient(ownClient(t, nil)),
	}, opts...)...)
	require.NoError(t, err)
	return c
}

// download downloads the file.
func (s *storage) download(t testing.TB, opts ...pinterest.CallOption) (string, error) {
	t.Helper()
	var b bytes.Buffer
	var n int64
	err := promptly(t, func() (err error) {
		n, err = s.client(t).Download(context.Background(), s.signedURL(), &b, opts...)
		return err
	})
	assert.EqualValues(t, b.Len(), n, "the bytes that were written are counted")
	return b.String(), err
}

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// Wherever the transfer breaks off, the file arrives once and whole.
func TestDownloadGoesOnAfterABreakAtAnyByte(t *testing.T) {
	t.Parallel()
	const text = "id,clicks\n1,2\n3,4\n"
	for name, change := range map[string]func(*storage){
		"ranges":            func(*storage) {},
		"no ranges":         func(s *storage) { s.noRange = true },
		"no length":         func(s *storage) { s.noLength = true },
		"no version":        func(s *storage) { s.change = func(_ *storage, _ *http.Request, h http.Header) { h.Del("ETag") } },
		"no length, ranges": func(s *storage) { s.noLength, s.noRange = true, true },
	} {
		for kind, file := range map[string][]byte{"plain": []byte(text), "gzip": zipped(t, text)} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := newStorage(t, file)
				change(s)
				for cut := range len(file) + 1 {
					s.mu.Lock()
					s.cuts = []int{cut, 0, 1}
					s.mu.Unlock()
					got, err := s.download(t)
					require.NoError(t, err, "cut at %d", cut)
					require.Equal(t, text, got, "cut at %d", cut)
				}
			})
		}
	}
}

func TestDownloadAsksForTheRest(t *testing.T) {
	t.Parallel()
	s := newStorage(t, []byte("0123456789"))
	s.cuts = []int{4, 0, 3}
	got, err := s.download(t)
	require.NoError(t, err)
	assert.Equal(t, "0123456789", got)
	var asked []string
	for _, r := range s.requests {
		asked = append(asked, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
		assert.Empty(t, r.Header.Get("Authorization"), "no credential leaves for another host")
		assert.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
	}
	assert.Equal(t, []string{" ", `bytes=4- "v1"`, `bytes=4- "v1"`, `bytes=7- "v1"`}, asked)
	assert.Equal(t, seconds(2, 4, 2), s.clock.sleeps(), "progress begins the waits anew")
}

func TestDownloadOfSmallFiles(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "\x1f", "xy"} {
		for _, noLength := range []bool{false, true} {
			s := newStorage(t, []byte(text))
			s.noLength = noLength
			got, err := s.download(t)
			require.NoError(t, err)
			assert.Equal(t, text, got)
		}
	}
	got, err := newStorage(t, zipped(t, "")).download(t)
	require.NoError(t, err)
	assert.Empty(t, got)
	got, err = newStorage(t, append(zipped(t, "a"), zipped(t, "b")...)).download(t)
	require.NoError(t, err)
	assert.Equal(t, "ab", got, "a gzip file may have several parts")
}

func TestDownloadOfALargeFile(t *testing.T) {
	t.Parallel()
	text := digits(3 << 20)
	s := newStorage(t, zipped(t, text))
	s.cuts = []int{70_000, 300_001, 5, 0, 400_000}
	got, err := s.download(t, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 3}))
	require.NoError(t, err, "attempts that made progress do not count")
	assertSame(t, text, got)
}

func TestDownloadWithoutProgressEnds(t *testing.T) {
	t.Parallel()
	s := newStorage(t, []byte("0123456789"))
	s.cuts = []int{3, 0, 0, 0, 0, 0, 0, 0, 0}
	got, err := s.download(t)
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrTransport)
	assert.Equal(t, park, e.Disposition)
	assert.Equal(t, "012", got)
	assert.Len(t, e.Attempts, 5, "the one that made progress counts as the first")

	s = newStorage(t, []byte("0123456789"))
	s.cuts = []int{3}
	_, err = s.download(t, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}))
	assert.ErrorIs(t, err, pinterest.ErrTransport, "one attempt is one attempt")
	assert.Equal(t, 1, s.count())
}

// What cannot be used, however often it is asked for.
func TestDownloadOfAnUnusableFile(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 10_000)
	for name, tt := range map[string]struct {
		file     []byte
		prepare  func(*storage)
		opts     []pinterest.CallOption
		want     string // of the error
		requests int    // 0: 1
	}{
		"damaged gzip":   {file: []byte("\x1f\x8bnonsense, this is"), want: "decompressing the file"},
		"truncated gzip": {file: zipped(t, text)[:100], want: "decompressing the file: unexpected EOF"},
		"only magic":     {file: []byte("\x1f\x8b"), want: "decompressing the file"},
		"trailing bytes": {file: append(zipped(t, text), "garbage, and more"...), want: "decompressing the file"},
		"too long":       {file: []byte(text), opts: []pinterest.CallOption{pinterest.MaxDownload(99)}, want: "the file is longer than 99 bytes"},
		"too long, length not told": {
			file: []byte(text), prepare: func(s *storage) { s.noLength = true },
			opts: []pinterest.CallOption{pinterest.MaxDownload(99_999)}, want: "the file is longer than 99999 bytes",
		},
		"a bomb": {file: zipped(t, strings.Repeat("\x00", 5<<20)), opts: []pinterest.CallOption{pinterest.MaxDownload(1 << 20)}, want: "decompressed, is longer than 1048576 bytes"},
		"encoding": {file: []byte("x"), prepare: func(s *storage) {
			s.change = func(_ *storage, _ *http.Request, h http.Header) { h.Set("Content-Encoding", "br") }
		}, want: `the encoding "br"`},
		"no file": {prepare: func(s *storage) {
			s.handler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
		}, want: "the server answered 204"},
		"accepted": {prepare: func(s *storage) {
			s.handler = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusAccepted)
				_, _ = io.WriteString(w, "later")
			}
		}, want: "the server answered 202"},
		"another file":    {file: []byte(text), prepare: changes(func(s *storage) { s.file, s.etag = bytes.Repeat([]byte("9876543210"), 10_000), `"v2"` }), want: "the file changed", requests: 2},
		"another length":  {file: []byte(text), prepare: changes(func(s *storage) { s.file, s.etag = []byte(text+"x"), `"v2"` }), want: "the file changed", requests: 2},
		"a shorter file":  {file: []byte(text), prepare: changes(func(s *storage) { s.file, s.etag, s.noLength = []byte(text[:40]), `"v2"`, true }), want: "the file changed", requests: 2},
		"no If-Range":     {file: []byte(text), prepare: changes(func(s *storage) { s.change = ignoreIfRange; s.file = []byte(text + text) }), want: "the file changed", requests: 3},
		"the same length": {file: []byte(text), prepare: changes(func(s *storage) { s.change = ignoreIfRange; s.file = bytes.Repeat([]byte("9876543210"), 10_000) }), want: "the file changed", requests: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorage(t, tt.file)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			_, err := s.download(t, tt.opts...)
			e := failure(t, err)
			assert.ErrorIs(t, err, pinterest.ErrResponse)
			assert.Equal(t, "unusable file", e.Rule)
			assert.Equal(t, review, e.Disposition)
			assert.ErrorContains(t, err, tt.want)
			assert.Equal(t, max(1, tt.requests), s.count())
			assertErrorClean(t, err)
		})
	}
}

// changes has the first answer break off after 50 bytes, and f called before the second.
func changes(f func(*storage)) func(*storage) {
	return func(s *storage) {
		s.cuts = []int{50}
		s.change = func(s *storage, r *http.Request, h http.Header) {
			if len(s.requests) == 2 {
				s.change = nil
				f(s)
				if s.change != nil {
					s.change(s, r, h)
				}
				h.Set("ETag", s.etag)
			}
		}
	}
}

// ignoreIfRange is a server that goes on in the middle of whatever there is.
func ignoreIfRange(s *storage, r *http.Request, h http.Header) {
	s.etag = `"v2"`
	h.Set("ETag", s.etag)
	if r.Header.Get("If-Range") != "" {
		r.Header.Set("If-Range", s.etag)
	}
}

// Answers to a request for the rest that are not the rest.
func TestDownloadWithStrangeRanges(t *testing.T) {
	t.Parallel()
	const text = "0123456789"
	rest := func(status int, contentRange, body string) func(*storage) {
		return func(s *storage) {
			s.cuts = []int{4}
			s.change = func(s *storage, _ *http.Request, _ http.Header) {
				if len(s.requests) != 1 {
					return
				}
				s.handler = func(w http.ResponseWriter, _ *http.Request) {
					s.handler = nil
					if contentRange != "" {
						w.Header().Set("Content-Range", contentRange)
					}
					w.WriteHeader(status)
					_, _ = io.WriteString(w, body)
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		prepare  func(*storage)
		requests int
	}{
		"elsewhere":           {rest(206, "bytes 5-9/10", "56789"), 3},
		"earlier":             {rest(206, "bytes 2-9/10", "23456789"), 3},
		"no Content-Range":    {rest(206, "", "456789"), 3},
		"several parts":       {rest(206, "multipart/byteranges", "456789"), 3},
		"not a number":        {rest(206, "bytes x-y/z", "456789"), 3},
		"another total":       {rest(206, "bytes 4-9/11", "456789"), 3},
		"the beginning":       {rest(206, "bytes 0-9/10", text), 2},
		"total not told":      {rest(206, "bytes 4-9/*", "456789"), 2},
		"a part of the rest":  {rest(206, "bytes 4-5/10", "45"), 3},
		"416":                 {rest(416, "bytes */10", ""), 3},
		"416, another length": {rest(416, "bytes */3", ""), 3},
		"416, no length":      {rest(416, "", "<Error><Code>InvalidRange</Code></Error>"), 3},
		"503":                 {rest(503, "", "<Error><Code>SlowDown</Code></Error>"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorage(t, []byte(text))
			tt.prepare(s)
			got, err := s.download(t)
			require.NoError(t, err)
			assert.Equal(t, text, got)
			assert.Equal(t, tt.requests, s.count())
		})
	}
	t.Run("416 behind the last byte", func(t *testing.T) {
		t.Parallel()
		s := newStorage(t, []byte(text))
		s.noLength, s.cuts = true, []int{10}
		got, err := s.download(t)
		require.NoError(t, err)
		assert.Equal(t, text, got)
		assert.Equal(t, 2, s.count())
	})
	t.Run("a first answer that is a part", func(t *testing.T) {
		t.Parallel()
		s := newStorage(t, []byte(text))
		s.handler = func(w http.ResponseWriter, _ *http.Request) {
			s.handler = nil
			w.Header().Set("ETag", s.etag)
			w.Header().Set("Content-Range", "bytes 0-3/10")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, text[:4])
		}
		got, err := s.download(t)
		require.NoError(t, err)
		assert.Equal(t, text, got)
	})
}

// A time tells two versions apart only when it is older than the answer.
func TestDownloadByLastModified(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		etag string
		age  time.Duration
		want bool
	}{"older": {"", time.Minute, true}, "weak tag": {`W/"1"`, time.Minute, true}, "just now": {"", 0, false}} {
		s := newStorage(t, []byte("0123456789"))
		s.cuts = []int{4}
		modified := time.Now().Add(-tt.age).UTC().Format(http.TimeFormat)
		s.change = func(s *storage, r *http.Request, h http.Header) {
			h.Set("ETag", tt.etag)
			h.Set("Last-Modified", modified)
			h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			if tt.age == 0 {
				h.Set("Last-Modified", h.Get("Date"))
			}
			if r.Header.Get("If-Range") == modified {
				r.Header.Set("If-Range", s.etag)
			}
		}
		got, err := s.download(t)
		require.NoError(t, err, name)
		assert.Equal(t, "0123456789", got)
		assert.Equal(t, tt.want, s.requests[1].Header.Get("Range") != "", name)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestDownloadToAWriterThatFails(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	text := strings.Repeat("0123456789", 20_000)
	for kind, file := range map[string][]byte{"plain": []byte(text), "gzip": zipped(t, text), "one byte": []byte("x")} {
		s := newStorage(t, file)
		n, err := s.client(t).Download(t.Context(), s.signedURL(), writerFunc(func([]byte) (int, error) { return 0, full }))
		assert.ErrorIs(t, err, full, kind)
		assert.ErrorIs(t, err, pinterest.ErrResponse, kind)
		assert.Zero(t, n)
		assert.Equal(t, 1, s.count(), "it is not asked for again")

		s = newStorage(t, file)
		_, err = s.client(t).Download(t.Context(), s.signedURL(), writerFunc(func(p []byte) (int, error) { return len(p) - 1, nil }))
		assert.ErrorIs(t, err, io.ErrShortWrite, kind)
	}
}

// A slow writer costs nothing of the time that the server has.
func TestDownloadToASlowWriter(t *testing.T) {
	t.Parallel()
	for kind, file := range map[string][]byte{"plain": bytes.Repeat([]byte("0123456789"), 50_000), "gzip": zipped(t, strings.Repeat("0123456789", 50_000))} {
		s := newStorage(t, file)
		var got int
		n, err := s.client(t).Download(t.Context(), s.signedURL(), writerFunc(func(p []byte) (int, error) {
			if got == 0 {
				time.Sleep(1500 * time.Millisecond) // real timers end attempts
			}
			got += len(p)
			return len(p), nil
		}), pinterest.AttemptTimeout(time.Second))
		require.NoError(t, err, kind)
		assert.EqualValues(t, 500_000, n)
		assert.Equal(t, 1, s.count())
	}
}

func TestDownloadFromAServerThatIsStuck(t *testing.T) {
	t.Parallel()
	s := newStorage(t, []byte("0123456789"))
	stuck := make(chan struct{})
	defer close(stuck)
	inner := s.Config.Handler
	var once sync.Once
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := false
		once.Do(func() { first = true })
		if !first {
			inner.ServeHTTP(w, r)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "0123")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	})
	got, err := s.download(t, pinterest.AttemptTimeout(2*time.Second))
	require.NoError(t, err)
	assert.Equal(t, "0123456789", got)
	assert.Equal(t, 1, s.count())
	assert.Equal(t, "bytes=4-", s.requests[0].Header.Get("Range"))
}

func TestDownloadIsCanceled(t *testing.T) {
	t.Parallel()
	text := digits(5 << 20)
	for kind, file := range map[string][]byte{"plain": []byte(text), "gzip": zipped(t, text)} {
		s := newStorage(t, file)
		ctx, cancel := context.WithCancel(t.Context())
		var n int64
		err := promptly(t, func() (err error) {
			n, err = s.client(t).Download(ctx, s.signedURL(), writerFunc(func(p []byte) (int, error) {
				if ctx.Err() == nil {
					cancel()
					time.Sleep(100 * time.Millisecond) // until the connection has noticed
				}
				return len(p), nil
			}))
			return err
		})
		assert.ErrorIs(t, err, pinterest.ErrCanceled, kind)
		assert.ErrorIs(t, err, context.Canceled, kind)
		assert.Positive(t, n)
		assert.Less(t, n, int64(len(text)))
		assert.Equal(t, 1, s.count())
	}
}

// digits returns text that cannot be compressed to less than half.
func digits(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = "0123456789,\n"[rand.IntN(12)]
	}
	return string(text)
}

// The storage's own words, in XML, and the query of the URL nowhere.
func TestDownloadOfAnExpiredURL(t *testing.T) {
	t.Parallel()
	for message, tt := range map[string]struct {
		status int
		code   string
		rule   string
		class  error
		after  pinterest.Disposition
	}{
		"Request has expired":            {403, "AccessDenied", "URL expired", pinterest.ErrNotFound, fix},
		"The provided token has expired": {400, "ExpiredToken", "URL expired 400", pinterest.ErrNotFound, fix},
		"Access Denied":                  {403, "AccessDenied", "forbidden", pinterest.ErrForbidden, review},
		"no such key":                    {404, "NoSuchKey", "not found", pinterest.ErrNotFound, fix},
		"unauthorized":                   {401, "Unauthorized", "unauthenticated", pinterest.ErrUnauthenticated, review},
	} {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			s := newStorage(t, nil)
			s.handler = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message><Url>%s</Url><Q>%s</Q><S>%s</S></Error>`,
					tt.code, message, strings.ReplaceAll(r.URL.String(), "&", "&amp;"), r.URL.Query().Get("X-Amz-Credential"), r.URL.RawQuery[:60])
			}
			var seen recorder
			var logged bytes.Buffer
			var res pinterest.Response
			c := s.client(t, pinterest.WithObserver(seen.observe), pinterest.WithLogger(slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))))
			_, err := c.Download(t.Context(), s.signedURL(), io.Discard, pinterest.ResponseTo(&res))
			e := failure(t, err)
			assert.ErrorIs(t, err, tt.class)
			assert.Equal(t, tt.rule, e.Rule)
			assert.Equal(t, tt.after, e.Disposition)
			assert.Equal(t, message, e.Message)
			assert.Equal(t, tt.code, e.CodeName)
			assert.Equal(t, 1, s.count())
			assertErrorClean(t, err)
			text := fmt.Sprintf("%+v %+v %s %s", res, seen.all(), logged.String(), e.Body)
			for _, secret := range []string{signature, credential, "s%2Bec", "s+ec"} {
				assert.NotContains(t, text+fmt.Sprintf("%#v", err), secret)
			}
		})
	}
}

func TestDownloadDryRunAndRefusals(t *testing.T) {
	t.Parallel()
	s := newStorage(t, []byte("x"))
	c := s.client(t)
	var dry pinterest.DryRun
	n, err := c.Download(t.Context(), s.signedURL(), io.Discard, pinterest.DryRunTo(&dry))
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Equal(t, s.URL+"/report.csv?[redacted]", dry.URL)
	assert.Empty(t, dry.Header.Get("Authorization"))

	for name, call := range map[string]func() error{
		"no writer": func() error { _, err := c.Download(t.Context(), s.signedURL(), nil); return err },
		"no URL":    func() error { _, err := c.Download(t.Context(), "", io.Discard); return err },
		"plain http": func() error {
			_, err := c.Download(t.Context(), "http://files.example/x?sig="+signature, io.Discard)
			return err
		},
		"relative": func() error { _, err := c.Download(t.Context(), "/x?sig="+signature, io.Discard); return err },
		"password": func() error { _, err := c.Download(t.Context(), "https://u:p@files.example/x", io.Discard); return err },
		"limit": func() error {
			_, err := c.Download(t.Context(), s.signedURL(), io.Discard, pinterest.MaxDownload(-1))
			return err
		},
	} {
		err := call()
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		assertErrorClean(t, err)
	}
	assert.Zero(t, s.count())
}

// Files are not Pinterest's quota, and their host is not Pinterest's clock.
func TestDownloadIsNotPaced(t *testing.T) {
	t.Parallel()
	s := newStorage(t, []byte("x"))
	s.change = func(_ *storage, _ *http.Request, h http.Header) { h.Set("X-RateLimit-Remaining", "0") }
	c := s.client(t, pinterest.WithLimiter(refusingLimiter{t: t}))
	_, err := c.Download(t.Context(), s.signedURL(), io.Discard)
	require.NoError(t, err)
}

// refusingLimiter must not be asked.
type refusingLimiter struct {
	pinterest.Limiter

	t *testing.T
}

func (l refusingLimiter) Wait(context.Context, pinterest.Permit) error {
	l.t.Error("the limiter was asked")
	return nil
}

func (l refusingLimiter) Observe(context.Context, pinterest.Permit, pinterest.RateLimit) {
	l.t.Error("the limiter was told")
}

func (l refusingLimiter) Penalize(context.Context, pinterest.Permit, pinterest.RateLimit, time.Duration) {
	l.t.Error("the limiter was told")
}

// A server that ends the connection where the length is not told: only the file's
// own form can show that it is cut off.
func TestDownloadOfWhatEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	file := zipped(t, "0123456789")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\n\r\n%s", file[:len(file)-4])
			_ = conn.Close()
		}
	}()
	s := newStorage(t, nil)
	_, err = s.client(t).Download(t.Context(), "http://"+l.Addr().String()+"/x", io.Discard)
	assert.ErrorContains(t, err, "decompressing the file: unexpected EOF")
	data, err := json.Marshal(failure(t, err))
	require.NoError(t, err)
	assert.Contains(t, string(data), "unusable file")
}
