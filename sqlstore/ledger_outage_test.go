package sqlstore_test

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/sqlstore"
)

// A proxy stands between a holder and its database, and fails as networks do.
type proxy struct {
	t      *testing.T
	target string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	mute     bool // what is sent gets lost
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{t: t, target: target, addr: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	p.up()
	t.Cleanup(p.down)
	return p
}

// up takes connections again, at the same address.
func (p *proxy) up() {
	var lc net.ListenConfig
	listener, err := lc.Listen(p.t.Context(), "tcp", p.addr)
	require.NoError(p.t, err)
	p.mu.Lock()
	p.listener, p.addr = listener, listener.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
}

// down breaks all connections, and refuses new ones.
func (p *proxy) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
}

func (p *proxy) setMute(mute bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute
}

func (p *proxy) serve(conn net.Conn) {
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	p.mu.Lock()
	p.conns[conn], p.conns[server] = true, true
	p.mu.Unlock()
	pipe := func(to, from net.Conn) {
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			p.mu.Lock()
			mute := p.mute
			p.mu.Unlock()
			if err == nil && !mute {
				_, err = to.Write(buffer[:n])
			}
			if err != nil {
				_ = to.Close()
				_ = from.Close()
				return
			}
		}
	}
	go pipe(server, conn)
	pipe(conn, server)
}

// proxied is PostgreSQL behind a proxy.
func proxied(t *testing.T) (*proxy, database, *sql.DB) {
	t.Helper()
	admin := connectPostgres(t)
	u, err := url.Parse(os.Getenv(postgresVariable))
	require.NoError(t, err)
	p := newProxy(t, u.Host)
	u.Host = p.addr
	db, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	d := database{dialect: sqlstore.Postgres, connect: connectPostgres, table: newTable()}
	t.Cleanup(func() { dropTables(t, admin, d.table) })
	return p, d, db
}

const (
	outageLease = 2 * time.Second
	outageRenew = 300 * time.Millisecond
)

// An outage that is shorter than the lease costs nothing but the calls in it.
func TestLedgerInAShortOutage(t *testing.T) {
	t.Parallel()
	p, d, db := proxied(t)
	l, other := d.openLedgerOn(t, db), d.openLedger(t)
	l.SetLease(outageLease, outageRenew)
	held, unlock := lockAll(t, l, "key", "content")
	for range 3 {
		p.down()
		require.Error(t, put(held, l, "key", "lost"))
		_, err := l.Load(held, "key")
		require.Error(t, err)
		_, _, err = l.Lock(t.Context(), "another")
		require.Error(t, err)
		_, err = l.Prune(t.Context(), time.Now())
		require.Error(t, err)
		time.Sleep(outageLease / 4)
		p.up()
		require.NoError(t, put(held, l, "key", "saved"))
		requireLocked(t, other, "content")
		time.Sleep(outageLease / 2) // until it was renewed
	}
	require.NoError(t, held.Err())
	unlock()
	requireRecord(t, other, "key", "saved")
	requireNoLocks(t, d)
}

// In one that is longer the locks are lost: their holder knows at once, also
// where its connections stand but nothing comes back.
func TestLedgerInALongOutage(t *testing.T) {
	for name, outage := range map[string]struct {
		begin, end func(p *proxy)
	}{
		"connections are refused": {(*proxy).down, (*proxy).up},
		"nothing comes back": {
			func(p *proxy) { p.setMute(true) },
			func(p *proxy) { p.down(); p.setMute(false); p.up() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, d, db := proxied(t)
			l, other := d.openLedgerOn(t, db), d.openLedger(t)
			l.SetLease(outageLease, outageRenew)
			held, unlock := lockAll(t, l, "key", "content")
			require.NoError(t, put(held, l, "key", "before"))
			outage.begin(p)
			began := time.Now()
			saving := make(chan error, 1)
			go func() { saving <- put(held, l, "key", "in the outage") }()

			next, unlockNext := lockAll(t, other, "key", "content")
			require.Error(t, held.Err(), "it is over before another has them")
			assert.Less(t, time.Since(began), outageLease+time.Second)
			require.ErrorIs(t, context.Cause(held), sqlstore.ErrLockLost)
			require.ErrorContains(t, context.Cause(held), `its lease ran out before it was renewed`)
			require.Error(t, <-saving)
			requireRecord(t, other, "key", "before")
			require.NoError(t, put(next, other, "key", "by the next"))

			outage.end(p)
			require.ErrorIs(t, put(held, l, "key", "too late"), sqlstore.ErrLockLost)
			require.ErrorIs(t, put(context.WithoutCancel(held), l, "key", "too late"), sqlstore.ErrLockLost)
			unlock()
			requireLocked(t, d.openLedger(t), "key", "content")
			requireRecord(t, other, "key", "by the next")
			unlockNext()
			requireNoLocks(t, d)
			_, unlock = lockAll(t, l, "content", "key")
			unlock()
		})
	}
}

// restartVariable is a command that restarts PostgreSQL without a good-bye.
const restartVariable = "PINTEREST_TEST_POSTGRES_RESTART"

// A restart of the database loses no lock and no record, and what fails in it says so.
func TestLedgerWhenPostgresRestarts(t *testing.T) {
	restart := os.Getenv(restartVariable)
	if restart == "" {
		t.Skipf("%s is not set", restartVariable)
	}
	admin := connectPostgres(t)
	d := database{dialect: sqlstore.Postgres, connect: connectPostgres, table: newTable()}
	t.Cleanup(func() { dropTables(t, admin, d.table) })
	l, other := d.openLedger(t), d.openLedger(t)
	held, unlock := lockAll(t, l, "counter")
	saved, failed := 0, 0
	for range 3 {
		done := make(chan error)
		go func() {
			done <- exec.CommandContext(t.Context(), "bash", "-c", restart).Run()
		}()
		for restarting := true; restarting; {
			select {
			case err := <-done:
				require.NoError(t, err)
				restarting = false
			default:
				if err := countInLedger(held, l); err == nil {
					saved++
				} else {
					failed++
					time.Sleep(10 * time.Millisecond)
				}
			}
		}
		require.Eventually(t, func() bool { return countInLedger(held, l) == nil }, time.Minute, 50*time.Millisecond)
		saved++
		require.NoError(t, held.Err())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, _, err := other.Lock(ctx, "counter")
		cancel()
		require.Error(t, err)
	}
	record, err := other.Load(t.Context(), "counter")
	require.NoError(t, err)
	t.Logf("%d saved, %d calls failed, the counter is %s", saved, failed, record)
	unlock()
	_, unlock = lockAll(t, other, "counter")
	unlock()
}
