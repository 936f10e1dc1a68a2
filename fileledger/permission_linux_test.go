package fileledger_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/fileledger"
)

func TestOpenNotWritable(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"the parent may not be written": 0o555, "the parent may not be entered": 0o444} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			reachable(t, parent)
			require.NoError(t, os.Chmod(parent, mode))
			t.Cleanup(func() { assert.NoError(t, os.Chmod(parent, 0o700)) })
			asNobody(t, func() {
				l, err := fileledger.Open(t.Context(), filepath.Join(parent, "ledger"))
				assert.Nil(t, l)
				require.ErrorIs(t, err, fs.ErrPermission)
				require.ErrorContains(t, err, parent, "the error says where")
			})
		})
	}
	t.Run("a ledger that may only be read", func(t *testing.T) {
		dir := t.TempDir()
		reachable(t, dir)
		l, err := fileledger.Open(t.Context(), dir)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		for path, mode := range map[string]os.FileMode{dir: 0o555, filepath.Join(dir, "locks"): 0o555, filepath.Join(dir, "ledger.sqlite"): 0o444} {
			require.NoError(t, os.Chmod(path, mode))
			t.Cleanup(func() { assert.NoError(t, os.Chmod(path, 0o700)) })
		}
		asNobody(t, func() {
			l, err := fileledger.Open(t.Context(), dir)
			if err == nil { // then the first call must fail, before anything is sent
				_, _, err = l.Lock(t.Context(), "key")
				assert.NoError(t, l.Close())
			}
			require.ErrorContains(t, err, "fileledger: ")
			require.ErrorContains(t, err, dir, "the error says where")
		})
	})
}

// reachable lets other users through to a folder that is for this test alone.
func reachable(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
}

// asNobody runs f without root's permissions. They are changed for one thread only,
// so f must do its work in this goroutine.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, syscall.Setfsuid(nobody))
	defer func() { assert.NoError(t, syscall.Setfsuid(0)) }()
	f()
}
