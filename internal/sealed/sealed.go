// Package sealed turns an account's token into the bytes that a store keeps and
// back, encrypted if it is given keys.
//
// The first byte tells which it is: '{' begins a token in plain JSON, 1 a sealed
// one: the nonce and the sealed JSON, with the account's name as additional data,
// so that one account's record cannot be passed off as another's.
package sealed

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/pinterest-go/pinterest"
)

// The formats, by their first byte.
const (
	plainFormat  = '{'
	sealedFormat = 1
)

// What Open can fail with. None has a word of the record in it. Each is a
// pinterest.ErrTokenUnreadable.
const (
	ErrNoKey   = unreadable("the stored token is encrypted, and the store was opened without a key")
	ErrPlain   = unreadable("the stored token is not encrypted, and the store was opened with a key")
	ErrKey     = unreadable("the stored token cannot be decrypted: it was encrypted with another key or for another account, or it is damaged")
	ErrDamaged = unreadable("the stored token is damaged: it cannot be read")
)

type unreadable string

func (e unreadable) Error() string        { return string(e) }
func (e unreadable) Is(target error) bool { return target == pinterest.ErrTokenUnreadable }

var errNoKeys = errors.New("the store was opened without a key")

// Keys seal and open records. The zero Keys leave them plain.
//
// The ciphers stand in closures, because what prints a struct prints the key
// that a cipher has been expanded from.
type Keys struct {
	seal func(account string, plain []byte) []byte
	open []func(account string, box []byte) ([]byte, error)
}

// New returns keys that seal with current and open with it and all the old ones.
func New(current cipher.AEAD, old ...cipher.AEAD) (Keys, error) {
	var k Keys
	for _, aead := range append([]cipher.AEAD{current}, old...) {
		if aead == nil {
			return Keys{}, errors.New("WithAEAD: the cipher is nil")
		}
		k.open = append(k.open, func(account string, box []byte) ([]byte, error) {
			n := aead.NonceSize()
			if len(box) < n {
				return nil, ErrDamaged
			}
			return aead.Open(nil, box[:n], box[n:], []byte(account))
		})
	}
	k.seal = func(account string, plain []byte) []byte {
		nonce := make([]byte, current.NonceSize())
		_, _ = rand.Read(nonce) // it does not fail
		return current.Seal(append([]byte{sealedFormat}, nonce...), nonce, plain, []byte(account))
	}
	return k, nil
}

// Seal returns the record of an account's token.
func (k Keys) Seal(account string, tok *pinterest.Token) ([]byte, error) {
	plain, err := tok.MarshalRecord()
	if err != nil || k.seal == nil {
		return plain, err
	}
	return k.seal(account, plain), nil
}

// Open returns the token of an account's record.
func (k Keys) Open(account string, record []byte) (*pinterest.Token, error) {
	plain, _, err := k.plain(account, record)
	if err != nil {
		return nil, err
	}
	var tok pinterest.Token
	if tok.UnmarshalRecord(plain) != nil {
		return nil, ErrDamaged
	}
	return &tok, nil
}

// Reseal returns an account's record sealed with the current key. changed is false for
// one that is so already, which is returned as it is.
func (k Keys) Reseal(account string, record []byte) (resealed []byte, changed bool, err error) {
	if k.seal == nil {
		return nil, false, errNoKeys
	}
	if k.seal == nil {
		return nil, false, errNoKeys
	}
	plain, key, err := k.plain(account, record)
	if err != nil || key == 0 {
		return record, false, err
	}
	return k.seal(account, plain), true, nil
}

// plain returns the plain record, and which of the keys it was sealed with.
func (k Keys) plain(account string, record []byte) (plain []byte, key int, err error) {
	switch {
	case bytes.HasPrefix(record, []byte{plainFormat}):
		if k.seal != nil {
			return nil, 0, ErrPlain
		}
		return record, 0, nil
	case bytes.HasPrefix(record, []byte{sealedFormat}):
		if k.seal == nil {
			return nil, 0, ErrNoKey
		}
		for key, open := range k.open {
			if plain, err := open(account, record[1:]); err == nil {
				return plain, key, nil
			}
		}
		return nil, 0, ErrKey
	}
	return nil, 0, ErrDamaged
}

// Unreadable collects the errors of records that cannot be read, for those who go on
// with the others.
type Unreadable struct {
	first error
	more  int
}

// Add notes an error.
func (u *Unreadable) Add(err error) {
	if u.first == nil {
		u.first = err
	} else {
		u.more++
	}
}

// Err returns the first error, and how many more there were; nil if there was none.
func (u *Unreadable) Err() error {
	if u.more == 0 {
		return u.first
	}
	return fmt.Errorf("%w (and %d more that failed)", u.first, u.more)
}

// DueAt returns when a token has to be refreshed: when the first of its two
// credentials expires. It is the zero time for one that is never due.
func DueAt(tok *pinterest.Token) time.Time {
	switch at := tok.Expiry; {
	case tok.RefreshToken == "" || tok.Disconnected != nil:
		return time.Time{}
	case at.IsZero() || !tok.RefreshExpiry.IsZero() && tok.RefreshExpiry.Before(at):
		return tok.RefreshExpiry
	default:
		return at
	}
}
