//go:build unix

package osfile

import (
	"os"
	"syscall"
)

// IsForeign reports whether a file belongs to a user who is neither that of this process
// nor root. Where files have no owners it is false.
func IsForeign(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid != 0 && int64(stat.Uid) != int64(os.Geteuid())
}
