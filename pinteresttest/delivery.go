package pinteresttest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
)

// Delivery is how an answer travels to the client, or does not.
//
// The transport of net/http sends a GET once more by itself when a connection it
// had used before breaks without an answer. The books then show two requests,
// and the fault may have struck without the client's noticing.
type Delivery uint8

const (
	// Answer sends the answer as it should be.
	Answer Delivery = iota
	// Reset sends none and breaks the connection off with a TCP reset.
	Reset
	// Close sends none and closes the connection.
	Close
	// Truncate announces the answer's full length, sends half of the body and
	// closes the connection.
	Truncate
	// Garble sends half of the body as if it were all of it.
	Garble
	// Hang sends none until the client leaves or the server is closed.
	Hang
)

// answers reports whether the client gets an answer, whole or not.
func (d Delivery) answers() bool { return d == Answer || d == Truncate || d == Garble }

// An answer is what the client gets.
type answer struct {
	status int
	code   int // the API's own, for the books
	header http.Header
	body   []byte
}

// send puts the answer on the wire.
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
			if tcp, ok := conn.(*net.TCPConn); ok {
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

// write sends the status, the headers and the body, which it announces with any
// length.
func (a answer) write(w http.ResponseWriter, body []byte, length int) {
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}

// truncate sends half of the answer: of its body or, when it has none, of its
// status line.
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

// breakOff takes the connection from the HTTP server and closes it, after last
// if that is given. Without a connection the client is given err.
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
