package pinterest

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// opDownload is no operation of the API: files lie in a storage of their own.
var opDownload = Operation{ID: "download", Method: http.MethodGet, Kind: KindRead}

// maxDownload is the default of [MaxDownload].
const maxDownload = 4 << 30

// Download writes the file at a signed URL that the API has given, such as that
// of a report, to w, and returns how many bytes it wrote. It takes the path of
// every call: the table, back-off, deadlines, redaction. No access token is sent.
//
// A gzip file is decompressed. A transfer that breaks off goes on where it was,
// if the server allows that and the file is still the same; else the file is read
// again from its beginning, and what was written before must be its beginning.
// An attempt that brought the file further does not count against
// [RetryPolicy].MaxAttempts: then the attempts, and the waits between them, are
// counted from the beginning again. The retry budget and the context bound all of them.
//
// [MaxDownload] bounds the file, compressed and not. [RetryPolicy].AttemptTimeout
// bounds the time in which the server sends nothing; the time that w takes does not
// count. After an error w may hold the first part of the file. A Write that does
// not return holds the call, even when ctx has ended.
//
// Errors to expect: ErrNotFound (the URL has expired, or the file is gone: ask for
// the report again), ErrForbidden, ErrResponse (too large, damaged, changed
// meanwhile, or w failed).
func (c *Client) Download(ctx context.Context, url string, w io.Writer, opts ...CallOption) (int64, error) {
	d := &download{w: w, hash: sha256.New()}
	cl := &call{op: opDownload, req: Request{URL: url}, opts: callOptions{list: opts}, download: d}
	switch {
	case w == nil:
		return 0, c.refuse(ctx, cl, cl.invalid(FieldError{Field: "w", Problem: "must not be nil"}))
	case url == "":
		return 0, c.refuse(ctx, cl, cl.invalid(FieldError{Field: "url", Problem: "must not be empty"}))
	}
	defer d.stop()
	err := c.do(ctx, cl)
	d.stop() // it writes until then
	return d.written, err
}

// download is a file on its way to the caller's writer.
type download struct {
	w       io.Writer
	limit   int64
	written int64 // to w; the decompressor's until it has ended

	received int64     // of the file as it is stored
	hash     hash.Hash // of what was received
	total    int64     // of the file as it is stored; 0: not known
	version  string    // its ETag or Last-Modified; "": not known
	noRange  bool      // the server does not go on in the middle

	started bool
	first   []byte         // too few bytes to tell what it is
	pipe    *io.PipeWriter // to the decompressor; nil: there is none
	done    chan error     // its end
}

// fileError is a file that cannot be used, however often it is asked for.
type fileError struct{ err error }

func (e fileError) Error() string { return e.err.Error() }
func (e fileError) Unwrap() error { return e.err }

func fileErrorf(format string, args ...any) error { return fileError{fmt.Errorf(format, args...)} }

// ask adds to a request what it takes to go on where the transfer broke off.
func (d *download) ask(header http.Header) {
	// A transfer cannot be resumed in the middle of what the transport decompresses.
	header["Accept-Encoding"] = []string{"identity"}
	header["Accept"] = []string{"*/*"}
	if d.received > 0 && d.version != "" && !d.noRange {
		header["Range"] = []string{"bytes=" + strconv.FormatInt(d.received, 10) + "-"}
		header["If-Range"] = []string{d.version}
	}
}

// answered reports whether an answer is about the file, and not an error.
// One says that there is nothing behind the bytes that have been received.
func (d *download) answered(status int) bool {
	return status < 300 || status == http.StatusRequestedRangeNotSatisfiable && d.received > 0
}

// readFile takes the body to the writer.
func (at *attempt) readFile(body io.Reader) {
	d := at.run.cl.download
	if d.limit == 0 {
		d.limit = cmp.Or(at.run.cl.opts.maxDownload, maxDownload)
	}
	before := d.received
	err := d.read(at, &progressReader{body, at.progress})
	if d.received > before {
		at.run.startOver()
	}
	switch file, ok := errors.AsType[fileError](err); {
	case ok && at.caller.Err() == nil:
		at.fail(PhaseAnswered, ReasonFile, file.err)
	case err != nil:
		at.fail(PhaseUnanswered, at.reason(err), fmt.Errorf("reading the file: %w", err))
	}
}

// startOver has the attempts counted from this one on.
func (r *run) startOver() { r.counted, r.throttles, r.servers = 1, nil, nil }

// read reads one answer.
func (d *download) read(at *attempt, body io.Reader) error {
	skip := d.received // of the file's beginning, which comes again
	switch resp := at.resp; resp.StatusCode {
	case http.StatusOK, http.StatusNonAuthoritativeInfo:
		length := max(0, resp.ContentLength)
		if d.received > 0 && d.total > 0 && length > 0 && length != d.total {
			return fileErrorf("the file changed while it was downloaded: %d bytes, before %d", length, d.total)
		}
		d.total, d.version = length, fileVersion(resp.Header)
	case http.StatusPartialContent:
		start, total := contentRange(resp.Header.Get("Content-Range"))
		other := d.total > 0 && total > 0 && total != d.total
		if version := fileVersion(resp.Header); d.received > 0 && version != "" && d.version != "" && version != d.version {
			other = true // the server disregards If-Range
		}
		if other || start != 0 && start != d.received {
			return d.withoutRange("the server went on elsewhere, or in another file, than was asked for")
		}
		if start > 0 {
			skip = 0
		}
		d.total = max(d.total, total)
	case http.StatusRequestedRangeNotSatisfiable:
		// It must be the end of the file that was begun.
		if _, total := contentRange(resp.Header.Get("Content-Range")); total != d.received || d.total > 0 && total != d.total {
			return d.withoutRange("the server does not go on where the file broke off")
		}
		return d.finish()
	default:
		return fileErrorf("the server answered %d, without the file", resp.StatusCode)
	}
	if d.total > d.limit {
		return fileErrorf("the file is longer than %d bytes", d.limit)
	}
	switch encoding := at.resp.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity", "gzip", "x-gzip": // the bytes themselves tell whether it is gzip
	default:
		return fileErrorf("the file has the encoding %.40q", encoding)
	}
	if err := d.skip(body, skip); err != nil {
		return err
	}
	return d.take(at, body)
}

// withoutRange has the file read from its beginning next time.
func (d *download) withoutRange(why string) error {
	d.noRange = true
	return errors.New(why)
}

// fileVersion returns what tells two versions of a file apart, "" for nothing. A
// weak ETag does not promise the same bytes, nor does a time within whose second
// the file can have changed again.
func fileVersion(header http.Header) string {
	if tag := header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	modified, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil {
		return ""
	}
	if date, err := http.ParseTime(header.Get("Date")); err != nil || !modified.Before(date) {
		return ""
	}
	return header.Get("Last-Modified")
}

// contentRange reads "bytes 5-9/10"; -1 is what it does not say.
func contentRange(s string) (start, total int64) {
	span, size, _ := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		start = -1
	}
	if total, err = strconv.ParseInt(size, 10, 64); err != nil {
		total = -1
	}
	return start, total
}

// skip reads the first n bytes, which have to be those that came before.
func (d *download) skip(body io.Reader, n int64) error {
	again := sha256.New()
	switch m, err := io.CopyN(again, body, n); {
	case err == io.EOF: //nolint:errorlint // CopyN returns it itself
		return fileErrorf("the file changed while it was downloaded: it has %d bytes, %d were received before", m, n)
	case err != nil:
		return err
	case n > 0 && string(again.Sum(nil)) != string(d.hash.Sum(nil)):
		return fileErrorf("the file changed while it was downloaded")
	}
	return nil
}

// take takes the rest of the file in.
func (d *download) take(at *attempt, body io.Reader) error {
	chunk := make([]byte, 32<<10)
	for {
		n, err := body.Read(chunk)
		if d.total > 0 && int64(n) > d.total-d.received {
			n, err = int(d.total-d.received), fileErrorf("the file has more than the %d bytes that were announced", d.total)
		}
		if n > 0 {
			if d.received += int64(n); d.received > d.limit {
				return fileErrorf("the file is longer than %d bytes", d.limit)
			}
			d.hash.Write(chunk[:n])
			at.pause() // the time that w takes is not the server's
			if err := d.pass(chunk[:n]); err != nil {
				return err
			}
			at.progress()
		}
		switch {
		case err == io.EOF && d.received < d.total: //nolint:errorlint // a reader returns io.EOF itself
			return io.ErrUnexpectedEOF // it was a part of the file
		case err == io.EOF: //nolint:errorlint // as above
			return d.finish()
		case err != nil:
			return err
		}
	}
}

// pass passes a part of the file on, to the decompressor where it is compressed.
func (d *download) pass(p []byte) error {
	if !d.started {
		if d.first = append(d.first, p...); len(d.first) < 2 {
			return nil
		}
		d.started, p = true, d.first
		if p[0] == 0x1f && p[1] == 0x8b {
			d.decompress()
		}
	}
	if d.pipe == nil {
		return d.write(p)
	}
	_, err := d.pipe.Write(p)
	return err
}

// write writes to the caller's writer.
func (d *download) write(p []byte) error {
	n, err := d.w.Write(p)
	d.written += int64(max(0, n))
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fileErrorf("writing the file: %w", err)
	}
	return nil
}

// decompress starts the decompressor, which ends with the call.
func (d *download) decompress() {
	r, w := io.Pipe()
	d.pipe, d.done = w, make(chan error, 1)
	go func() {
		err := d.unzip(r)
		_ = r.CloseWithError(err) // always nil
		d.done <- err
	}()
}

func (d *download) unzip(r io.Reader) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fileErrorf("decompressing the file: %w", err)
	}
	for chunk := make([]byte, 32<<10); ; {
		n, err := zip.Read(chunk)
		if d.written+int64(n) > d.limit {
			return fileErrorf("the file, decompressed, is longer than %d bytes", d.limit)
		}
		if n > 0 {
			if err := d.write(chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // a reader returns io.EOF itself
			return nil
		case err != nil:
			return fileErrorf("decompressing the file: %w", err)
		}
	}
}

// finish ends a file that was received whole.
func (d *download) finish() error {
	switch {
	case !d.started && len(d.first) > 0: // a file of one byte
		return d.write(d.first)
	case d.done == nil:
		return nil
	}
	_ = d.pipe.Close() // always nil
	err := <-d.done
	d.done = nil
	return err
}

// stop ends the decompressor of a file that was not received whole.
func (d *download) stop() {
	if d.done != nil {
		_ = d.pipe.CloseWithError(errors.New("the download was given up")) // always nil
		<-d.done
		d.done = nil
	}
}

// progressReader reports progress with every read.
type progressReader struct {
	io.Reader
	progress func()
}

func (r *progressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.progress()
	}
	return n, err
}
