package redact

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Credentials without a shape by which they could be told: they have to be known.
const (
	secretApp   = "SeC9m4vD6pYc1QfHxTnL7jZk3WsA"
	secretToken = "AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ"
)

func TestCleanTakesOutWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := New(secretApp)
	text := "with " + secretApp + " and " + secretToken + " and pina_AMAS3KZQAAVHQBQA"
	assert.Equal(t, "with [redacted] and "+secretToken+" and [redacted]", s.Clean(text))
	s.AddToken("", secretToken)
	assert.Equal(t, "with [redacted] and [redacted] and [redacted]", s.Clean(text))
	assert.Empty(t, s.Clean(""))
	assert.Equal(t, "nothing here", s.Clean("nothing here"))
}

// Many renewals push the oldest tokens out of what is known, never the app's
// secret, which is in use as long as the client. Tokens that are known already
// push nothing out.
func TestSecretsKeepTheNewestTokens(t *testing.T) {
	t.Parallel()
	s := New(secretApp)
	token := func(i int) string { return fmt.Sprintf("token-%04d", i) }
	const added = 3 * maxTokens
	for i := range added {
		s.AddToken(token(i), token(i), "")
	}
	for i := range added {
		known := s.Clean(token(i)) == Mark
		assert.Equal(t, i >= added-maxTokens, known, "token %d", i)
	}
	assert.Equal(t, Mark, s.Clean(secretApp))
	assert.Len(t, s.tokens, maxTokens)
}

func TestNewKeepsACopy(t *testing.T) {
	t.Parallel()
	app := []string{secretApp}
	s := New(app...)
	app[0] = "another"
	assert.Equal(t, Mark, s.Clean(secretApp))
}

func TestCleanBody(t *testing.T) {
	t.Parallel()
	s := New(secretApp)
	s.AddToken(secretToken)
	for name, tt := range map[string]struct {
		body  string
		limit int
		cut   bool
		want  string
	}{
		"short":                          {"the token " + secretToken + " is refused", 100, false, "the token [redacted] is refused"},
		"long":                           {strings.Repeat("x", 50), 20, false, strings.Repeat("x", 20)},
		"exactly the limit":              {"say " + secretToken[:5], 9, false, "say " + secretToken[:5]},
		"ends in the middle of a token":  {"say " + secretToken + "!", 4 + len(secretToken) - 1, false, "say "},
		"ends after a token's first":     {"say " + secretToken + "!", 5, false, "say "},
		"ends in the middle of a secret": {"say " + secretApp + "!", 10, false, "say "},
		"ends with a whole token":        {"say " + secretToken + "!", 4 + len(secretToken), false, "say [redacted]"},
		"was cut before":                 {"say " + secretToken[:9], 100, true, "say "},
		"was cut where nothing is":       {"say it", 100, true, "say it"},
		"empty":                          {"", 100, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, s.CleanBody([]byte(tt.body), tt.limit, tt.cut))
		})
	}
}

// Wherever a body is cut, nothing of a known token stays at its end.
func FuzzCleanBody(f *testing.F) {
	f.Add(`{"message": "`, secretToken, 5)
	f.Add("token=", "aabaab", 4)
	f.Fuzz(func(t *testing.T, before, secret string, kept int) {
		if len(secret) < minSecret || kept < 1 || kept >= len(secret) || strings.ContainsAny(secret, "[]") || strings.Contains(before, secret[:kept]) {
			return // not a cut through the secret, or its beginning is found for other reasons
		}
		body := []byte(before + secret)
		if got := New(secret).CleanBody(body, len(before)+kept, false); strings.HasSuffix(got, secret[:kept]) {
			t.Errorf("%q still ends with %q of %q", got, secret[:kept], secret)
		}
		if got := New("another", secret).CleanBody(body[:len(before)+kept], len(body), true); strings.HasSuffix(got, secret[:kept]) {
			t.Errorf("%q, cut before, still ends with %q of %q", got, secret[:kept], secret)
		}
	})
}

func TestCleanID(t *testing.T) {
	t.Parallel()
	s := New("123456", secretApp)
	for id, want := range map[string]string{
		"": "", "1234567890": "1234567890", secretApp: Mark, "req-" + secretApp: "req-[redacted]", "req-7": "req-7",
	} {
		assert.Equal(t, want, s.CleanID(id))
	}
}

// textError prints as it is wherever it stands, even in a field that is not
// exported, where fmt does not call Error.
type textError string

func (e textError) Error() string { return string(e) }

// structError is the same as a struct, and says less than it holds.
type structError struct{ Said, Held string }

func (e structError) Error() string { return e.Said }

// assertHidden prints err in every way there is.
func assertHidden(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			assert.NotContains(t, fmt.Sprintf(verb, e), secretToken, verb)
			assert.NotContains(t, fmt.Sprintf(verb, struct{ inner error }{e}), secretToken, "as a field, "+verb)
		}
	}
}

func TestHide(t *testing.T) {
	t.Parallel()
	s := New()
	s.AddToken(secretToken)
	assert.NoError(t, s.Hide(nil))

	t.Run("a credential in the text", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{
			textError("refused " + secretToken),
			fmt.Errorf("refused %s: %w", secretToken, io.EOF),
			&structError{Said: "refused " + secretToken},
			errors.Join(io.EOF, textError("refused "+secretToken)),
		} {
			got := s.Hide(err)
			assert.Contains(t, got.Error(), "refused [redacted]")
			assert.NoError(t, errors.Unwrap(got), "who unwraps it would print the credential")
			assert.Equal(t, errors.Is(err, io.EOF), errors.Is(got, io.EOF), "its causes are still found")
			assertHidden(t, got)
		}
	})
	t.Run("a clean text", func(t *testing.T) {
		t.Parallel()
		err := &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}
		got := s.Hide(err)
		assert.EqualError(t, got, err.Error())
		assert.Equal(t, `"open /x: file does not exist"`, fmt.Sprintf("%#v", got))
		assert.Equal(t, error(err), errors.Unwrap(got))
		require.ErrorIs(t, got, fs.ErrNotExist)
		var path *fs.PathError
		require.ErrorAs(t, got, &path)
	})
	t.Run("more than the text says", func(t *testing.T) {
		t.Parallel()
		got := s.Hide(structError{Said: "refused", Held: secretToken})
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			assert.NotContains(t, fmt.Sprintf(verb, got), secretToken, verb)
			assert.NotContains(t, fmt.Sprintf(verb, struct{ inner error }{got}), secretToken, "as a field, "+verb)
		}
	})
}

func TestNilSecrets(t *testing.T) {
	t.Parallel()
	var s *Secrets
	s.AddToken(secretToken)
	assert.Equal(t, secretToken, s.Clean(secretToken))
	assert.Equal(t, "bearer "+Mark, s.Clean("bearer "+secretToken), "known by what stands before it")
	assert.Equal(t, "abc", s.CleanBody([]byte("abcdef"), 3, false))
	assert.Equal(t, "abc", s.CleanBody([]byte("abc"), 3, true))
	assert.Equal(t, "7", s.CleanID("7"))
	assert.Equal(t, "req "+Mark, s.CleanID("req pina_AMAS3KZQAAVHQBQA"))
	assert.NoError(t, s.Hide(nil))
	assert.EqualError(t, s.Hide(io.EOF), "EOF")
	var zero Secrets
	zero.AddToken(secretToken)
	assert.Equal(t, Mark, zero.Clean(secretToken))
}

func TestSecretsAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := New(secretApp)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				s.AddToken(fmt.Sprintf("token-%d-%d", g, i))
				assert.Equal(t, Mark, s.Clean(secretApp))
				assert.Equal(t, "x", s.CleanBody([]byte("x"+secretApp), 10, false))
			}
		})
	}
	wg.Wait()
}

func BenchmarkClean(b *testing.B) {
	s := New(secretApp)
	s.AddToken(secretToken)
	for b.Loop() {
		s.Clean("the board you asked for does not exist")
	}
}
