package seam_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pinterest-go/pinterest"
)

type unit struct {
	ID     string `json:"id"`
	ItemID string `json:"item_id"`
	Status string `json:"status"`
	Name   string `json:"name"`
}

var opUnits = pinterest.Operation{ID: "units/create", Method: "POST", Path: `/units`, Kind: pinterest.KindWrite, Category: "ads_write"}

// item is what is expected of one item of a batch: a value of this id, or an error of this class; "-" for a success without a value.
type item struct {
	id    string
	class pinterest.Class // ClassNone for a success
	code  int
	words string // in the message
}

var ok = pinterest.ClassNone

// Promise: batch answers of every form in the description: each item is a value or an *Error that the table classified; none is lost, none is both.
func TestBatchForms(t *testing.T) {
	const inv, nf, thr, srv = pinterest.ClassInvalid, pinterest.ClassNotFound, pinterest.ClassThrottled, pinterest.ClassServer
	_ = nf
	anyClass := pinterest.ClassUnknown + 100
	for name, test := range map[string]struct {
		status int
		body   string
		want   []item
	}{
		"campaigns: data and exceptions": {200, `{"items":[{"data":{"id":"1"},"exceptions":[]},{"data":null,"exceptions":[{"code":1,"message":"bad name"}]},{"exceptions":[{"code":8,"message":"exceeded a rate limit"}],"data":{}},{"data":{"id":"4"},"exceptions":null}]}`,
			[]item{{"1", ok, 0, ""}, {"", inv, 1, "bad name"}, {"", thr, 8, "rate"}, {"4", ok, 0, ""}}},
		"campaigns: two exceptions of one item": {200, `{"items":[{"data":null,"exceptions":[{"code":1,"message":"bad name"},{"code":2,"message":"bad budget"}]}]}`,
			[]item{{"", anyClass, 0, "bad name"}}},
		"campaigns: exceptions without code":     {200, `{"items":[{"exceptions":[{"message":"no code here"}]}]}`, []item{{"", anyClass, 0, "no code"}}},
		"ads: exceptions is an object":           {200, `{"items":[{"data":{"id":"1"}},{"exceptions":{"code":1,"message":"bad"}}]}`, []item{{"1", ok, 0, ""}, {"", inv, 1, "bad"}}},
		"ads: exceptions is an empty object":     {200, `{"items":[{"data":{"id":"1"},"exceptions":{}}]}`, []item{{"1", ok, 0, ""}}},
		"failed, with its data echoed":           {200, `{"items":[{"data":{"id":"1","name":"echo"},"exceptions":[{"code":1,"message":"bad"}]}]}`, []item{{"?", inv, 1, "bad"}}},
		"advertiser_defined_events: strings":     {200, `{"items":[{"status":"SUCCESS","exceptions":[]},{"status":"FAILURE","exceptions":["not allowed","twice"]}]}`, []item{{"?", ok, 0, ""}, {"?", anyClass, 0, "not allowed"}}},
		"lead_forms: error_code":                 {200, `{"items":[{"data":null,"exceptions":[{"error_code":3078,"message":"lead form refused"}]}]}`, []item{{"", anyClass, 3078, "refused"}}},
		"codes as text":                          {200, `{"items":[{"exceptions":[{"code":"8","message":"slow down"}]}]}`, []item{{"", thr, 8, "slow"}}},
		"promotions: exception":                  {200, `{"promotions":[{"data":{"id":"1"},"exception":null},{"data":null,"exception":{"code":4997,"message":"not found"}}]}`, []item{{"1", ok, 0, ""}, {"", anyClass, 4997, "not found"}}},
		"invites: invite and exception":          {200, `{"items":[{"invite":{"id":"1"},"exception":null},{"invite":null,"exception":{"code":29,"message":"no","users_or_partner_ids":["5"]}}]}`, []item{{"1", ok, 0, ""}, {"", anyClass, 29, "no"}}},
		"cancel invites: no code":                {200, `{"items":[{"invite":{"id":"1"}},{"exception":{"invite_id":"9","message":"cannot"}}]}`, []item{{"1", ok, 0, ""}, {"", anyClass, 0, "cannot"}}},
		"labels: errors beside":                  {200, `{"labels":[{"id":"1"},{"id":"2"}],"errors":[{"data":{"name":"x"},"error_messages":["exists","too long"]}]}`, []item{{"1", ok, 0, ""}, {"2", ok, 0, ""}, {"?", anyClass, 0, "exists"}}},
		"labels: all failed":                     {200, `{"labels":[],"errors":[{"data":{"name":"x"},"error_messages":["exists"]},{"error_messages":["also"]}]}`, []item{{"?", anyClass, 0, "exists"}, {"", anyClass, 0, "also"}}},
		"labels: all failed, null":               {200, `{"labels":null,"errors":[{"data":{"name":"x"},"error_messages":["exists"]}]}`, []item{{"?", anyClass, 0, "exists"}}},
		"labels: errors only":                    {200, `{"errors":[{"data":{"name":"x"},"error_messages":["exists"]}]}`, []item{{"?", anyClass, 0, "exists"}}},
		"labels: none failed, null":              {200, `{"labels":[{"id":"1"}],"errors":null}`, []item{{"1", ok, 0, ""}}},
		"keywords: errors first":                 {201, `{"errors":[{"data":{"id":"k"},"error_messages":["exists"]}],"keywords":[{"id":"1"}]}`, []item{{"1", ok, 0, ""}, {"?", anyClass, 0, "exists"}}},
		"entities_labels":                        {200, `{"entities_labels":[{"status":"ok"}],"errors":[]}`, []item{{"?", ok, 0, ""}}},
		"asset groups update":                    {200, `{"updated_asset_groups":[{"id":"1"}],"exceptions":[{"asset_group_id":"2","code":29,"message":"no"}]}`, []item{{"1", ok, 0, ""}, {"", anyClass, 29, "no"}}},
		"schedules: top-level array":             {200, `[{"data":{"id":"1"}},{"data":{"id":"2","exceptions":{"code":1,"message":"bad"}}},{"data":{"exceptions":{"code":1,"message":"bad too"}}}]`, []item{{"1", ok, 0, ""}, {"?", inv, 1, "bad"}, {"?", inv, 1, "bad too"}}},
		"previews: data with list of exceptions": {201, `[{"data":{"exceptions":[{"code":1,"message":"bad"}]}}]`, []item{{"?", inv, 1, "bad"}}},
		"empty top-level array":                  {200, `[]`, nil},
		"empty items":                            {200, `{"items":[]}`, nil},
		"auction: errors in items, 206":          {206, `{"catalog_id":"3","items":[{"item_id":"a","errors":[]},{"item_id":"b","errors":[{"code":1,"message":"bad"}]},{"item_id":"c"}]}`, []item{{"?", ok, 0, ""}, {"?", inv, 1, "bad"}, {"?", ok, 0, ""}}},
		"items batch: ItemValidationEvent":       {200, `{"batch_id":"9","status":"FAILED","items":[{"item_id":"a","status":"FAILURE","errors":[{"attribute":"price","code":2,"message":"bad price"}],"warnings":[{"attribute":"x","code":5,"message":"w"}]},{"item_id":"b","status":"SUCCESS","errors":[],"warnings":[]}]}`, []item{{"?", anyClass, 0, "bad price"}, {"?", ok, 0, ""}}},
		"warnings list beside":                   {200, `{"items":[{"id":"1"}],"warnings":[{"message":"careful"}]}`, []item{{"1", ok, 0, ""}}},
		"local inventory: operation_results":     {200, `{"batch_id":"1","operation_results":[{"item_id":"a","status":"SUCCESS","errors":[]},{"item_id":"b","status":"FAILURE","errors":[{"code":7,"message":"nope"}]}]}`, []item{{"?", ok, 0, ""}, {"?", anyClass, 0, "nope"}}},
		"error only, singular":                   {200, `{"items":[{"error":{"code":1,"message":"bad"}}]}`, []item{{"?", inv, 1, "bad"}}},
		"data null alone":                        {200, `{"items":[{"data":null},{"data":{"id":"2"}}]}`, []item{{"-", anyClass, 0, ""}, {"2", ok, 0, ""}}},
		"item null":                              {200, `{"items":[null,{"data":{"id":"2"}}]}`, []item{{"-", anyClass, 0, ""}, {"2", ok, 0, ""}}},
		"bookmark beside":                        {200, `{"bookmark":null,"items":[{"data":{"id":"1"},"exceptions":[]}]}`, []item{{"1", ok, 0, ""}}},
		"data that is its own exceptions null":   {200, `{"items":[{"data":{"id":"1","exceptions":null}}]}`, []item{{"1", ok, 0, ""}}},
		"5xx-like code 12":                       {200, `{"items":[{"exceptions":[{"code":12,"message":"Something went wrong on our end"}]}]}`, []item{{"", srv, 12, "wrong"}}},
		"2787":                                   {200, `{"items":[{"exceptions":[{"code":2787,"message":"Sorry! Something went wrong on our end."}]}]}`, []item{{"", srv, 2787, "wrong"}}},
		"code is a status":                       {200, `{"items":[{"exceptions":[{"code":404,"message":"gone"}]},{"exceptions":[{"code":500,"message":"boom"}]},{"exceptions":[{"code":429,"message":"slow"}]}]}`, []item{{"", nf, 404, "gone"}, {"", srv, 500, "boom"}, {"", thr, 429, "slow"}}},
		"two batches in one":                     {200, `{"items":[{"id":"1"}],"labels":[{"id":"2"}]}`, nil},
		"exception without message":              {200, `{"items":[{"exceptions":[{"code":1}]}]}`, []item{{"", anyClass, 1, ""}}},
		"exception without anything":             {200, `{"items":[{"exceptions":[{}]},{"exceptions":[null]}]}`, nil},
		"access requests: messages":              {200, `{"invites":{},"exceptions":[{"code":29,"messages":["not yours","really"]}]}`, []item{{"", anyClass, 29, "not yours"}}},
		"asset groups delete: names":             {200, `{"deleted_asset_groups":[],"exceptions":[{"asset_group_id":"2","code":29,"message":"no"}]}`, []item{{"", anyClass, 29, "no"}}},
		"csv: error_type":                        {200, `{"status":"FAILED","errors":[{"error_type":"BAD_ROW","row_number":3}]}`, []item{{"", anyClass, 0, "BAD_ROW"}}},
		"strange numbers":                        {200, `{"items":[{"exceptions":[{"code":1e99,"message":"huge"}]},{"exceptions":[{"code":-1,"message":"neg"}]},{"exceptions":[{"code":true,"message":{"a":1}}]},{"exceptions":"text"},{"exceptions":5}]}`, []item{{"", anyClass, 0, "huge"}, {"", anyClass, 0, "neg"}, {"", anyClass, 0, ""}, {"", anyClass, 0, "text"}, {"", anyClass, 0, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer noPanic(t)
			rec := &recorder{}
			h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { reply(w, test.status, test.body) }, rec.options()...)
			var raw []byte
			got, err := pinterest.Call[pinterest.BatchResult[unit]](context.Background(), c, opUnits, pinterest.Request{Body: []unit{{ID: "1"}}}, pinterest.RawTo(&raw))
			if err != nil {
				t.Fatalf("failed: %v", err)
			}
			if string(raw) != test.body || len(h.list()) != 1 {
				t.Errorf("raw %s, %d requests", raw, len(h.list()))
			}
			if name == "exception without anything" {
				return
			}
			if name == "two batches in one" {
				if len(got.Items) != 2 {
					t.Errorf("an item is lost: %s", show(got.Items))
				}
				return
			}
			if len(got.Items) != len(test.want) {
				t.Fatalf("%d items, want %d: %+v", len(got.Items), len(test.want), got.Items)
			}
			var failed int
			for i, want := range test.want {
				g := got.Items[i]
				if want.id == "-" { // neither value nor error would be a loss
					if g.Value == nil && g.Err == nil {
						t.Logf("%d: neither a value nor an error", i)
					}
					continue
				}
				if want.class == ok {
					if g.Err != nil || g.Value == nil || want.id != "?" && g.Value.ID != want.id {
						t.Errorf("%d: want success %q, got %+v err %v", i, want.id, g.Value, g.Err)
					}
					continue
				}
				failed++
				if g.Err == nil {
					t.Errorf("%d: want a failure, got %+v", i, g.Value)
					continue
				}
				words(t, g.Err)
				if want.class != anyClass && g.Err.Class != want.class {
					t.Errorf("%d: class %v, want %v: %v", i, g.Err.Class, want.class, g.Err)
				}
				if want.code != 0 && g.Err.Code != want.code {
					t.Errorf("%d: code %d, want %d", i, g.Err.Code, want.code)
				}
				if !strings.Contains(g.Err.Error(), want.words) {
					t.Errorf("%d: %q is not said: %v", i, want.words, g.Err)
				}
				if g.Err.Operation != "units/create" || g.Err.Disposition == pinterest.DispositionNone || g.Err.Class == pinterest.ClassNone || g.Err.Call == 0 {
					t.Errorf("%d: operation %q disposition %v class %v call %d", i, g.Err.Operation, g.Err.Disposition, g.Err.Class, g.Err.Call)
				}
				if g.Value != nil {
					t.Logf("%d: both a value %+v and an error %v", i, *g.Value, g.Err)
				}
			}
			if joined := got.Err(); (joined != nil) != (failed > 0) {
				t.Errorf("Err() %v with %d failed", joined, failed)
			} else if failed > 0 {
				var e *pinterest.Error
				if !errors.As(joined, &e) {
					t.Errorf("Err() has no *Error: %v", joined)
				}
			}
		})
	}
}

func noPanic(t *testing.T) {
	t.Helper()
	if r := recover(); r != nil {
		t.Errorf("the library panics: %v", r)
	}
}

// Promise: a batch with no list in its answer is no complete answer; one that is an error by its status is an error.
func TestBatchIncomplete(t *testing.T) {
	for _, body := range []string{`{}`, `null`, ``, `{"items":null}`, `{"items":{}}`, `{"status":"ok"}`, `"x"`, `<html>`, `[1`, `{"items":[{"data":{"id":"1"}}`} {
		h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { reply(w, 200, body) })
		got, err := pinterest.Call[pinterest.BatchResult[unit]](context.Background(), c, opUnits, pinterest.Request{Body: []unit{{}}})
		if err == nil {
			t.Errorf("%s: a success: %+v", body, got)
		}
		words(t, err)
		_ = h
	}
	// a batch create without a lookup: garbled answers are never sent again
	op := opUnits
	op.Kind = pinterest.KindCreate
	for _, body := range []string{`{}`, ``, `{"items":[{"data":{"id":"1"}}`} {
		h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { reply(w, 200, body) })
		_, err := pinterest.Call[pinterest.BatchResult[unit]](context.Background(), c, op, pinterest.Request{Body: []unit{{}}})
		if !errors.Is(err, pinterest.ErrUncertain) || len(h.list()) != 1 {
			t.Errorf("create %s: %v, %d requests", body, err, len(h.list()))
		}
	}
	// all items failed: the create has succeeded as a call, and is not sent again
	h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"items":[{"data":null,"exceptions":[{"code":500,"message":"x"}]}]}`)
	})
	if got, err := pinterest.Call[pinterest.BatchResult[unit]](context.Background(), c, op, pinterest.Request{Body: []unit{{}}}); err != nil || got.Items[0].Err == nil || len(h.list()) != 1 {
		t.Errorf("%v %v %d", got, err, len(h.list()))
	}
}

// Promise: a type with a BatchResult in it gets classified items, too; and a caller's own Rule is asked for items as for answers.
func TestBatchInside(t *testing.T) {
	_, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"catalog_id":"3","items":[{"exceptions":[{"code":777,"message":"own"}]}]}`)
	}, pinterest.WithRules(pinterest.Rule{Name: "own", Codes: []int{777}, Action: pinterest.ActionFail, Class: pinterest.ClassConflict, Disposition: pinterest.DispositionReview}))
	got, err := pinterest.Call[pinterest.BatchResult[unit]](context.Background(), c, opUnits, pinterest.Request{})
	if err != nil || got.Items[0].Err.Class != pinterest.ClassConflict || got.Items[0].Err.Disposition != pinterest.DispositionReview {
		t.Errorf("%+v %v", got, err)
	}
}

// Promise: what a server writes into an item's error is redacted and bounded like a whole answer's.
func TestBatchRedacted(t *testing.T) {
	defer noPanic(t)
	rec := &recorder{}
	long := strings.Repeat("A\n\x1b[31m", 3000)
	_, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, fmt.Sprintf(`{"items":[{"exceptions":[{"code":1,"message":%s,"details":{"t":"%s"},"echo":"%s"}]},{"exceptions":["%s"]},{"exceptions":[{"code":"%s","message":"m"}]},{"data":{"id":"1"},"exceptions":[{"code":1,"message":"url https://x.example/f?X-Amz-Signature=abcdef0123&a=b"}]}]}`,
			mustJSON("token "+token+long), token, token, token, token))
	}, rec.options()...)
	got, err := pinterest.Call[pinterest.BatchResult[unit]](context.Background(), c, opUnits, pinterest.Request{})
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range got.Items {
		if it.Err == nil {
			t.Errorf("%d: no error", i)
			continue
		}
		words(t, it.Err)
		absent(t, fmt.Sprint("item ", i), show(it.Err), token, "abcdef0123")
	}
	absent(t, "Err()", show(got.Err()), token)
	absent(t, "items", show(got.Items)+show(*got), token)
	absent(t, "events and log", rec.text(), token)
}
