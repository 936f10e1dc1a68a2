// Package osfile replaces files so that readers of other processes see the old
// content or the new, and the new one survives a crash of the machine.
//
// Windows refuses much while another process has a file open: to replace or remove
// the file, or to open it in the moment in which it is replaced. There the functions
// of this package try again for a while.
package osfile

import (
	"math/rand/v2"
	"os"
	"time"
)

// patience is how long a file is tried that another process has open. Everyone here
// has it open for less than that; a virus scanner may take longer.
const patience = 2 * time.Second

// Retry calls f, and on Windows again for up to two seconds while another process has
// the file open. Where access is denied for good, it takes as long.
func Retry(f func() error) error { return retry(f, isBusy, time.Sleep) }

func retry(f func() error, isBusy func(error) bool, sleep func(time.Duration)) error {
	for waited := time.Duration(0); ; {
		err := f()
		if err == nil || !isBusy(err) || waited >= patience {
			return err
		}
		// Chance keeps two who meet from meeting again.
		pause := time.Millisecond + rand.N(10*time.Millisecond)
		waited += pause
		sleep(pause)
	}
}

// ReadFile is os.ReadFile with [Retry].
func ReadFile(name string) (data []byte, err error) {
	err = Retry(func() error {
		data, err = os.ReadFile(name) //nolint:gosec // the caller's file
		return err
	})
	return data, err
}

// Remove is os.Remove with [Retry].
func Remove(name string) error { return Retry(func() error { return os.Remove(name) }) }

// Replace renames a file, over another if there is one, and syncs the names in the
// folder to disk.
func Replace(from, to string) error { return replace(from, to) }

// SyncFolder syncs the names in a folder to disk. On Windows it does nothing.
func SyncFolder(dir string) error { return syncFolder(dir) }
