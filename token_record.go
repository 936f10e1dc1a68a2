package pinterest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// MarshalRecord returns the token as JSON, credentials included. It is for authors
// of a [TokenStore], and the only way to encode a token: everything else (package
// encoding/json, a log) gets its String. Encrypt the record where others can read the
// store. It does not have the Version. It fails for a credential that is not valid
// UTF-8, which JSON would change, and for a time whose year is not between 0 and 9999.
// The error has no credential in it.
func (t *Token) MarshalRecord() ([]byte, error) {
	if t == nil {
		return nil, errors.New("the token is nil")
	}
	if !utf8.ValidString(t.AccessToken) || !utf8.ValidString(t.RefreshToken) {
		return nil, errors.New("the token has a credential that is not valid UTF-8")
	}
	data, err := json.Marshal(tokenRecord(t.inUTC())) //nolint:gosec // to keep them is what a store is for
	if err != nil {                                   // nothing else in a token can fail
		return nil, errors.New("the token has a time that cannot be written: its year is not between 0 and 9999")
	}
	return data, nil
}

// UnmarshalRecord sets the token to what a record of [Token.MarshalRecord] has, with
// times in UTC and without a Version. The error has nothing of the record in it.
func (t *Token) UnmarshalRecord(record []byte) error {
	var read tokenRecord
	if err := json.Unmarshal(record, &read); err != nil {
		return errors.New("the stored token is damaged: it cannot be read") // the decoder's own error has a part of the record in it
	}
	tok := Token(read)
	*t = tok.inUTC()
	return nil
}

// tokenRecord is a Token without its methods.
type tokenRecord Token

// inUTC returns the token with its times in UTC, without their monotonic part.
func (t *Token) inUTC() Token {
	tok := *t
	times := []*time.Time{&tok.Expiry, &tok.RefreshExpiry, &tok.RefusedSince, &tok.GrantedAt}
	if d := tok.Disconnected; d != nil {
		d := *d
		tok.Disconnected, times = &d, append(times, &d.At)
	}
	if q := tok.Quarantined; q != nil {
		q := *q
		tok.Quarantined, times = &q, append(times, &q.Since, &q.RetryAt)
	}
	for _, at := range times {
		*at = at.UTC().Round(0)
	}
	return tok
}

// UnmarshalJSON returns an error: tokens are stored with [Token.MarshalRecord] and
// read with [Token.UnmarshalRecord]. A store that took the plain JSON of a token for
// its record learns it here, before it saves one without credentials.
func (t *Token) UnmarshalJSON([]byte) error {
	return errors.New("pinterest: a Token has no plain JSON: a token store uses its methods MarshalRecord and UnmarshalRecord")
}

// GobEncode returns an error: see [Token.MarshalRecord].
func (t Token) GobEncode() ([]byte, error) { return nil, errNoEncoding }

var errNoEncoding = errors.New("pinterest: credentials are not encoded, except by Token.MarshalRecord")

// formatAs prints text in place of a value that has credentials.
func formatAs(f fmt.State, verb rune, text string) {
	if verb == 'v' { // %#v is no Go syntax here
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), text)
}
