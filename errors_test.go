package pinterest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// Every recorded error body, through a socket: what it says is on the Error.
func TestErrorBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file   string
		status int
		class  error
		check  func(t *testing.T, e *pinterest.Error)
	}{
		{"flat.json", 404, pinterest.ErrNotFound, func(t *testing.T, e *pinterest.Error) {
			assert.Equal(t, 50, e.Code)
			assert.Equal(t, "Pin not found.", e.Message)
			assert.Contains(t, e.Error(), "not found (404/50): Pin not found. [fix; request "+requestID+"]")
		}},
		{"details.json", 400, pinterest.ErrInvalid, func(t *testing.T, e *pinterest.Error) {
			assert.JSONEq(t, `{"field":"link","reason":"invalid URL","value":"htp://x"}`, string(e.Details))
			assert.Equal(t, []pinterest.FieldError{{Field: "link", Value: "htp://x", Problem: "invalid URL"}}, e.Fields)
		}},
		{"status.json", 401, pinterest.ErrUnauthenticated, func(t *testing.T, e *pinterest.Error) { assert.Equal(t, 2, e.Code) }},
		{"envelope.json", 403, pinterest.ErrForbidden, func(t *testing.T, e *pinterest.Error) { assert.Equal(t, 283, e.Code) }},
		{"message_detail.json", 429, pinterest.ErrBlocked, func(t *testing.T, e *pinterest.Error) {
			assert.Greater(t, time.Until(e.RetryAt), time.Hour, "blocked for hours")
		}},
		{"code_in_a_string.json", 404, pinterest.ErrNotFound, func(t *testing.T, e *pinterest.Error) { assert.Equal(t, 8, e.Code) }},
		{"nested_error.json", 422, pinterest.ErrInvalid, func(t *testing.T, e *pinterest.Error) {
			assert.Equal(t, "RATE_LIMITED", e.CodeName)
			assert.Contains(t, e.Error(), "(422/RATE_LIMITED)")
		}},
		{"nested_fields.json", 422, pinterest.ErrInvalid, func(t *testing.T, e *pinterest.Error) {
			assert.Len(t, e.Fields, 2)
			assert.Contains(t, e.Error(), "title Title is required; due_date Due date must be in the future")
		}},
		{"required_scope.json", 403, pinterest.ErrForbidden, func(t *testing.T, e *pinterest.Error) {
			assert.Equal(t, "pins:write", e.RequiredScope)
			assert.Equal(t, "missing_scope", e.CodeName)
		}},
		{"retry_after_camel.json", 429, pinterest.ErrThrottled, func(t *testing.T, e *pinterest.Error) {
			for _, a := range e.Attempts[:len(e.Attempts)-1] {
				assert.Equal(t, 45*time.Second, a.Wait, "the body's own time")
			}
		}},
		{"meta.json", 429, pinterest.ErrThrottled, func(t *testing.T, e *pinterest.Error) {
			assert.Equal(t, requestID, e.RequestID, "the header says it better than the body")
			assert.Equal(t, 45*time.Second, e.Attempts[0].Wait)
		}},
		{"oauth2.json", 400, pinterest.ErrInvalid, func(t *testing.T, e *pinterest.Error) { assert.Equal(t, "invalid_grant", e.CodeName) }},
		{"errors_mixed.json", 400, pinterest.ErrInvalid, func(t *testing.T, e *pinterest.Error) { assert.Len(t, e.Fields, 2) }},
		{"gateway.html", 502, pinterest.ErrUnavailable, func(t *testing.T, e *pinterest.Error) {
			assert.Contains(t, e.Message, "Bad Gateway, without a message")
			assert.Contains(t, string(e.Body), "<title>")
			assert.Len(t, e.Attempts, 5)
		}},
		{"storage.xml", 403, pinterest.ErrForbidden, func(t *testing.T, e *pinterest.Error) {
			assert.Contains(t, e.Message, "Forbidden, without a message")
		}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("testdata", "errors", tt.file))
			require.NoError(t, err)
			s := newServer(t, answer(tt.status, string(body)).with("X-Pinterest-Rid", requestID).always())
			_, err = newClient(t, s).Pins.Get(t.Context(), pinID)
			e := failure(t, err)
			assert.ErrorIs(t, err, tt.class)
			assert.Equal(t, tt.status, e.Status)
			assert.Equal(t, string(body), string(e.Body))
			tt.check(t, e)
		})
	}
}

func TestErrorBodyIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(404, `{"code":50,"message":"`+strings.Repeat("x", 1<<20)+`"}`))
	_, err := newClient(t, s).Pins.Get(t.Context(), pinID)
	e := failure(t, err)
	assert.Len(t, e.Body, 64<<10)
	assert.Equal(t, 50, e.Code, "what came before the cut is known")
}

func TestRequestIDOfTheBodyServesWithoutAHeader(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(404, `{"error":{"code":"NOT_FOUND","message":"no"},"meta":{"request_id":"req_1"}}`).with("X-Pinterest-Rid", ""))
	_, err := newClient(t, s).Pins.Get(t.Context(), pinID)
	assert.Equal(t, "req_1", failure(t, err).RequestID)
}

func TestTrialAccessIsToldByTheMessage(t *testing.T) {
	t.Parallel()
	const message = "Apps with Trial access may not create Pins in production https://api.pinterest.com - use API Sandbox https://api-sandbox.pinterest.com instead."
	for _, status := range []int{400, 401, 403} {
		s := newServer(t, fault(status, 29, message).always())
		_, err := newClient(t, s).Pins.Create(t.Context(), pinCreate())
		assert.ErrorIs(t, err, pinterest.ErrTrialAccess, status)
		assert.Contains(t, err.Error(), "api-sandbox", "the message names the sandbox")
		assert.Equal(t, 1, s.count(toCall))
	}
}

// Classes have names, and values of the future have something to print.
func TestNames(t *testing.T) {
	t.Parallel()
	for c := pinterest.ClassNone; c <= pinterest.ClassUnknown; c++ {
		assert.NotEmpty(t, c.String())
		assert.NotContains(t, c.String(), "Class(")
	}
	for _, v := range []fmt.Stringer{
		pinterest.Class(99), pinterest.Disposition(99), pinterest.Action(99), pinterest.Kind(99), pinterest.Phase(99), pinterest.Reason(99),
	} {
		assert.Contains(t, v.String(), "(99)")
	}
	assert.Equal(t, "pinterest: missing scope", pinterest.ErrMissingScope.Error())
	assert.NotErrorIs(t, pinterest.ErrMissingScope, pinterest.ErrForbidden)
	assert.NotErrorIs(t, errors.New("other"), pinterest.ErrServer)
}

func TestBodyPrintsItsSizeAlone(t *testing.T) {
	t.Parallel()
	body := pinterest.Body("secret")
	data, err := json.Marshal(body)
	require.NoError(t, err)
	for _, s := range []string{body.String(), fmt.Sprintf("%v %+v %#v %s", body, body, body, body), string(data)} {
		assert.NotContains(t, s, "secret")
		assert.Contains(t, s, "6 bytes")
	}
}

func TestRefreshConfigPrintsNoCredentials(t *testing.T) {
	t.Parallel()
	cfg := refreshConfig()
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg), cfg.LogValue().String()} {
		for _, secret := range []string{cfg.ClientSecret, cfg.RefreshToken, cfg.AccessToken} {
			if secret != "" {
				assert.NotContains(t, s, secret)
			}
		}
		assert.Contains(t, s, cfg.ClientID)
	}
}

// No two sentinels are alike, and a class answers to its own alone.
func TestClassSentinelsAreDistinct(t *testing.T) {
	t.Parallel()
	all := []error{
		pinterest.ErrInvalid, pinterest.ErrUnauthenticated, pinterest.ErrMissingScope, pinterest.ErrForbidden, pinterest.ErrTrialAccess,
		pinterest.ErrNotFound, pinterest.ErrConflict, pinterest.ErrPayment, pinterest.ErrPrecondition, pinterest.ErrTooLarge,
		pinterest.ErrNotImplemented, pinterest.ErrMediaUnreachable, pinterest.ErrThrottled, pinterest.ErrBlocked, pinterest.ErrBlockedLink,
		pinterest.ErrServer, pinterest.ErrUnavailable, pinterest.ErrTransport, pinterest.ErrResponse, pinterest.ErrCanceled,
		pinterest.ErrLedger, pinterest.ErrTokenStore, pinterest.ErrUnknown,
	}
	for class := pinterest.ClassInvalid; class <= pinterest.ClassUnknown; class++ {
		var e error = &pinterest.Error{Class: class}
		matches := 0
		for _, sentinel := range all {
			if errors.Is(e, sentinel) {
				matches++
				assert.Contains(t, sentinel.Error(), class.String())
			}
		}
		assert.Equalf(t, 1, matches, "sentinels of the class %q", class)
		assert.NotErrorIs(t, e, pinterest.ErrUncertain)
	}
}
