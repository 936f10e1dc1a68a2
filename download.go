package pinterest

import (
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
// [MaxDownload] bounds the file, compressed and not; [RetryPolicy].AttemptTimeout
// bounds the time without progress. After an error w may hold the first part of
// the file.
//
// Errors to expect: ErrForbidden or ErrNotFound (the URL has expired: ask for the
// report again), ErrResponse (too large, damaged, changed meanwhile, or w failed).
func (c *Client) Download(ctx context.Context, url string, w io.Writer, opts ...CallOption) (int64, error) {
	d := &download{w: w, hash: sha256.New()}
	cl := &call{op: opDownload, req: Request{URL: url}, opts: callOptions{list: opts}, download: d}
	switch {
	case w == nil:
		return 0, c.refuse(ctx, cl, cl.invalid(FieldError{Field: "w", Problem: "must not be nil"}))
	case url == "":
		return 0, c.refuse(ctx, cl, cl.invalid(FieldError{Field: "url", Problem: "must not be empty"}))
	}
	err := c.do(ctx, cl)
	d.abort()
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
	whole    bool      // the server does not go on in the middle

	started bool
	first   []byte         // too few bytes to tell what it is
	pipe    *io.PipeWriter // to the decompressor; nil: there is none
	done    chan error     // its end
}

// errFile is a file that cannot be used, however often it is asked for.
type errFile struct{ err error }

func (e errFile) Error() string { return e.err.Error() }
func (e errFile) Unwrap() error { return e.err }

func fileError(format string, args ...any) error { return errFile{fmt.Errorf(format, args...)} }

// ask adds to a request what it takes to go on where the transfer broke off.
func (d *download) ask(header http.Header) {
	// What the transport decompressed could not be gone on with.
	header["Accept-Encoding"] = []string{"identity"}
	header["Accept"] = []string{"*/*"}
	if d.received > 0 && d.version != "" && !d.whole {
		header["Range"] = []string{"bytes=" + strconv.FormatInt(d.received, 10) + "-"}
		header["If-Range"] = []string{d.version}
	}
}

// readFile takes a success's body to the writer.
func (at *attempt) readFile(body io.Reader) {
	d := at.run.cl.download
	d.limit = at.run.cl.opts.maxDownload
	setDefault(&d.limit, maxDownload)
	skip, err := d.begin(at.resp)
	if err == nil {
		err = d.take(&progressReader{body, at.progress}, skip)
	}
	switch file, ok := errors.AsType[errFile](err); {
	case ok && at.caller.Err() == nil:
		at.fail(PhaseAnswered, ReasonFile, file.err)
	case err != nil:
		at.fail(PhaseUnanswered, at.reason(err), fmt.Errorf("reading the file: %w", err))
	}
}

// begin reads what the headers say of the file. It returns how much of it has
// been received before and comes again.
func (d *download) begin(resp *http.Response) (skip int64, err error) {
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "gzip" && encoding != "identity" {
		return 0, fileError("the file has the encoding %.40q", encoding)
	}
	if resp.StatusCode == http.StatusPartialContent {
		start, total := contentRange(resp.Header.Get("Content-Range"))
		if start != d.received || d.total > 0 && total != d.total {
			d.whole = true
			return 0, errors.New("the server went on elsewhere than was asked for")
		}
		return 0, nil
	}
	if d.received > 0 && d.total > 0 && resp.ContentLength > 0 && resp.ContentLength != d.total {
		return 0, fileError("the file changed while it was downloaded: %d bytes, before %d", resp.ContentLength, d.total)
	}
	d.total = max(0, resp.ContentLength)
	if d.total > d.limit {
		return 0, fileError("the file is longer than %d bytes", d.limit)
	}
	d.version = resp.Header.Get("ETag")
	if d.version == "" || strings.HasPrefix(d.version, "W/") { // a weak one does not promise the same bytes
		d.version = resp.Header.Get("Last-Modified")
	}
	return d.received, nil
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

// take takes the rest of the file in. What comes again has to be what came before.
func (d *download) take(body io.Reader, skip int64) error {
	if skip > 0 {
		again := sha256.New()
		n, err := io.CopyN(again, body, skip)
		if err == io.EOF { //nolint:errorlint // CopyN returns it itself
			return fileError("the file changed while it was downloaded: it has %d bytes, %d were received before", n, skip)
		}
		if err != nil {
			return err
		}
		if string(again.Sum(nil)) != string(d.hash.Sum(nil)) {
			return fileError("the file changed while it was downloaded")
		}
	}
	chunk := make([]byte, 32<<10)
	for {
		n, err := body.Read(chunk)
		if n > 0 {
			if d.received += int64(n); d.received > d.limit {
				return fileError("the file is longer than %d bytes", d.limit)
			}
			d.hash.Write(chunk[:n])
			if err := d.pass(chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
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
		n, err := d.w.Write(p)
		d.written += int64(n)
		return writeError(err)
	}
	_, err := d.pipe.Write(p)
	return err
}

func writeError(err error) error {
	if err == nil {
		return nil
	}
	return fileError("writing the file: %w", err)
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
		return fileError("decompressing the file: %w", err)
	}
	for chunk := make([]byte, 32<<10); ; {
		n, err := zip.Read(chunk)
		if d.written+int64(n) > d.limit {
			return fileError("the file, decompressed, is longer than %d bytes", d.limit)
		}
		if n > 0 {
			m, err := d.w.Write(chunk[:n])
			d.written += int64(m)
			if err != nil {
				return writeError(err)
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // a reader returns io.EOF itself
			return nil
		case err != nil:
			return fileError("decompressing the file: %w", err)
		}
	}
}

// finish ends a file that was received whole.
func (d *download) finish() error {
	if !d.started { // a file of less than two bytes
		d.started = true
		n, err := d.w.Write(d.first)
		d.written += int64(n)
		return writeError(err)
	}
	if d.pipe == nil {
		return nil
	}
	_ = d.pipe.Close() // always nil
	err := <-d.done
	d.done = nil
	return err
}

// abort ends the decompressor of a file that was not received whole.
func (d *download) abort() {
	if d.done != nil {
		_ = d.pipe.CloseWithError(errors.New("the download was given up")) // always nil
		<-d.done
	}
}

// progressReader tells of progress with every read.
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
