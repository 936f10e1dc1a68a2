package pinterest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// thing is an item of these batches.
type thing struct {
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	ItemID string `json:"item_id,omitempty"`
	Status any    `json:"status,omitempty"`
}

var (
	opBatchCreate = pinterest.Operation{ID: "things/create", Method: http.MethodPost, Path: "/things", Kind: pinterest.KindCreate}
	opBatchUpdate = pinterest.Operation{ID: "things/update", Method: http.MethodPatch, Path: "/things"}
)

func batch[T any](t *testing.T, op pinterest.Operation, body string, opts ...pinterest.CallOption) (*pinterest.BatchResult[T], error) {
	t.Helper()
	s := newServer(t, answer(200, body).always())
	c := newClient(t, s)
	opts = append([]pinterest.CallOption{pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1})}, opts...)
	return pinterest.Call[pinterest.BatchResult[T]](t.Context(), c.Client, op, pinterest.Request{Body: []string{"x"}}, opts...)
}

// Every form of batch answer that the API's description has.
func TestBatchForms(t *testing.T) {
	t.Parallel()
	const (
		ok      = "ok"      // a value, no error
		failed  = "failed"  // an error, no value
		partial = "partial" // an error and a value
		nothing = "nothing" // neither
	)
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"campaigns/create":               {`{"items":[{"data":{"id":"1"},"exceptions":[]},{"data":null,"exceptions":[{"code":1,"message":"no"}]}]}`, []string{ok, failed}},
		"ad_groups/create, no data":      {`{"items":[{"exceptions":[{"code":1,"message":"no"}]},{"data":{"id":"1"}}]}`, []string{failed, ok}},
		"ads/create, one exception":      {`{"items":[{"data":{"id":"1"},"exceptions":{"code":1,"message":"no"}},{"data":{"id":"2"},"exceptions":null}]}`, []string{partial, ok}},
		"ads/create, an empty exception": {`{"items":[{"data":{"id":"1"},"exceptions":{"code":null,"message":""}},{"data":{"id":"2"},"exceptions":[{}]}]}`, []string{ok, ok}},
		"promotions/create":              {`{"items":[{"data":{"id":"1"},"exception":{"code":0,"message":""}},{"data":{},"exception":{"code":8,"message":"slow"}}]}`, []string{ok, failed}},
		"advertiser_defined_events":      {`{"items":[{"exceptions":[],"name":"a","status":"SUCCESS"},{"exceptions":["bad name"],"name":"b","status":"FAILURE"}]}`, []string{ok, partial}},
		"business invites":               {`{"items":[{"exception":null,"invite":{"id":"1"}},{"exception":{"code":403,"message":"no","users_or_partner_ids":["2"]},"invite":null}]}`, []string{ok, failed}},
		"cancel_invites_or_requests":     {`{"items":[{"exception":{"invite_id":"7","message":"gone"}},{"invite":{"id":"8"}}]}`, []string{failed, ok}},
		"business member access":         {`{"items":[{"response":{"id":"1"}}]}`, []string{ok}},
		"asset_group/update":             {`{"updated_asset_groups":[{"id":"1"}],"exceptions":[{"asset_group_id":"2","code":4,"message":"no"}]}`, []string{ok, failed}},
		"asset_group/update, only some":  {`{"exceptions":[{"asset_group_id":"2","code":4,"message":"no"}]}`, []string{failed}},
		"asset_access_requests/create":   {`{"exceptions":[{"code":403,"messages":["a","b"]}],"invites":{"x":1}}`, []string{failed}},
		"keywords/create":                {`{"keywords":[{"id":"1"}],"errors":[{"data":{"name":"x"},"error_messages":["bad"]}]}`, []string{ok, partial}},
		"labels/apply":                   {`{"entities_labels":[],"errors":[]}`, []string{}},
		"process_csv":                    {`{"status":"FAILURE","errors":[{"error_type":"TOO_LONG","row_number":3}]}`, []string{failed}},
		"schedules/create":               {`[{"data":{"id":"1"}},{"data":{"exceptions":{"code":1,"message":"no"}}},{"data":{"id":"3","exceptions":{"code":1,"message":"no"}}}]`, []string{ok, failed, partial}},
		"catalogs_local_stores/create":   {`[{"id":"1"},{"id":"2"}]`, []string{ok, ok}},
		"catalogs_local_stores/delete":   {`[{"id":"1","status":{"statusCode":204}},{"id":"2","status":{"statusCode":404,"code":4182,"message":"none"}}]`, []string{ok, partial}},
		"events/create":                  {`{"num_events_received":3,"num_events_processed":1,"events":[{"status":"processed","error_message":"","warning_message":"w"},{"status":"failed","error_message":"no event_id"},{"status":"failed","error_message":""}]}`, []string{ok, partial, partial}},
		"items_batch/get":                {`{"batch_id":"9","status":"COMPLETED","items":[{"item_id":"a","status":"SUCCESS","errors":[],"warnings":[{"code":2}]},{"item_id":"b","status":"FAILURE","errors":[{"attribute":"LINK","code":106,"message":"no link"}]},{"item_id":"c","status":"PROCESSING"}]}`, []string{ok, partial, ok}},
		"local inventory":                {`{"batch_id":"9","operation_results":[{"item_id":"a","errors":[{"code":5}]},{"item_id":"b","errors":[]}]}`, []string{partial, ok}},
		"advanced_auction_items":         {`{"catalog_id":"9","items":[{"item_id":"a","errors":[]},{"item_id":"b","errors":[{"error_code":2,"error_message":"no"}]}]}`, []string{ok, partial}},

		"no data":                    {`{"items":[{"data":null},{},null,{"data":{}}]}`, []string{nothing, nothing, nothing, nothing}},
		"a bookmark beside the list": {`{"items":[{"id":"1"}],"bookmark":"x","batch_id":7,"errors":null}`, []string{ok}},
		"warnings are no items":      {`{"keywords":[{"id":"1"}],"warnings":[{"code":1}],"warning_messages":["x"]}`, []string{ok}},
		"items decide":               {`{"items":[{"id":"1"}],"permissions":["a","b"]}`, []string{ok}},
		"two lists of objects":       {`{"items":[{"id":"1"}],"labels":[{"id":"2"}]}`, []string{ok, ok}},
		"a code beside the value":    {`{"items":[{"id":"1","error_code":50,"error_message":"gone"},{"id":"2","error_code":0,"error_message":""},{"id":"3","error_code":7}]}`, []string{partial, ok, partial}},
		"failures by their name":     {`{"labels":[{"id":"1"}],"failed_labels":[{"id":"2"}],"rejected":["x"],"invalid_ids":[3]}`, []string{ok, failed, failed, failed}},
		"one failure, not in a list": {`{"items":[],"error":"all is lost"}`, []string{failed}},
		"an item's own words":        {`{"items":[{"data":{"id":"1","rejected_reasons":["x"],"errors":["own"]},"rejection_labels":["x"]}]}`, []string{ok}},
		"a value of another type":    {`{"items":[{"id":1},{"id":"2"},"3",{"id":"4"}]}`, []string{ok, ok, ok, ok}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := batch[thing](t, opBatchUpdate, tt.body)
			require.NoError(t, err)
			got := []string{}
			for _, item := range result.Items {
				switch {
				case item.Err == nil && item.Value != nil:
					got = append(got, ok)
				case item.Err == nil:
					got = append(got, nothing)
				case item.Value == nil:
					got = append(got, failed)
				default:
					got = append(got, partial)
				}
			}
			assert.Equal(t, tt.want, got)
			for i, item := range result.Items {
				if item.Err == nil {
					continue
				}
				assert.NotEmpty(t, item.Err.Message, "item %d", i)
				assert.NotEmpty(t, item.Err.Rule, "item %d", i)
				assert.Equal(t, "things/update", item.Err.Operation)
				assert.ErrorContains(t, result.Err(), "item "+itoa(i)+": pinterest: things/update: ")
			}
			if strings.Contains(strings.Join(got, ""), failed) || strings.Contains(strings.Join(got, ""), partial) {
				assert.Error(t, result.Err())
			} else {
				assert.NoError(t, result.Err())
			}
		})
	}
}

// The code may stand in the item itself, beside the words.
func TestBatchItemHasACodeOfItsOwn(t *testing.T) {
	t.Parallel()
	result, err := batch[thing](t, opBatchUpdate, `{"items":[{"id":"1","error_code":50,"error_message":"gone"}]}`)
	require.NoError(t, err)
	require.Len(t, result.Items, 1)
	require.ErrorIs(t, result.Items[0].Err, pinterest.ErrNotFound)
	assert.Equal(t, 50, result.Items[0].Err.Code)
	assert.Equal(t, "gone", result.Items[0].Err.Message)
}

func TestBatchOfIDs(t *testing.T) {
	t.Parallel()
	result, err := batch[string](t, opBatchUpdate, `{"deleted_asset_groups":["1","2"],"exceptions":[{"asset_group_id":"3","code":40,"message":"not there"}]}`)
	require.NoError(t, err)
	require.Len(t, result.Items, 3)
	assert.Equal(t, "1", *result.Items[0].Value)
	assert.Equal(t, "2", *result.Items[1].Value)
	require.ErrorIs(t, result.Items[2].Err, pinterest.ErrNotFound)
	assert.Contains(t, string(result.Items[2].Err.Body), `"asset_group_id":"3"`)
	assert.NotErrorIs(t, result.Err(), pinterest.ErrThrottled)
	assert.ErrorIs(t, result.Err(), pinterest.ErrNotFound)
}

func TestBatchItemIsClassifiedByTheTable(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failure string
		class   error
		after   pinterest.Disposition
		create  pinterest.Disposition // of a create, where it differs
		wait    time.Duration         // until RetryAt, for park
		message string
	}{
		"throttled":             {`[{"code":8,"message":"You have exceeded your rate limit."}]`, pinterest.ErrThrottled, park, 0, 5 * time.Second, "You have exceeded your rate limit."},
		"throttled by status":   {`[{"code":429,"message":"slow down"}]`, pinterest.ErrThrottled, park, 0, 5 * time.Second, "slow down"},
		"throttled in words":    {`["Retry after 40 seconds"]`, pinterest.ErrThrottled, park, 0, 40 * time.Second, "Retry after 40 seconds"},
		"something went wrong":  {`{"code":2787,"message":"Sorry!"}`, pinterest.ErrServer, park, uncertain, 2 * time.Second, "Sorry!"},
		"a server's error":      {`{"code":"503","message":"later"}`, pinterest.ErrUnavailable, park, uncertain, 2 * time.Second, "later"},
		"blocked":               {`{"code":9,"message":"You've hit a block (Pins)"}`, pinterest.ErrBlocked, park, 0, 4 * time.Hour, "You've hit a block (Pins)"},
		"invalid":               {`[{"code":1,"message":"bad"},{"code":8,"message":"worse"}]`, pinterest.ErrInvalid, fix, 0, 0, "bad; worse"},
		"words":                 {`["bad","worse","bad"]`, pinterest.ErrInvalid, fix, 0, 0, "bad; worse"},
		"a word":                {`"bad"`, pinterest.ErrInvalid, fix, 0, 0, "bad"},
		"no words":              {`{"code":1}`, pinterest.ErrInvalid, fix, 0, 0, "the answer does not say why"},
		"a number":              {`[17]`, pinterest.ErrInvalid, fix, 0, 0, "the answer does not say why"},
		"not found":             {`{"error_code":50,"error_message":"Pin not found."}`, pinterest.ErrNotFound, fix, 0, 0, "Pin not found."},
		"messages":              {`{"code":58,"messages":["a","b"]}`, pinterest.ErrConflict, fix, 0, 0, "a; b"},
		"missing scope":         {`{"code":3,"message":"no scope"}`, pinterest.ErrMissingScope, fix, 0, 0, "no scope"},
		"it is not the token":   {`{"code":2,"message":"Authentication failed."}`, pinterest.ErrForbidden, review, 0, 0, "Authentication failed."},
		"nor where it says 401": {`{"code":401,"message":"no"}`, pinterest.ErrForbidden, review, 0, 0, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range []pinterest.Operation{opBatchUpdate, opBatchCreate} {
				s := newServer(t, answer(200, `{"items":[{"data":{"id":"1"}},{"exceptions":`+tt.failure+`},{"exceptions":`+tt.failure+`}]}`))
				result, err := pinterest.Call[pinterest.BatchResult[thing]](t.Context(), newClient(t, s).Client, op, pinterest.Request{})
				require.NoError(t, err)
				require.Len(t, result.Items, 3)
				assert.Nil(t, result.Items[0].Err)
				for _, item := range result.Items[1:] {
					e, after := item.Err, tt.after
					require.NotNil(t, e)
					if op.Kind == pinterest.KindCreate && tt.create != 0 {
						after = tt.create
					}
					assert.ErrorIs(t, e, tt.class)
					assert.Equal(t, after, e.Disposition)
					assert.Equal(t, after == uncertain, errors.Is(e, pinterest.ErrUncertain))
					assert.Equal(t, tt.message, e.Message)
					assert.Equal(t, 200, e.Status)
					assert.Equal(t, requestID, e.RequestID)
					assert.NotZero(t, e.Call)
					assert.Equal(t, tt.failure, string(e.Body))
					if after == park {
						assert.Equal(t, s.clock.Now().Add(tt.wait), e.RetryAt, "the same for each item")
					} else {
						assert.Zero(t, e.RetryAt)
					}
				}
				assert.Equal(t, 1, s.count(toCall), "nothing is sent again for an item")
			}
		})
	}
}

func TestBatchItemKeepsRetryAfterRulesAndSecrets(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `[{"exceptions":[{"code":8,"message":"token `+accessToken+`"}]},{"errors":[{"attribute":"LINK","code":4242,"message":"no"}]}]`).with("Retry-After", "90"))
	c := newClient(t, s, pinterest.WithRules(pinterest.Rule{Name: "mine", Codes: []int{4242}, Class: pinterest.ClassPrecondition, Disposition: review}))
	result, err := pinterest.Call[pinterest.BatchResult[thing]](t.Context(), c.Client, opBatchUpdate, pinterest.Request{})
	require.NoError(t, err)
	assert.Equal(t, s.clock.Now().Add(90*time.Second), result.Items[0].Err.RetryAt)
	assert.NotContains(t, result.Items[0].Err.Error()+string(result.Items[0].Err.Body), accessToken)
	assert.Equal(t, "mine", result.Items[1].Err.Rule)
	assert.ErrorIs(t, result.Items[1].Err, pinterest.ErrPrecondition)
	assert.Equal(t, []pinterest.FieldError{{Field: "LINK", Problem: "no"}}, result.Items[1].Err.Fields)
}

// An item of a create of which the answer says nothing may have been made.
func TestBatchCreateWithoutValueIsUncertain(t *testing.T) {
	t.Parallel()
	result, err := batch[thing](t, opBatchCreate, `{"items":[{"data":null},{},{"data":{"id":"1"}}]}`)
	require.NoError(t, err)
	for _, item := range result.Items[:2] {
		require.NotNil(t, item.Err)
		assert.ErrorIs(t, item.Err, pinterest.ErrUncertain)
		assert.ErrorIs(t, item.Err, pinterest.ErrResponse)
		assert.ErrorContains(t, item.Err, "says nothing of this item")
	}
	assert.Nil(t, result.Items[2].Err)
}

// madeThing is a result without an id that knows when it is complete.
type madeThing struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

func (m *madeThing) Complete() bool { return m.ID != "" }

// An item of a create whose value lacks what was made is no success. Nothing shows
// that it was not made either.
func TestBatchCreateWantsWhatWasMade(t *testing.T) {
	t.Parallel()
	incomplete := func(t *testing.T, name string, err *pinterest.Error) {
		t.Helper()
		require.NotNil(t, err, name)
		require.ErrorIs(t, err, pinterest.ErrUncertain, name)
		require.ErrorIs(t, err, pinterest.ErrResponse, name)
		assert.ErrorContains(t, err, "lacks the result of this item, or its id", name)
	}
	for _, item := range []string{`{"data":{"title":"x"}}`, `{"data":{"id":7}}`, `{"data":{"id":7,"title":"x"}}`, `{"data":{"id":""}}`, `{"data":"word"}`, `{"data":[]}`, `7`, `{"status":"SUCCESS"}`} {
		body := `{"items":[` + item + `,{"data":{"id":"1"}}]}`
		result, err := batch[madeThing](t, opBatchCreate, body)
		require.NoError(t, err, item)
		incomplete(t, item, result.Items[0].Err)
		assert.Nil(t, result.Items[1].Err, item)
		require.ErrorIs(t, result.Err(), pinterest.ErrUncertain, item)

		result, err = batch[madeThing](t, opBatchUpdate, body)
		require.NoError(t, err, item)
		assert.NoError(t, result.Err(), "a write need not say what it wrote: %s", item)
	}
	// A type that does not know when it is complete: it must not be empty.
	for _, item := range []string{`{"data":{"title":"x"}}`, `{"data":{"id":7}}`, `{"data":"word"}`} {
		result, err := batch[struct{ ID string }](t, opBatchCreate, `{"items":[`+item+`]}`)
		require.NoError(t, err, item)
		incomplete(t, item, result.Items[0].Err)
	}
	maps, err := batch[map[string]any](t, opBatchCreate, `{"items":["word",{"data":{"id":"1"}}]}`)
	require.NoError(t, err)
	incomplete(t, "a map", maps.Items[0].Err)
	assert.Nil(t, maps.Items[1].Err)
	// What an item says of its failure counts.
	result, err := batch[madeThing](t, opBatchCreate, `{"items":[{"data":{"title":"x"},"exceptions":[{"code":1,"message":"bad"}]}]}`)
	require.NoError(t, err)
	require.ErrorIs(t, result.Err(), pinterest.ErrInvalid)
	assert.Equal(t, fix, result.Items[0].Err.Disposition)
}

// An item's own code tells its class, whatever stands beside it.
func TestBatchItemWithAnOwnCode(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]struct {
		class error
		code  int
		words string
	}{
		`{"error_code":29,"error_message":"Trial access only"}`:                               {pinterest.ErrTrialAccess, 29, "Trial access only"},
		`{"data":{"error_code":29,"error_message":"Trial access only"}}`:                      {pinterest.ErrTrialAccess, 29, "Trial access only"},
		`{"code":29,"message":"x","errors":[{"code":1,"message":"bad"}]}`:                     {pinterest.ErrForbidden, 29, "x"},
		`{"code":29,"errors":["bad"]}`:                                                        {pinterest.ErrForbidden, 29, "bad"},
		`{"code":"8","exceptions":[{"message":"slow down"}]}`:                                 {pinterest.ErrThrottled, 8, "slow down"},
		`{"error_code":8,"exceptions":[{"code":1,"message":"slow down"}]}`:                    {pinterest.ErrThrottled, 8, "slow down"},
		`{"error_code":50,"errors":[{"attribute":"LINK","code":1,"message":"gone"}]}`:         {pinterest.ErrNotFound, 50, "gone"},
		`{"code":"SPRING10","id":"1","errors":[{"code":8,"message":"slow"}]}`:                 {pinterest.ErrThrottled, 8, "slow"},
		`{"code":200,"id":"1","errors":[{"code":8,"message":"slow"}]}`:                        {pinterest.ErrThrottled, 8, "slow"},
		`{"exceptions":[{"code":8,"message":"slow"},{"code":1,"message":"bad"}],"code":null}`: {pinterest.ErrThrottled, 8, "slow"},
	} {
		for _, op := range []pinterest.Operation{opBatchCreate, opBatchUpdate} {
			result, err := batch[thing](t, op, `{"items":[`+item+`]}`)
			require.NoError(t, err, item)
			require.Len(t, result.Items, 1, item)
			require.ErrorIs(t, result.Items[0].Err, want.class, item)
			assert.Equal(t, want.code, result.Items[0].Err.Code, item)
			assert.Contains(t, result.Items[0].Err.Message, want.words, item)
		}
	}
	result, err := batch[thing](t, opBatchUpdate, `{"items":[{"id":"1","errors":["no"],"error_code":50},{"id":"2","code":29,"name":"a discount"}]}`)
	require.NoError(t, err)
	require.ErrorIs(t, result.Items[0].Err, pinterest.ErrNotFound)
	assert.Nil(t, result.Items[1].Err, "a code alone is the item's own")
	result, err = batch[thing](t, opBatchUpdate, `{"items":[{"id":"1","error_code":50,"errors":[{"attribute":"LINK","message":"gone"}]}]}`)
	require.NoError(t, err)
	assert.Equal(t, []pinterest.FieldError{{Field: "LINK", Problem: "gone"}}, result.Items[0].Err.Fields)
	result, err = batch[thing](t, opBatchUpdate, `{"items":[],"error_code":29,"error_message":"Trial access only"}`)
	require.NoError(t, err)
	require.ErrorIs(t, result.Err(), pinterest.ErrTrialAccess, "nor does the code of a whole answer get lost")
}

func TestBatchItemThatOnlySaysItFailed(t *testing.T) {
	t.Parallel()
	for _, item := range []string{`{"success":false}`, `{"success":false,"id":"1"}`, `{"status":"REJECTED"}`, `{"id":"1","status":"invalid"}`, `{"error_code":5}`, `{"data":{"id":"1"},"status":"FAIL"}`} {
		for _, op := range []pinterest.Operation{opBatchCreate, opBatchUpdate} {
			result, err := batch[thing](t, op, `{"items":[`+item+`]}`)
			require.NoError(t, err, item)
			require.ErrorIs(t, result.Err(), pinterest.ErrInvalid, item)
			assert.Equal(t, fix, result.Items[0].Err.Disposition, item)
		}
	}
	result, err := batch[thing](t, opBatchUpdate, `{"items":[{"id":"1","success":true},{"id":"2","success":null},{"id":"3","success":"no"}]}`)
	require.NoError(t, err)
	assert.NoError(t, result.Err())
}

func TestBatchThatIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `null`, `"x"`, `7`, `{"message":"hello"}`, `{"items":null}`, `{"items":{}}`, `{"warnings":[]}`} {
		_, err := batch[thing](t, opBatchUpdate, body)
		assert.ErrorIs(t, err, pinterest.ErrResponse, body)
	}
	result, err := batch[thing](t, opBatchUpdate, `[]`)
	require.NoError(t, err)
	assert.Empty(t, result.Items)
}

func TestBatchWithAValueOfAnotherType(t *testing.T) {
	t.Parallel()
	var res pinterest.Response
	result, err := batch[thing](t, opBatchCreate, `{"items":[{"data":{"id":1,"name":"a"}},{"data":{"id":"2"}},{"exceptions":["no"]}]}`, pinterest.ResponseTo(&res))
	require.NoError(t, err)
	require.Len(t, result.Items, 3, "the items behind it are kept")
	assert.Equal(t, "a", result.Items[0].Value.Name)
	assert.Equal(t, "2", result.Items[1].Value.ID)
	assert.NotNil(t, result.Items[2].Err)
	assert.ErrorContains(t, res.DecodeError, "cannot unmarshal number")
}

// A batch in a larger result, and an operation whose answers may have no body.
func TestBatchInALargerResult(t *testing.T) {
	t.Parallel()
	body := `{"batch_id":"9","items":[{"item_id":"a","errors":[{"code":8,"message":"slow"}]}]}`
	s := newServer(t, answer(200, body).always())
	c := newClient(t, s).Client
	result, err := pinterest.Call[report](t.Context(), c, opBatchUpdate, pinterest.Request{})
	require.NoError(t, err)
	assert.Equal(t, "9", result.BatchID)
	assert.ErrorIs(t, result.Items.Err(), pinterest.ErrThrottled)

	op := opBatchUpdate
	op.NoBody = true
	plain, err := pinterest.Call[pinterest.BatchResult[thing]](t.Context(), c, op, pinterest.Request{})
	require.NoError(t, err)
	assert.ErrorIs(t, plain.Err(), pinterest.ErrThrottled)

	s = newServer(t, answer(200, `{"items":[{"item_id":1},{"item_id":"b"}],"batch_id":"9"}`))
	result, err = pinterest.Call[report](t.Context(), newClient(t, s).Client, opBatchUpdate, pinterest.Request{})
	require.NoError(t, err)
	assert.Equal(t, "9", result.BatchID, "a value of another type does not hide what follows")
	assert.Equal(t, "b", result.Items.Items[1].Value.ItemID)

	// A result that does not pass ClassifyItems on, or is decoded without a call.
	var own struct{ Items pinterest.BatchResult[thing] }
	require.NoError(t, json.Unmarshal([]byte(body), &own))
	assert.ErrorIs(t, own.Items.Err(), pinterest.ErrUnknown, "a failure is never taken for a success")
}

type report struct {
	BatchID string                       `json:"batch_id"`
	Items   pinterest.BatchResult[thing] `json:"items"`
}

func (r *report) ClassifyItems(classify func(json.RawMessage) *pinterest.Error) {
	r.Items.ClassifyItems(classify)
}

func FuzzBatchResult(f *testing.F) {
	for _, seed := range []string{
		`{"items":[{"data":{"id":"1"},"exceptions":[]},{"data":null,"exceptions":[{"code":1,"message":"no"}]}]}`,
		`[{"data":{"exceptions":{"code":1}}},null,7,"x",[],{}]`, `{"deleted":["1"],"exceptions":[{"code":4}],"error":"x"}`,
		`{"events":[{"status":"failed","error_message":""}],"warnings":[1]}`, `{"items":[{"status":{"statusCode":404}}]}`, `{"errors":null}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var result pinterest.BatchResult[thing]
		if json.Unmarshal(data, &result) != nil {
			return
		}
		var list []json.RawMessage
		if json.Unmarshal(data, &list) != nil {
			var members map[string]json.RawMessage
			if json.Unmarshal(data, &members) != nil || json.Unmarshal(members["items"], &list) != nil {
				return
			}
			for name := range members {
				if name != "items" && strings.ContainsAny(name, "eEfFiIrR") { // it may be a list of failures
					return
				}
			}
		}
		assert.Len(t, result.Items, len(list), "no item is lost")
		classified := 0
		result.ClassifyItems(func(json.RawMessage) *pinterest.Error { classified++; return nil })
		for i, item := range result.Items {
			assert.True(t, item.Value != nil || item.Err == nil, "item %d", i)
		}
		assert.LessOrEqual(t, classified, len(list))
	})
}
