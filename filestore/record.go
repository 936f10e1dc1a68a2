package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/osfile"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// record is the content of a file: three lines with the format, the quoted name of
// the account and the version, followed by the token as package sealed writes it.
type record struct {
	account string
	version string
	payload []byte
}

const formatLine = "pinterest token 1"

func (r record) bytes() []byte {
	head := formatLine + "\n" + strconv.QuoteToASCII(r.account) + "\n" + r.version + "\n"
	return append([]byte(head), r.payload...)
}

func readRecord(path string) (record, error) {
	data, err := osfile.ReadFile(path)
	if err != nil {
		return record{}, err
	}
	parts := strings.SplitN(string(data), "\n", 4)
	if len(parts) != 4 || parts[0] != formatLine || parts[2] == "" {
		return record{}, sealed.ErrDamaged
	}
	account, err := strconv.Unquote(parts[1])
	if err != nil {
		return record{}, sealed.ErrDamaged
	}
	return record{account: account, version: parts[2], payload: []byte(parts[3])}, nil
}

func (r record) token(keys sealed.Keys) (*pinterest.Token, error) {
	tok, err := keys.Open(r.account, r.payload)
	if err != nil {
		return nil, err
	}
	tok.Version = r.version
	return tok, nil
}

// fileName returns the name of an account's files, without their extensions. Names
// of accounts may have any length and any bytes, which file names may not.
func fileName(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:])
}

// fileNameLength is the length of such a name.
const fileNameLength = 2 * sha256.Size

// recordPath returns the path of the record whose file has this name.
func (s *Store) recordPath(name string) string { return filepath.Join(s.dir, name+recordEnd) }

func (s *Store) path(account string) string { return s.recordPath(fileName(account)) }

// writeFile replaces the file at path. When it returns nil, data is on disk. Until
// then the old content stays. The caller holds the lock of those who write this file,
// so the temporary file needs no name of its own, and one that is there belongs to
// nobody: its writer has died.
func writeFile(path string, data []byte) error {
	temp := path + tempEnd
	if err := removeFile(temp); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in the folder that the application named
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		// The content must be on disk before the name refers to it.
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = osfile.Replace(temp, path)
	}
	if err != nil {
		return errors.Join(err, removeFile(temp))
	}
	return nil
}

// removeFile removes a file if it is there.
func removeFile(path string) error {
	if err := osfile.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
