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

// fileName returns the name of an account's files, without their extensions. Names
// of accounts may have any length and any bytes, which file names may not.
func fileName(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:])
}

func (s *Store) path(account string) string {
	return filepath.Join(s.dir, fileName(account)+recordEnd)
}

// writeFile replaces the file at path. When it returns nil, data is on disk. Until
// then the old content stays.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*"+tempEnd) // for its owner alone
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
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(dir)
}

// syncFolder syncs the names in a folder to disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the folder that the application named
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
