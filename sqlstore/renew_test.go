//go:build unix

package sqlstore_test

import (
	"os/exec"
	"testing"

	"github.com/pinterest-go/pinterest/internal/testrenew"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A process gets SIGTERM between the answers to its refreshes and their saves, for
// 200 refreshes.
func TestNoAccountIsLostAtATermination(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		srv := pinteresttest.NewServer(pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
		t.Cleanup(srv.Close)
		s, r := d.open(t), d.role("terminated", 0)
		r.Renew = testrenew.Connect(t, srv, s, 20)
		testrenew.Terminated(t, srv, s, r.Renew, 10, func() *exec.Cmd { return command(t, r) })
	})
}

// A process is stopped between the answer to a refresh and its save until its lock
// belongs to another one.
func TestNoAccountIsLostWhenAProcessIsStopped(t *testing.T) {
	for name, rotation := range map[string]pinteresttest.Rotation{"single use": pinteresttest.SingleUse, "reusable": pinteresttest.Reusable} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, d database) {
				srv := pinteresttest.NewServer(pinteresttest.WithRotation(rotation))
				t.Cleanup(srv.Close)
				s, r := d.open(t), d.role("stopped", 0)
				r.Renew = testrenew.Connect(t, srv, s, 1)
				testrenew.Stopped(t, srv, s, r.Renew, func() *exec.Cmd { return command(t, r) })
			})
		})
	}
}
