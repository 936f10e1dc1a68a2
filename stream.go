package pinterest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// Stream is a request body that is read while it is sent, such as a file that is
// uploaded. It is never held in memory.
//
// A Reader that is an io.Seeker or an io.ReaderAt, as files and byte readers are,
// can be sent again after a failure, from where it stood. Another one is sent
// once: a failure after which it would be sent again ends the call.
//
// [RetryPolicy].AttemptTimeout bounds the time without progress of such a call,
// not the whole transfer.
type Stream struct {
	Reader      io.Reader
	Size        int64  // in bytes; 0 with a Reader that is an io.Seeker: up to its end
	ContentType string // required
}

var errStreamUsed = errors.New("the request's stream cannot be read again, since its reader cannot seek")

// open checks the stream and finds out where it begins and ends.
func (s *Stream) open() (*streamBody, error) {
	b := &streamBody{reader: s.Reader, size: s.Size}
	var c Check
	if s.Reader == nil {
		c.Add("Stream.Reader", "", "is required")
		return nil, c.Err()
	}
	c.Required("Stream.ContentType", s.ContentType)
	if s.Size < 0 {
		c.Add("Stream.Size", strconv.FormatInt(s.Size, 10), "must not be negative")
	}
	switch r := s.Reader.(type) {
	case io.Seeker:
		start, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fmt.Errorf("seeking in Stream.Reader: %w", err)
		}
		end, err := r.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = r.Seek(start, io.SeekStart)
		}
		if err != nil {
			return nil, fmt.Errorf("seeking in Stream.Reader: %w", err)
		}
		setDefault(&b.size, end-start)
		if b.size != end-start {
			c.Add("Stream.Size", strconv.FormatInt(s.Size, 10), fmt.Sprintf("must be what Reader holds, which is %d bytes", end-start))
		}
		b.rewind = func() (io.Reader, error) {
			if at, ok := s.Reader.(io.ReaderAt); ok { // nothing is shared between two attempts
				return io.NewSectionReader(at, start, b.size), nil
			}
			_, err := r.Seek(start, io.SeekStart)
			return s.Reader, err
		}
	case io.ReaderAt:
		b.rewind = func() (io.Reader, error) { return io.NewSectionReader(r, 0, b.size), nil }
	}
	if b.size == 0 {
		c.Add("Stream.Size", "0", "is required")
	}
	return b, c.Err()
}

// streamBody is a Stream that a call sends.
type streamBody struct {
	reader   io.Reader
	size     int64
	rewind   func() (io.Reader, error) // nil: it can be read once
	progress func()

	mu      sync.Mutex
	current *streamReader // of the attempt under way
	used    bool
	err     error // what the caller's reader failed with
}

// again returns the body for the next attempt. What an earlier attempt's
// transport may still read comes to an end first.
func (b *streamBody) again() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &streamReader{body: b, reader: b.reader, left: b.size}
	if b.rewind != nil {
		var err error
		if r.reader, err = b.rewind(); err != nil {
			b.err = err
		}
	}
	b.current = r
	return r
}

// repeatable reports whether the stream can be sent (again).
func (b *streamBody) repeatable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == nil && (b.rewind != nil || !b.used)
}

// failure returns what the caller's reader failed with.
func (b *streamBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// streamReader is the body of one attempt.
type streamReader struct {
	body   *streamBody
	reader io.Reader
	left   int64
}

var errStreamOver = errors.New("the attempt that read this is over")

// Read holds the lock, so that two attempts never read at the same time.
func (r *streamReader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.current != r:
		return 0, errStreamOver
	case b.err != nil:
		return 0, b.err
	case r.left == 0:
		return 0, r.end()
	}
	b.used = true
	n, err := r.reader.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if n > 0 && b.progress != nil {
		b.progress()
	}
	switch {
	case err == io.EOF && r.left > 0: //nolint:errorlint // a reader returns io.EOF itself
		err = fmt.Errorf("Stream.Reader ended %d bytes before Stream.Size", r.left)
		b.err = err
	case err == io.EOF: //nolint:errorlint // the same
		err = nil // the end is asked for once more
	case err != nil:
		err = fmt.Errorf("reading Stream.Reader: %w", err)
		b.err = err
	}
	return n, err
}

// end makes sure that nothing is left out: the reader is at its end, too.
func (r *streamReader) end() error {
	if n, _ := io.ReadFull(r.reader, make([]byte, 1)); n > 0 {
		r.body.err = fmt.Errorf("Stream.Reader holds more than the %d bytes of Stream.Size", r.body.size)
		return r.body.err
	}
	return io.EOF
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
