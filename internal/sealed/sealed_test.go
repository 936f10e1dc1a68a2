package sealed_test

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

func gcm(t testing.TB, key byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher([]byte("0123456789abcde" + string(key)))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	return aead
}

func keys(t testing.TB, current cipher.AEAD, old ...cipher.AEAD) sealed.Keys {
	t.Helper()
	k, err := sealed.New(current, old...)
	require.NoError(t, err)
	return k
}

var token = pinterest.Token{
	AccessToken: "AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ", RefreshToken: "RfR5u8wZ1xKj6TqEyVoP3sMb9DnF",
	Expiry: time.Date(2027, 1, 2, 3, 4, 5, 6, time.UTC), Scopes: []pinterest.Scope{"pins:write"},
	Disconnected: &pinterest.Disconnection{At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reason: "why"},
}

func TestRoundTrip(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 16))
	require.NoError(t, err)
	randomNonce, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	for name, k := range map[string]sealed.Keys{
		"plain": {}, "sealed": keys(t, gcm(t, 'a')), "sealed, with a nonce of the cipher's own": keys(t, randomNonce),
	} {
		t.Run(name, func(t *testing.T) {
			for _, account := range []string{"", "alice", "\xff\x00"} {
				record, err := k.Seal(account, &token)
				require.NoError(t, err)
				if name == "plain" {
					assert.JSONEq(t, `{"access_token":"AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ","refresh_token":"RfR5u8wZ1xKj6TqEyVoP3sMb9DnF",
						"expiry":"2027-01-02T03:04:05.000000006Z","scopes":["pins:write"],
						"disconnected":{"at":"2026-01-02T03:04:05Z","reason":"why"}}`, string(record))
				} else {
					assert.NotContains(t, string(record), token.AccessToken[:8])
					again, err := k.Seal(account, &token)
					require.NoError(t, err)
					assert.NotEqual(t, record, again, "the nonce is random")
				}
				got, err := k.Open(account, record)
				require.NoError(t, err)
				assert.Equal(t, &token, got)
			}
		})
	}
}

func TestTimesInUTC(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	tok := pinterest.Token{Expiry: token.Expiry.In(zone), RefreshExpiry: token.Expiry.In(zone), Disconnected: &pinterest.Disconnection{At: token.Expiry.In(zone)}}
	record, err := sealed.Keys{}.Seal("alice", &tok)
	require.NoError(t, err)
	assert.NotContains(t, string(record), "+02:00")
	assert.Equal(t, zone, tok.Disconnected.At.Location(), "the caller's stays as it is")
	got, err := sealed.Keys{}.Open("alice", []byte(`{"expiry":"2027-01-02T05:04:05+02:00"}`))
	require.NoError(t, err)
	assert.Equal(t, time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), got.Expiry)
}

func TestRotation(t *testing.T) {
	a, b := gcm(t, 'a'), gcm(t, 'b')
	before, during, after := keys(t, a), keys(t, b, a), keys(t, b)
	old, err := before.Seal("alice", &token)
	require.NoError(t, err)
	got, err := during.Open("alice", old)
	require.NoError(t, err, "opened with the old key")
	resealed, err := during.Seal("alice", got)
	require.NoError(t, err)
	_, err = after.Open("alice", resealed)
	require.NoError(t, err, "sealed with the new key")
	_, err = before.Open("alice", resealed)
	require.ErrorIs(t, err, sealed.ErrKey)
	_, err = after.Open("alice", old)
	require.ErrorIs(t, err, sealed.ErrKey)
}

func TestReseal(t *testing.T) {
	a, b := gcm(t, 'a'), gcm(t, 'b')
	old, err := keys(t, a).Seal("alice", &token)
	require.NoError(t, err)
	during, after := keys(t, b, a), keys(t, b)
	resealed, changed, err := during.Reseal("alice", old)
	require.NoError(t, err)
	assert.True(t, changed)
	got, err := after.Open("alice", resealed)
	require.NoError(t, err)
	assert.Equal(t, &token, got)
	again, changed, err := during.Reseal("alice", resealed)
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Equal(t, resealed, again)

	_, _, err = during.Reseal("bob", old)
	require.ErrorIs(t, err, sealed.ErrKey)
	_, _, err = after.Reseal("alice", old)
	require.ErrorIs(t, err, sealed.ErrKey)
	_, _, err = during.Reseal("alice", []byte("{}"))
	require.ErrorIs(t, err, sealed.ErrPlain)
	_, _, err = sealed.Keys{}.Reseal("alice", []byte("{}"))
	require.ErrorContains(t, err, "without a key")
}

func TestOpenErrors(t *testing.T) {
	none, k := sealed.Keys{}, keys(t, gcm(t, 'a'))
	plain, err := none.Seal("alice", &token)
	require.NoError(t, err)
	box, err := k.Seal("alice", &token)
	require.NoError(t, err)

	_, err = k.Open("alice", plain)
	require.ErrorIs(t, err, sealed.ErrPlain)
	_, err = none.Open("alice", box)
	require.ErrorIs(t, err, sealed.ErrNoKey)
	_, err = k.Open("bob", box)
	require.ErrorIs(t, err, sealed.ErrKey, "another account's")
	for i := range box {
		_, err = k.Open("alice", box[:i])
		require.Error(t, err, "%d bytes", i)
		flipped := append([]byte{}, box...)
		flipped[i] ^= 1
		_, err = k.Open("alice", flipped)
		require.Error(t, err, "byte %d is another", i)
	}
	for _, record := range [][]byte{nil, {}, []byte("\x02"), []byte("null"), plain[1:], plain[:len(plain)-1]} {
		_, err = none.Open("alice", record)
		require.ErrorIs(t, err, sealed.ErrDamaged, "%.10q", record)
	}
}

func TestSealErrors(t *testing.T) {
	for want, tok := range map[string]*pinterest.Token{
		"the token is nil":  nil,
		"not valid UTF-8":   {AccessToken: "\xff"},
		"cannot be written": {Expiry: time.Unix(math.MaxInt32*1000, 0)},
	} {
		_, err := sealed.Keys{}.Seal("alice", tok)
		require.ErrorContains(t, err, want)
	}
	_, err := sealed.Keys{}.Seal("alice", &pinterest.Token{RefreshToken: "\xff"})
	require.ErrorContains(t, err, "not valid UTF-8")
	_, err = sealed.New(nil)
	require.Error(t, err)
	_, err = sealed.New(gcm(t, 'a'), nil)
	require.Error(t, err)
}

// A damaged record's credentials are not told, nor is the key.
func TestNothingLeaks(t *testing.T) {
	const secret = "AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ"
	for _, record := range []string{
		`{"expiry":"` + secret + `"}`, `{"access_token":` + secret + `}`, `{"scopes":"` + secret + `"}`, `{"` + secret + `"`,
		`{"access_token":"` + secret, secret, `"` + secret + `"`,
	} {
		_, err := sealed.Keys{}.Open("alice", []byte(record))
		require.ErrorIs(t, err, sealed.ErrDamaged)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret[:8])
	}
	k := keys(t, gcm(t, 'a'))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		assert.Less(t, len(fmt.Sprintf(verb, k)), 200, "there is no key in it")
	}
}

func TestDueAt(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for name, test := range map[string]struct {
		tok  pinterest.Token
		want time.Time
	}{
		"access first":            {pinterest.Token{RefreshToken: "r", Expiry: early, RefreshExpiry: late}, early},
		"refresh first":           {pinterest.Token{RefreshToken: "r", Expiry: late, RefreshExpiry: early}, early},
		"access alone":            {pinterest.Token{RefreshToken: "r", Expiry: early}, early},
		"refresh alone":           {pinterest.Token{RefreshToken: "r", RefreshExpiry: late}, late},
		"neither is known":        {pinterest.Token{RefreshToken: "r"}, time.Time{}},
		"nothing to refresh with": {pinterest.Token{Expiry: early, RefreshExpiry: early}, time.Time{}},
		"disconnected":            {pinterest.Token{RefreshToken: "r", Expiry: early, Disconnected: &pinterest.Disconnection{}}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, sealed.DueAt(&test.tok)) })
	}
}

func FuzzOpen(f *testing.F) {
	k := keys(f, gcm(f, 'a'))
	for _, keys := range []sealed.Keys{{}, k} {
		record, err := keys.Seal("alice", &token)
		require.NoError(f, err)
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		for _, keys := range []sealed.Keys{{}, k} {
			tok, err := keys.Open("alice", record)
			if (tok == nil) == (err == nil) {
				t.Errorf("%v, %v", tok, err)
			}
		}
	})
}
