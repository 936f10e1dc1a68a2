package pinterest_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestLargeErrorBodyIsKeptInPart(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(404, strings.Repeat("x", 10<<20)))
	e := failure(t, get(t.Context(), newClient(t, s)))
	assert.Equal(t, 404, e.Status)
	assert.Len(t, e.Body, 64<<10)
	assert.Less(t, len(e.Error()), 1000, "a body is not printed")
}

func TestAnswerThatIsNotJSONKeepsItsStatus(t *testing.T) {
	t.Parallel()
	s := newServer(t, html(502).always())
	err := get(t.Context(), newClient(t, s))
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrUnavailable)
	assert.Equal(t, 502, e.Status)
	assert.Equal(t, html(502).body, string(e.Body))
	assert.Contains(t, err.Error(), "502")
	assert.NotContains(t, err.Error(), "<html>")
	assert.Equal(t, requestID, e.RequestID)
	assert.Contains(t, err.Error(), requestID)
}

func TestTruncatedSuccessIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]reply{
		"shorter than its Content-Length": halfBody(200, `{"id":"8137442264`),
		"half of the JSON":                answer(200, `{"id":"8137442264`),
		"HTML":                            html(200),
		"null":                            answer(200, `null`),
		"an array":                        answer(200, `[]`),
		"another object":                  answer(200, `{"items":[]}`),
		"an id of another type":           answer(200, `{"id":5}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, broken, okPin())
			c := newClient(t, s)
			pin, err := c.Pins.Get(t.Context(), pinID)
			require.NoError(t, err)
			assert.Equal(t, pinID, pin.ID)
			assertSlept(t, s, seconds(2))

			s = newServer(t, broken)
			s.onLookup(s.madePin())
			pin, err = newClient(t, s).Pins.Create(t.Context(), pinCreate())
			require.NoError(t, err)
			assert.Equal(t, newPinID, pin.ID, "a create is looked up")
		})
	}
}

func TestGarbledAnswerLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{"title":"the first","alt_text":"one"}`), okPin())
	pin, err := newClient(t, s).Pins.Get(t.Context(), pinID)
	require.NoError(t, err)
	assert.Equal(t, "made", pin.Title)
	assert.Empty(t, pin.AltText, "of an answer that was not used")
}

func TestAnswerOverTheBound(t *testing.T) {
	t.Parallel()
	body := func(n int) string {
		const frame = `{"id":"1","title":""}`
		return `{"id":"1","title":"` + strings.Repeat("x", n-len(frame)) + `"}`
	}
	zipped := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, body(8<<20))
		_ = z.Close()
	}}
	tests := []struct {
		name  string
		reply reply
		ok    bool
	}{
		{"at the bound", answer(200, body(1024)), true},
		{"one byte over", answer(200, body(1025)), false},
		{"far over", answer(200, body(1<<20)), false},
		{"packed", zipped, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply)
			err := get(t.Context(), newClient(t, s, pinterest.WithMaxResponse(1024)))
			if tt.ok {
				assert.NoError(t, err)
				return
			}
			e := failure(t, err)
			assert.ErrorIs(t, err, pinterest.ErrResponse)
			assert.Equal(t, review, e.Disposition)
			assert.Contains(t, err.Error(), "1024")
			assert.Equal(t, 200, e.Status, "an answer came: its status is kept")
			assert.Equal(t, 1, s.count(toCall))
		})
	}
}

func TestSuccessesOfDelete(t *testing.T) {
	t.Parallel()
	for _, st := range []reply{answer(204, ""), answer(200, ""), answer(200, `{}`), answer(202, "accepted")} {
		s := newServer(t, st)
		var res pinterest.Response
		require.NoError(t, newClient(t, s).Pins.Delete(t.Context(), pinID, pinterest.ResponseTo(&res)))
		assert.Equal(t, st.status, res.Status)
	}
}

func TestFieldOfAnotherTypeIsTolerated(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{"id":"5","title":7,"link":"https://shop.example","is_owner":"yes","unknown":{"a":1}}`))
	var res pinterest.Response
	var seen recorder
	pin, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Get(t.Context(), pinID, pinterest.ResponseTo(&res))
	require.NoError(t, err)
	assert.Equal(t, "5", pin.ID)
	assert.Equal(t, "https://shop.example", pin.Link, "the rest is decoded")
	assert.Error(t, res.DecodeError)
	assert.Error(t, seen.all()[0].Err, "observers hear of it")
	assert.Equal(t, 1, s.count(toCall))
}

func TestEveryAnswer2xxIsASuccess(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 202, 203, 206, 226, 299} {
		s := newServer(t, answer(status, okPin().body))
		assert.NoError(t, get(t.Context(), newClient(t, s)), status)
	}
}

func TestErrorSaysWhatTheAPISaid(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(400, `{"code":"1","message":"Invalid parameters.","details":{"a":[1,2]},"errors":[{"field":"title","value":"x","message":"too long"}]}`))
	err := get(t.Context(), newClient(t, s))
	e := failure(t, err)
	assert.Equal(t, "pins/get", e.Operation)
	assert.Equal(t, 1, e.Code)
	assert.Equal(t, "Invalid parameters.", e.Message)
	assert.JSONEq(t, `{"a":[1,2]}`, string(e.Details))
	assert.Equal(t, []pinterest.FieldError{{Field: "title", Value: "x", Problem: "too long"}}, e.Fields)
	assert.Equal(t, requestID, e.RequestID)
	assert.Equal(t, `pinterest: pins/get: invalid (400/1): Invalid parameters.; title too long (got "x") [fix; request `+requestID+`]`, err.Error())
}

func TestRateHeadersNeverFailACall(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", ",", ";;;", "100;w=", "-1", "1e9", `100, 100;w=x;name=`, `"`, strings.Repeat("9", 400), "100, 100;w=99999999999999999999"} {
		s := newServer(t, okPin().with("X-Ratelimit-Limit", value, "X-Ratelimit-Remaining", value, "X-Ratelimit-Reset", value))
		assert.NoError(t, get(t.Context(), newClient(t, s)), value)
	}
}
