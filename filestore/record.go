package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// record is what a file has: three lines, of its format, the account's name in
// quotes and the version, and after them the token as package sealed writes it.
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
	data, err := os.ReadFile(path) //nolint:gosec // a file of the folder that the application named
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

// fileName is the name of an account's files, without their endings. Accounts
// have any name and any length, file names do not.
func fileName(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:])
}

func (s *Store) path(account string) string {
	return filepath.Join(s.dir, fileName(account)+recordEnd)
}

// writeFile has data on disk under path when it returns nil. Until then what
// was there stays there.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*"+tempEnd) // for its owner alone
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		// The name must not stand for a content that is not on disk yet.
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(dir)
}

// syncFolder has the names in a folder on disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the folder that the application named
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
