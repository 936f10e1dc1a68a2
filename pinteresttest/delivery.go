package pinteresttest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
)

// Delivery is how an answer is sent to the client, if it is sent at all.
//
// The transport of net/http sends a GET again by itself when a reused connection
// breaks without an answer. The request log then has two requests, and the client
// may not notice the fault.
type Delivery uint8

const (
	// Answer sends the whole answer.
	Answer Delivery = iota
	// Reset sends no answer and ends the connection with a TCP reset.
	Reset
	// Close sends no answer and closes the connection.
	Close
	// Truncate announces the answer's full length, sends half of the body and
	// closes the connection.
	Truncate
	// Garble sends half of the body as if it were complete.
	Garble
	// Hang sends no answer. The request ends when the client cancels it or the
	// server is closed.
	Hang
)

// answers reports whether the client gets an answer, complete or not.
func (d Delivery) answers() bool { return d == Answer || d == Truncate || d == Garble }

// An answer is what the client gets.
type answer struct {
	status int
	code   int // the API's error code, for the request log
	header http.Header
	body   []byte
}

// send sends the answer.
func (a answer) send(w http.ResponseWriter, r *http.Request, delivery Delivery) {
	switch delivery {
	case Answer:
		a.write(w, a.body, len(a.body))
	case Garble:
		half := a.body[:len(a.body)/2]
		a.write(w, half, len(half))
	case Truncate:
		a.truncate(w)
	case Reset:
		breakOff(w, errReset, func(conn net.Conn, _ *bufio.ReadWriter) {
			if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok { // as a *net.TCPConn is
				_ = tcp.SetLinger(0) // makes the close a reset
			}
		})
	case Close:
		breakOff(w, io.EOF, nil)
	case Hang:
		<-r.Context().Done()
		breakOff(w, io.EOF, nil)
	}
}

// write sends the status, the headers and the body. length is its Content-Length,
// which may be wrong on purpose.
func (a answer) write(w http.ResponseWriter, body []byte, length int) {
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}

// truncate sends half of the answer's body or, without a body, half of its status
// line, and closes the connection.
func (a answer) truncate(w http.ResponseWriter) {
	if len(a.body) > 0 {
		a.write(w, a.body[:len(a.body)/2], len(a.body))
		_ = http.NewResponseController(w).Flush()
		breakOff(w, io.ErrUnexpectedEOF, nil)
		return
	}
	breakOff(w, io.ErrUnexpectedEOF, func(_ net.Conn, buf *bufio.ReadWriter) {
		line := "HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status)
		_, _ = buf.WriteString(line[:len(line)/2])
		_ = buf.Flush()
	})
}

// breakOff takes the connection over from the HTTP server and closes it. It calls
// last before, if it is not nil. In memory, where there is no connection, the
// client gets err.
func breakOff(w http.ResponseWriter, err error, last func(net.Conn, *bufio.ReadWriter)) {
	if m, ok := w.(*memoryWriter); ok {
		m.breakOff(err)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // closes the connection as well
	}
	if last != nil {
		last(conn, buf)
	}
	_ = conn.Close()
}
