//go:build !windows

package osfile

import (
	"errors"
	"os"
	"path/filepath"
)

// AtomicReplace reports whether a file that is replaced never seems to be missing.
const AtomicReplace = true

// HasModes reports whether the modes of files say who may use them.
const HasModes = true

func isBusy(error) bool { return false }

func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller's folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
