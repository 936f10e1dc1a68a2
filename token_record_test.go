package pinterest_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// The record is what stores have always kept, and can be read again.
func TestTokenRecord(t *testing.T) {
	t.Parallel()
	local := time.FixedZone("here", 2*60*60)
	tok := pinterest.Token{
		AccessToken: "pina_a", RefreshToken: "pinr.r", Expiry: time.Date(2026, 7, 9, 12, 0, 0, 0, local), RefreshExpiry: time.Date(2026, 9, 7, 10, 0, 0, 0, time.UTC),
		Scopes: []pinterest.Scope{"pins:read", "boards:read"}, Disconnected: &pinterest.Disconnection{At: time.Date(2026, 7, 9, 13, 0, 0, 0, local), Reason: "refused"}, Version: "7",
		User:        &pinterest.PinterestUser{ID: "1001", Username: "oak"},
		Quarantined: &pinterest.Quarantine{Since: time.Date(2026, 7, 9, 11, 0, 0, 0, local), Reason: "lost", RetryAt: time.Date(2026, 7, 9, 12, 30, 0, 0, local)},
	}
	const record = `{"access_token":"pina_a","refresh_token":"pinr.r","expiry":"2026-07-09T10:00:00Z","refresh_expiry":"2026-09-07T10:00:00Z",` +
		`"scopes":["pins:read","boards:read"],"disconnected":{"at":"2026-07-09T11:00:00Z","reason":"refused"},` +
		`"user":{"id":"1001","username":"oak"},"quarantined":{"since":"2026-07-09T09:00:00Z","reason":"lost","retry_at":"2026-07-09T10:30:00Z"}}`
	data, err := tok.MarshalRecord()
	require.NoError(t, err)
	assert.JSONEq(t, record, string(data))
	assert.Equal(t, local, tok.Expiry.Location(), "the token itself is not changed")
	assert.Equal(t, local, tok.Quarantined.RetryAt.Location(), "the token itself is not changed")

	got := pinterest.Token{Version: "8"}
	require.NoError(t, got.UnmarshalRecord([]byte(`{"access_token":"pina_a","expiry":"2026-07-09T12:00:00+02:00","disconnected":{"at":"2026-07-09T13:00:00+02:00","reason":"refused"},`+
		`"user":{"id":"1001","username":"oak"},"quarantined":{"since":"2026-07-09T11:00:00+02:00","reason":"lost","retry_at":"2026-07-09T12:30:00+02:00"},"later":1}`)))
	assert.Equal(t, pinterest.Token{
		AccessToken: "pina_a", Expiry: time.Date(2026, 7, 9, 10, 0, 0, 0, time.UTC),
		Disconnected: &pinterest.Disconnection{At: time.Date(2026, 7, 9, 11, 0, 0, 0, time.UTC), Reason: "refused"},
		User:         &pinterest.PinterestUser{ID: "1001", Username: "oak"},
		Quarantined:  &pinterest.Quarantine{Since: time.Date(2026, 7, 9, 9, 0, 0, 0, time.UTC), Reason: "lost", RetryAt: time.Date(2026, 7, 9, 10, 30, 0, 0, time.UTC)},
	}, got, "of the whole record, and of nothing before")
}

func TestTokenRecordErrors(t *testing.T) {
	t.Parallel()
	var none *pinterest.Token
	for want, tok := range map[string]*pinterest.Token{
		"nil":             none,
		"not valid UTF-8": {AccessToken: secretAccess + "\xff"},
		"year":            {AccessToken: secretAccess, Expiry: time.Unix(math.MaxInt32*1000, 0)},
	} {
		data, err := tok.MarshalRecord()
		require.ErrorContains(t, err, want)
		assert.Empty(t, data)
		assertErrorClean(t, err)
	}
	before := pinterest.Token{AccessToken: "pina_a"}
	for _, record := range []string{"", `{"access_token":"` + secretAccess, `{"access_token":["` + secretAccess + `"]}`, `"pinterest.Token"`, `{"expiry":"` + secretAccess + `"}`} {
		err := before.UnmarshalRecord([]byte(record))
		assertErrorClean(t, err)
		assert.Equal(t, "pina_a", before.AccessToken, "nothing is changed by %q", record)
	}
}

// A store that keeps the plain JSON of a token would keep no credentials. It fails
// when it reads its first record, old or new, and that comes before any save.
func TestTokenHasNoPlainEncoding(t *testing.T) {
	t.Parallel()
	var tok pinterest.Token
	for _, text := range []string{`{"access_token":"` + secretAccess + `"}`, `"pinterest.Token"`} {
		err := json.Unmarshal([]byte(text), &tok)
		require.ErrorContains(t, err, "MarshalRecord")
		assertErrorClean(t, err)
		assert.Equal(t, pinterest.Token{}, tok)
	}
	data, err := json.Marshal(map[string]any{"token": pinterest.Token{AccessToken: secretAccess, Expiry: time.Unix(0, 0)}})
	require.NoError(t, err)
	assert.Equal(t, `{"token":"pinterest.Token(until 1970-01-01T00:00:00Z)"}`, string(data))
	data, err = xml.Marshal(pinterest.Token{AccessToken: secretAccess})
	require.NoError(t, err)
	assert.Equal(t, `<Token>pinterest.Token</Token>`, string(data))
	require.ErrorContains(t, gob.NewEncoder(new(bytes.Buffer)).Encode(pinterest.Token{AccessToken: secretAccess}), "MarshalRecord")
}

// The app's credentials can still be read from a file of settings.
func TestOAuthIsReadFromJSON(t *testing.T) {
	t.Parallel()
	var o pinterest.OAuth
	require.NoError(t, json.Unmarshal([]byte(`{"ClientID":"1","ClientSecret":"`+secretApp+`","Scopes":["pins:read"]}`), &o))
	assert.Equal(t, secretApp, o.ClientSecret)
	data, err := json.Marshal(o)
	require.NoError(t, err)
	assert.Equal(t, `"pinterest.OAuth(1)"`, string(data))
}
