//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package filestore

import (
	"errors"
	"os"
)

// Where there is no such lock Open says so.
const canLock = false

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
