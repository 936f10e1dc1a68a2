//go:build unix

package filestore_test

import (
	"os/exec"
	"testing"

	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/internal/testrenew"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A process gets SIGTERM between the answers to its refreshes and their saves, for
// 200 refreshes.
func TestNoAccountIsLostAtATermination(t *testing.T) {
	srv := pinteresttest.NewServer(pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
	t.Cleanup(srv.Close)
	r := role{Play: "terminated", Dir: t.TempDir()}
	s := open(t, r.Dir)
	r.Renew = testrenew.Connect(t, srv, s, 20)
	testrenew.Terminated(t, srv, s, r.Renew, 10, func() *exec.Cmd { return testproc.Command(t.Context(), t, r) })
}
