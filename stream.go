package pinterest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Stream is a request body that is read while it is sent, such as a file that is
// uploaded. It is never held in memory.
//
// A Reader that can seek, as files and byte readers can, is sent from where it
// stands, and can be sent again after a failure. Another one is sent once: a failure
// after which it would be sent again ends the call, unless nothing of it was read.
// The Reader has to end after Size bytes; the last of them are held back until it
// has, so that a body of another size never arrives whole.
//
// [RetryPolicy].AttemptTimeout bounds the time without progress of such a call,
// not the whole transfer. The Reader is not closed. A Read that is under way when
// the call ends does not hold the call: it goes on until it returns, and what it
// brings is dropped.
type Stream struct {
	Reader      io.Reader
	Size        int64  // in bytes; 0 with a Reader that can seek: up to its end
	ContentType string // required
}

var (
	errStreamUsed = errors.New("the request's stream cannot be sent again, since its reader cannot seek")
	errStreamOver = errors.New("the attempt that read the request's stream is over")
)

// open checks the stream and finds out where it begins and ends.
func (s *Stream) open() (*streamBody, error) {
	b := &streamBody{reader: s.Reader, size: s.Size, reading: make(chan struct{}, 1)}
	var c Check
	if s.Reader == nil {
		c.Add("Stream.Reader", "", "is required")
		return nil, c.Err()
	}
	c.Required("Stream.ContentType", s.ContentType)
	if strings.ContainsFunc(s.ContentType, unicode.IsControl) {
		c.Add("Stream.ContentType", s.ContentType, "must not contain control characters")
	}
	if s.Size < 0 {
		c.Add("Stream.Size", strconv.FormatInt(s.Size, 10), "must not be negative")
	}
	seeker, seeks := s.Reader.(io.Seeker)
	start := int64(0)
	if seeks {
		var end int64
		var err error
		if start, end, err = extent(seeker); err != nil {
			seeks = false // a pipe is a file, too, and cannot seek
		} else if setDefault(&b.size, end-start); b.size != end-start {
			c.Add("Stream.Size", strconv.FormatInt(s.Size, 10), fmt.Sprintf("must be what Reader holds, which is %d bytes", end-start))
		}
	}
	// A Reader that has only ReadAt may stand anywhere: it is read like any other.
	switch readerAt, readsAt := s.Reader.(io.ReaderAt); {
	case seeks && readsAt: // nothing is shared between two attempts
		b.rewind = func() (io.Reader, error) { return io.NewSectionReader(readerAt, start, b.size), nil }
	case seeks:
		b.rewind = func() (io.Reader, error) {
			_, err := seeker.Seek(start, io.SeekStart)
			return s.Reader, err
		}
	}
	switch {
	case b.size == 0 && seeks:
		c.Add("Stream.Reader", "", "must hold something: there is nothing behind the place where it stands")
	case b.size == 0:
		c.Add("Stream.Size", "0", "is required for a Reader that cannot seek")
	}
	return b, c.Err()
}

// extent returns where a reader stands and where it ends, and leaves it there.
func extent(s io.Seeker) (start, end int64, err error) {
	if start, err = s.Seek(0, io.SeekCurrent); err != nil {
		return 0, 0, err
	}
	if end, err = s.Seek(0, io.SeekEnd); err != nil {
		return 0, 0, err
	}
	_, err = s.Seek(start, io.SeekStart)
	return start, end, err
}

// streamBody is a Stream that a call sends.
type streamBody struct {
	reader io.Reader
	size   int64
	rewind func() (io.Reader, error) // nil: it can be read once

	// reading is held by who uses the caller's reader. Nothing else waits for it:
	// a Read that does not return must not hold the call.
	reading chan struct{}

	mu       sync.Mutex
	progress func()
	current  *streamReader // of the attempt under way
	used     bool
	err      error // what the caller's reader failed with
}

// watch has progress called whenever the next attempt sends something.
func (b *streamBody) watch(progress func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.progress = progress
}

// again returns the body for the next attempt. What an earlier attempt's
// transport still reads gets nothing more.
func (b *streamBody) again(ctx context.Context) io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = &streamReader{ctx: ctx, body: b, progress: b.progress, left: b.size}
	return b.current
}

// spent says why the stream cannot be sent (again), nil if it can.
func (b *streamBody) spent() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && b.used && b.rewind == nil {
		return errStreamUsed
	}
	return b.err
}

// failure returns what the caller's reader failed with.
func (b *streamBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// streamReader is the body of one attempt. Who holds body.reading owns reader, left
// and chunk.
type streamReader struct {
	ctx      context.Context // the attempt's
	body     *streamBody
	progress func()
	reader   io.Reader // nil until the first Read
	left     int64
	chunk    []byte // what the caller's reader reads into
}

// maxChunk bounds what one Read asks of the caller's reader.
const maxChunk = 32 << 10

// Read reads on, one attempt at a time. The caller's reader is read by a goroutine
// of its own: a transport waits for the Read of a body even when the request is
// canceled, and a reader that hangs must not hold the call.
func (r *streamReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	select {
	case r.body.reading <- struct{}{}:
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-r.body.reading }()
		data, err := r.next(min(len(p), maxChunk))
		done <- result{data, err}
	}()
	select {
	case res := <-done:
		return copy(p, res.data), res.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

// next reads at most n bytes.
func (r *streamReader) next(n int) ([]byte, error) {
	if err := r.begin(); err != nil {
		return nil, err
	}
	if r.left == 0 {
		return nil, io.EOF
	}
	if len(r.chunk) < n {
		r.chunk = make([]byte, n)
	}
	n, err := r.reader.Read(r.chunk[:min(int64(n), r.left)])
	data := r.chunk[:n]
	if r.left -= int64(n); n > 0 && r.progress != nil {
		r.progress()
	}
	switch {
	case err == io.EOF && r.left > 0:
		return data, r.fail(fmt.Errorf("Stream.Reader ended %d bytes before Stream.Size: %w", r.left, io.ErrUnexpectedEOF))
	case err != nil && err != io.EOF:
		return data, r.fail(fmt.Errorf("reading Stream.Reader: %w", err))
	case err == nil && r.left == 0:
		if err := r.checkEnd(); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// begin goes to the stream's beginning before the first Read, and ends those of
// an attempt that is over.
func (r *streamReader) begin() error {
	b := r.body
	if err := r.use(); err != nil || r.reader != nil {
		return err
	}
	if b.rewind == nil {
		r.reader = b.reader
		return nil
	}
	reader, err := b.rewind() // without the lock: a Seek may hang, too
	if err != nil {
		return r.fail(fmt.Errorf("seeking in Stream.Reader: %w", err))
	}
	r.reader = reader
	return nil
}

// use notes that the stream is read, unless this attempt is over.
func (r *streamReader) use() error {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.current != r:
		return errStreamOver
	case b.err != nil:
		return b.err
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	}
	b.used = true
	return nil
}

// fail notes what the caller's reader failed with: no attempt can send it now.
func (r *streamReader) fail(err error) error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	r.body.err = err
	return err
}

// checkEnd makes sure that nothing is left out: the reader is at its end, too.
func (r *streamReader) checkEnd() error {
	switch n, err := io.ReadFull(r.reader, make([]byte, 1)); {
	case n > 0:
		return r.fail(fmt.Errorf("Stream.Reader holds more than the %d bytes of Stream.Size", r.body.size))
	case err != io.EOF:
		return r.fail(fmt.Errorf("reading Stream.Reader: %w", err))
	}
	return nil
}

// Close ends the reading. The caller's reader stays open: it is the caller's.
func (r *streamReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.current == r {
		r.body.current = nil
	}
	return nil
}
