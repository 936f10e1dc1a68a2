package pinterest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

var (
	opUpload       = pinterest.Operation{ID: "media/upload", Method: http.MethodPut}
	opUploadCreate = pinterest.Operation{ID: "media/post", Method: http.MethodPost}
)

// sink takes uploads. Its answers are given in order; then 204.
type sink struct {
	*httptest.Server

	mu       sync.Mutex
	answers  []func(w http.ResponseWriter, r *http.Request)
	bodies   []string
	requests []*http.Request
}

func newSink(t testing.TB, proto string, answers ...func(http.ResponseWriter, *http.Request)) *sink {
	t.Helper()
	s := &sink{answers: answers}
	s.Server = httptest.NewUnstartedServer(s)
	s.EnableHTTP2 = proto == "HTTP/2.0"
	if s.EnableHTTP2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	answer := func(w http.ResponseWriter, r *http.Request) { s.keep(r); w.WriteHeader(http.StatusNoContent) }
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	answer(w, r)
}

// assertSame compares long texts without printing them.
func assertSame(t testing.TB, want, got string) {
	t.Helper()
	if got != want {
		t.Errorf("got %d bytes, want %d others", len(got), len(want))
	}
}

// keep reads the whole body and keeps it.
func (s *sink) keep(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(body))
}

func (s *sink) received() (requests int, bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests), s.bodies
}

func (s *sink) upload(t testing.TB, op pinterest.Operation, stream *pinterest.Stream, opts ...pinterest.CallOption) error {
	t.Helper()
	c, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithClock(newClock()), pinterest.WithRetry(exact), pinterest.WithHTTPClient(s.Client()))
	require.NoError(t, err)
	return promptly(t, func() error {
		return c.Do(context.Background(), op, pinterest.Request{URL: s.URL + "/upload?X-Amz-Signature=" + signature, Body: stream}, nil, opts...)
	})
}

// fails answers with a status after it has read the body, or a part of it.
func fails(status int, part int64) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, part)
		w.WriteHeader(status)
	}
}

func aborts(w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	panic(http.ErrAbortHandler)
}

// The readers that a stream can have.
type (
	onlyReader struct{ io.Reader }
	onlySeeker struct {
		r *bytes.Reader
	}
	onlyReaderAt struct {
		io.Reader
		io.ReaderAt
	}
)

func (s onlySeeker) Read(p []byte) (int, error)                { return s.r.Read(p) }
func (s onlySeeker) Seek(off int64, whence int) (int64, error) { return s.r.Seek(off, whence) }

func eachProto(t *testing.T, f func(t *testing.T, proto string)) {
	t.Helper()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			f(t, proto)
		})
	}
}

func TestStreamIsSentAgainFromWhereItStood(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 50_000)
	file := filepath.Join(t.TempDir(), "video.mp4")
	require.NoError(t, os.WriteFile(file, []byte("skipped"+content), 0o600))
	readers := map[string]func(t *testing.T) (io.Reader, int64){
		"bytes": func(*testing.T) (io.Reader, int64) { return strings.NewReader(content), 0 },
		"file, at an offset": func(t *testing.T) (io.Reader, int64) {
			f, err := os.Open(file)
			require.NoError(t, err)
			t.Cleanup(func() { _ = f.Close() })
			_, err = f.Seek(7, io.SeekStart)
			require.NoError(t, err)
			return f, 0
		},
		"seeker, at an offset": func(*testing.T) (io.Reader, int64) {
			r := bytes.NewReader([]byte("skipped" + content))
			_, _ = r.Seek(7, io.SeekStart)
			return onlySeeker{r}, int64(len(content))
		},
	}
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachProto(t, func(t *testing.T, proto string) {
				s := newSink(t, proto, fails(503, 1<<20), fails(500, 0), aborts, fails(429, 70_000))
				r, size := reader(t)
				require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: r, Size: size, ContentType: "video/mp4"}))
				n, bodies := s.received()
				assert.Equal(t, 5, n)
				require.Len(t, bodies, 1)
				assertSame(t, content, bodies[0])
				for _, req := range s.requests {
					assert.EqualValues(t, len(content), req.ContentLength)
					assert.Equal(t, "video/mp4", req.Header.Get("Content-Type"))
					assert.Empty(t, req.Header.Get("Authorization"))
					assert.Equal(t, proto, req.Proto)
				}
			})
		})
	}
}

// Nothing tells where a reader stands that has ReadAt and cannot seek. It is read
// like any other that cannot, so that nothing of it is lost or sent by mistake.
func TestStreamWithReadAtOnly(t *testing.T) {
	t.Parallel()
	eachProto(t, func(t *testing.T, proto string) {
		reader := func(from int64) onlyReaderAt {
			r := strings.NewReader("0123456789")
			_, _ = r.Seek(from, io.SeekStart)
			return onlyReaderAt{r, r}
		}
		s := newSink(t, proto)
		require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: reader(4), Size: 6, ContentType: "x/y"}))
		_, bodies := s.received()
		assert.Equal(t, []string{"456789"}, bodies)

		s = newSink(t, proto)
		err := s.upload(t, opUpload, &pinterest.Stream{Reader: reader(0), Size: 6, ContentType: "x/y"})
		require.ErrorContains(t, err, "holds more than the 6 bytes of Stream.Size")
		_, bodies = s.received()
		assert.NotContains(t, bodies, "012345")

		s = newSink(t, proto, fails(503, 1<<20))
		err = s.upload(t, opUpload, &pinterest.Stream{Reader: reader(0), Size: 10, ContentType: "x/y"})
		require.ErrorContains(t, err, "cannot be sent again")
	})
}

// A Stream that is no pointer must not be sent as the JSON of its fields.
func TestStreamByValue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	err := newClient(t, s).Do(t.Context(), opXPatch, pinterest.Request{Body: pinterest.Stream{Reader: strings.NewReader("abc"), ContentType: "x/y"}}, nil)
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	require.ErrorContains(t, err, "Request.Body must be a pointer to the Stream: &pinterest.Stream{...}")
	assert.Zero(t, s.count(toCall))
}

// A reader that cannot seek is sent once, and the error says so.
func TestStreamThatCanBeReadOnce(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 50_000)
	eachProto(t, func(t *testing.T, proto string) {
		for name, answer := range map[string]func(http.ResponseWriter, *http.Request){"503": fails(503, 1<<20), "aborted": aborts} {
			s := newSink(t, proto, answer)
			err := s.upload(t, opUpload, &pinterest.Stream{Reader: onlyReader{strings.NewReader(content)}, Size: int64(len(content)), ContentType: "x/y"})
			e := failure(t, err)
			assert.ErrorContains(t, err, "the request's stream cannot be sent again, since its reader cannot seek", name)
			assert.Equal(t, park, e.Disposition, name)
			assert.Len(t, e.Attempts, 1, name)
			assertErrorClean(t, err)
		}
		s := newSink(t, proto)
		require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: onlyReader{strings.NewReader(content)}, Size: int64(len(content)), ContentType: "x/y"}))
		_, bodies := s.received()
		assertSame(t, content, bodies[0])
	})
}

// What was not sent at all can be sent again, whatever the reader.
func TestStreamThatWasNotReadIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newSink(t, "HTTP/1.1")
	refused := 2
	base := s.Client().Transport
	s.Client().Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		if refused--; refused >= 0 {
			_ = req.Body.Close()
			req2 := req.Clone(req.Context())
			req2.Body, req2.URL.Host = nil, closedPort(t)
			return base.RoundTrip(req2)
		}
		return base.RoundTrip(req)
	})
	require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: onlyReader{strings.NewReader("abc")}, Size: 3, ContentType: "x/y"}))
	n, bodies := s.received()
	assert.Equal(t, 1, n)
	assert.Equal(t, []string{"abc"}, bodies)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A body of another size never arrives whole, so that nothing can come of it.
func TestStreamOfAnotherSize(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	content := strings.Repeat("x", 100_000)
	eachProto(t, func(t *testing.T, proto string) {
		for name, tt := range map[string]struct {
			parts []io.Reader
			want  string
			is    error
		}{
			"too short":         {[]io.Reader{strings.NewReader(content[:99_999])}, "Stream.Reader ended 1 bytes before Stream.Size", io.ErrUnexpectedEOF},
			"empty":             {nil, "Stream.Reader ended 100000 bytes before Stream.Size", io.ErrUnexpectedEOF},
			"too long":          {[]io.Reader{strings.NewReader(content + "y")}, "Stream.Reader holds more than the 100000 bytes of Stream.Size", nil},
			"broken":            {[]io.Reader{strings.NewReader(content[:50_000]), iotest.ErrReader(broken)}, "reading Stream.Reader: the disk is broken", broken},
			"broken at the end": {[]io.Reader{strings.NewReader(content), iotest.ErrReader(broken)}, "reading Stream.Reader: the disk is broken", broken},
		} {
			s := newSink(t, proto)
			err := s.upload(t, opUploadCreate, &pinterest.Stream{Reader: io.MultiReader(tt.parts...), Size: 100_000, ContentType: "x/y"})
			e := failure(t, err)
			assert.ErrorContains(t, err, tt.want, name)
			assert.Equal(t, "bad request form", e.Rule, name)
			assert.Len(t, e.Attempts, 1, name)
			assert.NotErrorIs(t, err, pinterest.ErrUncertain, name)
			if tt.is != nil {
				assert.ErrorIs(t, err, tt.is, name)
			}
			_, bodies := s.received()
			assert.Empty(t, bodies, "%s: nothing arrived whole", name)
		}
	})
}

func TestStreamReaders(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "EOF with the data": iotest.DataErrReader,
		"nothing at times": func(r io.Reader) io.Reader { return &lazyReader{r: r} },
	} {
		s := newSink(t, "HTTP/1.1")
		require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: onlyReader{wrap(strings.NewReader("0123456789"))}, Size: 10, ContentType: "x/y"}), name)
		_, bodies := s.received()
		assert.Equal(t, []string{"0123456789"}, bodies, name)
	}
}

// lazyReader returns nothing every other time.
type lazyReader struct {
	r    io.Reader
	lazy bool
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.lazy = !l.lazy; l.lazy {
		return 0, nil
	}
	return l.r.Read(p)
}

// A form with a file, as storages that take uploads want it.
func TestStreamOfAForm(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("frame", 100_000)
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	require.NoError(t, form.WriteField("policy", "p"))
	_, err := form.CreateFormFile("file", "video.mp4")
	require.NoError(t, err)
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	size := int64(head.Len() + len(content) + len(tail))
	body := io.MultiReader(&head, strings.NewReader(content), strings.NewReader(tail))

	var got string
	s := newSink(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
		f, _, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		data, _ := io.ReadAll(f)
		got = r.FormValue("policy") + string(data)
		w.WriteHeader(http.StatusCreated)
	})
	require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: body, Size: size, ContentType: form.FormDataContentType()}))
	assertSame(t, "p"+content, got)
}

func TestStreamIsChecked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stream pinterest.Stream
		field  string
	}{
		"no reader":       {pinterest.Stream{Size: 3, ContentType: "x/y"}, "Stream.Reader"},
		"no content type": {pinterest.Stream{Reader: strings.NewReader("abc")}, "Stream.ContentType"},
		"no size":         {pinterest.Stream{Reader: onlyReader{strings.NewReader("abc")}, ContentType: "x/y"}, "Stream.Size"},
		"negative size":   {pinterest.Stream{Reader: onlyReader{strings.NewReader("abc")}, Size: -1, ContentType: "x/y"}, "Stream.Size"},
		"another size":    {pinterest.Stream{Reader: strings.NewReader("abc"), Size: 4, ContentType: "x/y"}, "Stream.Size"},
		"empty":           {pinterest.Stream{Reader: strings.NewReader(""), ContentType: "x/y"}, "Stream.Reader"},
	} {
		s := newSink(t, "HTTP/1.1")
		err := s.upload(t, opUpload, &tt.stream)
		e := failure(t, err)
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		require.Len(t, e.Fields, 1, name)
		assert.Equal(t, tt.field, e.Fields[0].Field, name)
		n, _ := s.received()
		assert.Zero(t, n)
	}
}

// A pipe is an *os.File, with methods to seek that fail.
func TestStreamFromAPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	_, _ = io.WriteString(w, "0123456789")
	_ = w.Close()
	s := newSink(t, "HTTP/1.1")
	require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: r, Size: 10, ContentType: "x/y"}))
	_, bodies := s.received()
	assert.Equal(t, []string{"0123456789"}, bodies)
}

// The transport may read on after the failure that it has told of.
func TestStreamThatTheTransportStillReads(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 10_000)
	for name, reader := range map[string]io.Reader{"ReaderAt": strings.NewReader(content), "seeker": onlySeeker{bytes.NewReader([]byte(content))}} {
		s := newSink(t, "HTTP/1.1")
		base := s.Client().Transport
		var late sync.WaitGroup
		attempts := 0
		s.Client().Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			if attempts++; attempts > 3 {
				return base.RoundTrip(req)
			}
			_, _ = io.ReadFull(req.Body, make([]byte, 777))
			late.Go(func() {
				for p := make([]byte, 100); ; {
					if _, err := req.Body.Read(p); err != nil {
						return
					}
				}
			})
			return nil, errors.New("the connection broke off")
		})
		require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: reader, ContentType: "x/y"}), name)
		late.Wait()
		_, bodies := s.received()
		assertSame(t, content, bodies[0])
	}
}

// slowReader gives a byte at a time, and waits before each.
type slowReader struct {
	left int
	wait time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.wait) // the attempt's timeout is on real timers
	s.left--
	p[0] = 'x'
	return 1, nil
}

func TestStreamTimeoutIsTheTimeWithoutProgress(t *testing.T) {
	t.Parallel()
	eachProto(t, func(t *testing.T, proto string) {
		s := newSink(t, proto)
		require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: &slowReader{50, 100 * time.Millisecond}, Size: 50, ContentType: "x/y"}, pinterest.AttemptTimeout(3*time.Second)))
		_, bodies := s.received()
		assert.Equal(t, []string{strings.Repeat("x", 50)}, bodies)

		// A server that takes nothing.
		release := make(chan struct{})
		stuck := func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		s = newSink(t, proto, stuck)
		t.Cleanup(func() { close(release) })
		content := strings.Repeat("x", 8<<20)
		start := time.Now()
		require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: strings.NewReader(content), ContentType: "x/y"}, pinterest.AttemptTimeout(2*time.Second)))
		assert.Less(t, time.Since(start), 30*time.Second)
		_, bodies = s.received()
		assertSame(t, content, bodies[0])
	})
}

// A reader that does not return does not hold the call where the transport lets go.
func TestStreamWhoseReaderBlocks(t *testing.T) {
	t.Parallel()
	eachProto(t, func(t *testing.T, proto string) {
		s := newSink(t, proto)
		r, w := io.Pipe()
		if proto == "HTTP/1.1" {
			// Its transport waits for the Read: the writer has to give up.
			time.AfterFunc(1500*time.Millisecond, func() { _ = w.CloseWithError(errors.New("given up")) })
		} else {
			defer func() { _ = w.Close() }()
		}
		err := s.upload(t, opUpload, &pinterest.Stream{Reader: r, Size: 20, ContentType: "x/y"}, pinterest.AttemptTimeout(500*time.Millisecond))
		e := failure(t, err)
		assert.Equal(t, park, e.Disposition)
		assert.ErrorIs(t, err, pinterest.ErrTransport)
		assert.Len(t, e.Attempts, 1)
	})
}

// generated is a large reader of which nothing is stored.
type generated struct{ at, size int64 }

func (g *generated) Read(p []byte) (int, error) {
	if g.at == g.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), g.size-g.at)
	for i := range p[:n] {
		p[i] = byte(g.at + int64(i))
	}
	g.at += n
	return int(n), nil
}

func (g *generated) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += g.at
	case io.SeekEnd:
		off += g.size
	}
	g.at = off
	return off, nil
}

func TestStreamIsNotHeldInMemory(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	const size = 64 << 20
	var sum [sha256.Size]byte
	var n int64
	take := func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, _ = io.Copy(h, r.Body)
		h.Sum(sum[:0])
		w.WriteHeader(http.StatusNoContent)
	}
	s := newSink(t, "HTTP/1.1", fails(503, size/2), take)
	want := sha256.New()
	_, err := io.Copy(want, &generated{size: size})
	require.NoError(t, err)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	require.NoError(t, s.upload(t, opUpload, &pinterest.Stream{Reader: &generated{size: size}, ContentType: "x/y"}))
	runtime.ReadMemStats(&after)
	assert.EqualValues(t, size, n)
	assert.Equal(t, fmt.Sprintf("%x", want.Sum(nil)), fmt.Sprintf("%x", sum))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), "bytes that were allocated")
}

// A token that is refreshed does not help a body that is gone.
func TestStreamAndARefreshedToken(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{true, false} {
		s := newServer(t, fault(401, 2, "Authentication failed."), answer(204, "")).onToken(answer(200, `{"access_token":"pina_new_token_0123456789","token_type":"bearer","expires_in":3600}`))
		cfg := refreshConfig()
		cfg.AccessToken = accessToken
		c := newBareClient(t, s, pinterest.WithRefreshToken(cfg))
		var body io.Reader = strings.NewReader("abc")
		if once {
			body = onlyReader{body}
		}
		op := pinterest.Operation{ID: "x/put", Method: http.MethodPut, Path: "/x"}
		err := c.Do(t.Context(), op, pinterest.Request{Body: &pinterest.Stream{Reader: body, Size: 3, ContentType: "x/y"}}, nil)
		if !once {
			require.NoError(t, err)
			assert.Equal(t, "abc", string(s.received(toCall)[1].body))
			continue
		}
		e := failure(t, err)
		assert.ErrorContains(t, err, "cannot be sent again")
		assert.Equal(t, park, e.Disposition, "the next call has the new token")
		assert.Equal(t, 1, s.count(toCall))
	}
}
