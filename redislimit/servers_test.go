package redislimit_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/redislimit"
)

// heard records the calls of the observer.
type heard struct {
	mu   sync.Mutex
	list []error
}

func (h *heard) hear(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, err)
}

// turns checks the number of its calls, which are alternately for the beginning and
// the end of an outage.
func (h *heard) turns(t *testing.T, n int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Len(t, h.list, n)
	for i, err := range h.list {
		assert.Equal(t, i%2 == 0, err != nil, "%d: %v", i, err)
	}
}

// gate is a proxy of the Redis of the tests. While it is shut, it silently drops
// everything, like a network that is cut.
type gate struct {
	addr  string
	asked counting // what clients have asked for
	mu    sync.Mutex
	open  *sync.Cond
	shut  bool
	conns []net.Conn
}

func newGate(t *testing.T) *gate {
	t.Helper()
	opts := server(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{addr: ln.Addr().String()}
	g.open = sync.NewCond(&g.mu)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		g.set(false)
		g.mu.Lock()
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", opts.Addr)
			if err != nil {
				_ = in.Close()
				return
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			wg.Go(func() { g.pass(in, out) })
			wg.Go(func() { g.pass(out, in) })
		}
	})
	return g
}

func (g *gate) pass(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		g.mu.Lock()
		for g.shut {
			g.open.Wait()
		}
		g.mu.Unlock()
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	g.open.Broadcast()
}

// behind returns a limiter whose client connects to the gate.
func behind(t *testing.T, g *gate, limits pinterest.Limits, opts ...redislimit.Option) *redislimit.Limiter {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: g.addr, ContextTimeoutEnabled: true})
	c.AddHook(&g.asked)
	t.Cleanup(func() { _ = c.Close() })
	l, err := redislimit.New(c, limits, append([]redislimit.Option{redislimit.WithPrefix(prefix()), redislimit.WithTimeout(100 * time.Millisecond)}, opts...)...)
	require.NoError(t, err)
	require.NoError(t, l.Wait(t.Context(), write("first")))
	return l
}

// private is a Redis that the test can stop.
type private struct {
	t    *testing.T
	dir  string
	addr string
	args []string
	cmd  *exec.Cmd
}

func newPrivate(t *testing.T, args ...string) *private {
	t.Helper()
	server(t) // skips where there is none
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("there is no redis-server to stop and start")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &private{t: t, dir: t.TempDir(), addr: free.Addr().String(), args: args}
	require.NoError(t, free.Close())
	t.Cleanup(p.stop)
	p.start()
	return p
}

func (p *private) start() {
	p.t.Helper()
	_, port, err := net.SplitHostPort(p.addr)
	require.NoError(p.t, err)
	args := append([]string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", p.dir, "--logfile", filepath.Join(p.dir, "log"),
	}, p.args...)
	p.cmd = exec.Command("redis-server", args...)
	require.NoError(p.t, p.cmd.Start())
	require.Eventually(p.t, func() bool {
		conn, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

func (p *private) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}
