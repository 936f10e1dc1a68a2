package osfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errBusy = errors.New("another process has it open")

// What Windows refuses is tried again until it succeeds, fails otherwise, or two
// seconds have passed.
func TestRetry(t *testing.T) {
	t.Parallel()
	other := errors.New("another error")
	isBusy := func(err error) bool { return errors.Is(err, errBusy) }
	wrapped := fmt.Errorf("rename: %w", errBusy)
	for name, tt := range map[string]struct {
		answers []error // the last one is for good
		calls   int     // 0: until patience ends
		want    error
	}{
		"at once":                {[]error{nil}, 1, nil},
		"then it succeeds":       {[]error{wrapped, wrapped, wrapped, nil}, 4, nil},
		"then it fails":          {[]error{wrapped, other}, 2, other},
		"it fails in other ways": {[]error{other}, 1, other},
		"it stays busy":          {[]error{wrapped}, 0, errBusy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls, slept := 0, time.Duration(0)
			err := retry(func() error {
				answer := tt.answers[min(calls, len(tt.answers)-1)]
				calls++
				return answer
			}, isBusy, func(d time.Duration) {
				assert.Positive(t, d)
				assert.Less(t, d, 20*time.Millisecond)
				slept += d
			})
			assert.ErrorIs(t, err, tt.want)
			if tt.calls > 0 {
				assert.Equal(t, tt.calls, calls)
			} else {
				assert.GreaterOrEqual(t, slept, patience)
				assert.Less(t, slept, patience+20*time.Millisecond)
			}
		})
	}
}

// Readers see the old content or the new one, whole.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write := func(n int) {
		require.NoError(t, os.WriteFile(path+".tmp", fmt.Appendf(nil, "%08d%08d", n, n), 0o600))
		require.NoError(t, Replace(path+".tmp", path))
	}
	write(0)
	const rounds = 200
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				data, err := ReadFile(path)
				if AtomicReplace || !errors.Is(err, fs.ErrNotExist) {
					assert.NoError(t, err)
					assert.Len(t, data, 16)
					assert.Equal(t, string(data[:8]), string(data[8:]))
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := range rounds {
		write(n)
	}
	close(done)
	wg.Wait()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NoError(t, Remove(path))
	_, err = ReadFile(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing", "file")
	_, err := ReadFile(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, Remove(missing), fs.ErrNotExist)
	err = Replace(missing, missing+".new")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, missing)
	if AtomicReplace {
		require.ErrorIs(t, SyncFolder(missing), fs.ErrNotExist)
	}
}
