package errbody

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const corpus = "../../testdata/errors"

func TestParseEveryShape(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for name, want := range map[string]Body{
		"flat.json": {Code: 50, Message: "Pin not found."},
		"details.json": {
			Code: 1, Message: "Invalid request.", Detail: "invalid URL", Details: raw(`{"field":"link","reason":"invalid URL","value":"htp://x"}`),
			Fields: []Field{{Name: "link", Value: "htp://x", Problem: "invalid URL"}},
		},
		"status.json":           {Code: 2, Message: "Authentication failed."},
		"envelope.json":         {Code: 283, Message: "The authorization grant is invalid", Detail: "Invalid Application ID"},
		"message_detail.json":   {Code: 9, Message: "Sorry!", Detail: "You've hit a block (Pins) we have in place to combat spam."},
		"code_in_a_string.json": {Code: 8, Message: "You have exceeded your rate limit. Try again later."},
		"nested_error.json": {
			CodeName: "RATE_LIMITED", Message: "Too many requests.", RetryAfter: time.Minute,
			Details: raw(`{"retry_after":60,"limit":100,"window":"minute"}`),
		},
		"nested_fields.json": {
			CodeName: "VALIDATION_ERROR", Message: "Request validation failed",
			Fields: []Field{{Name: "title", Problem: "Title is required"}, {Name: "due_date", Problem: "Due date must be in the future"}},
		},
		"required_scope.json":    {CodeName: "missing_scope", Message: "Token lacks a scope", Scope: "pins:write"},
		"retry_after_camel.json": {CodeName: "RATE_LIMIT", Message: "Slow down", Detail: "Too Many Requests", RetryAfter: 45 * time.Second},
		"meta.json": {
			CodeName: "RATE_LIMIT_EXCEEDED", Message: "Rate limit exceeded. Retry after 45 seconds.",
			RequestID: "req_mno345", RetryAfter: 45 * time.Second,
		},
		"oauth2.json": {CodeName: "invalid_grant", Message: "The refresh token is invalid"},
		"errors_mixed.json": {
			Code: 400, Message: "Missing required field: scheduled_date.",
			Fields: []Field{{Problem: "title: too long"}, {Name: "link", Problem: "not a URL"}},
		},
		"gateway.html": {},
		"storage.xml":  {},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(corpus, name))
			require.NoError(t, err)
			got := Parse(data)
			if want.Details == nil {
				got.Details = nil
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestEveryShapeIsInTheTable(t *testing.T) {
	files, err := os.ReadDir(corpus)
	require.NoError(t, err)
	assert.Len(t, files, 15, "a new body needs a row in TestParseEveryShape")
}

func TestParseKeepsWhatCameOfABodyThatBreaksOff(t *testing.T) {
	const whole = `{"status":"failure","code":283,"message":"The authorization grant is invalid","error":{"details":{"retry_after":60}}}`
	for n := range len(whole) {
		got := Parse([]byte(whole[:n]))
		if n > strings.Index(whole, ",\"message") {
			assert.Equal(t, 283, got.Code, whole[:n])
		}
		if n > strings.Index(whole, ",\"error") {
			assert.Equal(t, "The authorization grant is invalid", got.Message, whole[:n])
		}
	}
	assert.Equal(t, "The authorization ", Parse([]byte(whole[:60])).Message, "the beginning of a message is better than none")
}

func TestParseOddValues(t *testing.T) {
	for body, want := range map[string]Body{
		``:                              {},
		`null`:                          {},
		`[1,2]`:                         {},
		`"text"`:                        {},
		`{"code":null,"message":null}`:  {},
		`{"code":1.5,"message":["x"]}`:  {},
		`{"code":99999999999999999999}`: {},
		`{"code":-3}`:                   {Code: -3},
		`{"retry_after":1e300}`:         {RetryAfter: math.MaxInt64},
		`{"retry_after":-5}`:            {},
		`{"retry_after":"NaN"}`:         {},
		`{"retry_after":0.5}`:           {RetryAfter: 500 * time.Millisecond},
		`{"code":7,"code":8}`:           {Code: 7},
		strings.Repeat(`{`, 1<<20):      {},
		strings.Repeat(`{"error":`, 1<<16) + `{"code":5}`: {},
	} {
		assert.Equal(t, want, Parse([]byte(body)), "%.60s", body)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(corpus, "*"))
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := Parse(data)
		if b.RetryAfter < 0 {
			t.Errorf("a negative wait: %v", b.RetryAfter)
		}
		if b.Details != nil && !json.Valid(b.Details) {
			t.Errorf("details that are not JSON: %s", b.Details)
		}
	})
}
