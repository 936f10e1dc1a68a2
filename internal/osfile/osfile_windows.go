package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// AtomicReplace reports whether a file that is replaced never seems to be missing.
const AtomicReplace = false

// HasModes reports whether the modes of files say who may use them.
const HasModes = false

// isBusy reports whether another process may have the file open. A file that is just
// being removed, or replaced by another, is one to which access is denied.
func isBusy(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}

// replace is os.Rename, except that it returns when the new name is on disk: a folder
// cannot be synced.
func replace(from, to string) error {
	old, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	name, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	err = Retry(func() error {
		return windows.MoveFileEx(old, name, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	})
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func syncFolder(string) error { return nil }
