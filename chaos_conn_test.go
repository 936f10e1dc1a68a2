package pinterest_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A memoryNetwork is a listener and the way to dial it. Its connections are buffers in
// memory, so that the time of a bubble (testing/synctest) goes on while both ends wait.
// Everything above the connection is as with sockets.
type memoryNetwork struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryNetwork() *memoryNetwork {
	return &memoryNetwork{accept: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *memoryNetwork) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	there, back := newHalf(), newHalf()
	select {
	case n.accept <- &memoryConn{in: there, out: back}:
		return &memoryConn{in: back, out: there}, nil
	case <-n.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *memoryNetwork) Accept() (net.Conn, error) {
	select {
	case c := <-n.accept:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *memoryNetwork) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *memoryNetwork) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }

// memoryConn is one end of a connection.
type memoryConn struct {
	in, out *half
	reset   bool // Close is a reset
}

// half is one direction of a connection.
type half struct {
	mu       sync.Mutex
	changed  sync.Cond
	data     []byte
	ended    bool // by the writer
	reset    bool
	closed   bool // by the reader
	deadline time.Time
	timer    *time.Timer
}

func newHalf() *half {
	h := &half{}
	h.changed.L = &h.mu
	return h
}

func (c *memoryConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.closed:
			return 0, net.ErrClosed
		case !h.deadline.IsZero() && !time.Now().Before(h.deadline):
			return 0, os.ErrDeadlineExceeded
		case h.reset:
			return 0, &net.OpError{Op: "read", Net: "memory", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
		case len(h.data) > 0:
			n := copy(p, h.data)
			if h.data = h.data[n:]; len(h.data) == 0 {
				h.data = nil
			}
			return n, nil
		case h.ended:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

// Write never waits: what was written is buffered.
func (c *memoryConn) Write(p []byte) (int, error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return 0, net.ErrClosed
	case h.closed:
		return 0, &net.OpError{Op: "write", Net: "memory", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	h.data = append(h.data, p...)
	h.changed.Broadcast()
	return len(p), nil
}

func (c *memoryConn) Close() error {
	c.in.change(func(h *half) {
		h.closed = true
		if h.timer != nil {
			h.timer.Stop()
		}
	})
	c.out.change(func(h *half) { h.ended, h.reset = true, c.reset })
	return nil
}

// SetLinger makes the close a reset, as with TCP.
func (c *memoryConn) SetLinger(int) error {
	c.reset = true
	return nil
}

func (h *half) change(f func(h *half)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
	h.changed.Broadcast()
}

func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.change(func(h *half) {
		if h.timer != nil {
			h.timer.Stop()
		}
		if h.deadline = t; !t.IsZero() {
			h.timer = time.AfterFunc(time.Until(t), func() { h.change(func(*half) {}) })
		}
	})
	return nil
}

func (c *memoryConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return memoryAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return memoryAddr{} }
