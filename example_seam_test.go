package pinterest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// Label is a resource that this package has no type for.
type Label struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

// LabelCreate makes a label. Its Validate is asked before anything is sent.
type LabelCreate struct {
	Name string `json:"name"`
}

func (l LabelCreate) Validate() error {
	var check pinterest.Check
	check.Required("name", l.Name)
	check.Length("name", l.Name, 100)
	return check.Err()
}

var (
	opLabelsCreate = pinterest.Operation{ID: "labels/create", Method: http.MethodPost, Path: `/ad_accounts/{ad_account_id:\d{1,18}}/labels`, Kind: pinterest.KindCreate}
	opLabelsList   = pinterest.Operation{ID: "labels/list", Method: http.MethodGet, Path: `/ad_accounts/{ad_account_id:\d{1,18}}/labels`}
)

// labelWant is what a label is found by.
type labelWant struct{ AdAccountID, Name string }

func (w labelWant) lookup() pinterest.Lookup[Label] {
	return pinterest.Lookup[Label]{
		Want:  w,
		List:  opLabelsList,
		In:    pinterest.Request{Path: []string{w.AdAccountID}},
		Match: func(l *Label) bool { return l.Name == w.Name },
		Made:  func(l *Label) (string, time.Time) { return l.ID, l.Created },
	}
}

// CreateLabel is a service method of the caller's own. Its lookup gives the create
// the care that those of this package have: here its answer is lost, and the label
// is found, so that it is not made twice.
func ExampleCall() {
	ctx := context.Background()
	clock := pinteresttest.NewClock(start)
	var labels []Label
	client, done := serve(clock, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(map[string]any{"items": labels})
			return
		}
		var label Label
		_ = json.NewDecoder(r.Body).Decode(&label)
		label.ID, label.Created = "7", clock.Now()
		labels = append(labels, label)
		panic(http.ErrAbortHandler) // the label is there, the answer is lost
	})
	defer done()

	var response pinterest.Response
	label, err := pinterest.Call[Label](ctx, client, opLabelsCreate, pinterest.Request{
		Path:   []string{"549755885175"},
		Body:   LabelCreate{Name: "Kitchens"},
		Lookup: labelWant{"549755885175", "Kitchens"}.lookup(),
	}, pinterest.ResponseTo(&response))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(label.ID, label.Name, "origin:", response.Origin, "labels:", len(labels))

	_, err = pinterest.Call[Label](ctx, client, opLabelsCreate, pinterest.Request{Path: []string{"549755885175"}, Body: LabelCreate{}})
	fmt.Println(err)

	// Output:
	// 7 Kitchens origin: lookup labels: 1
	// pinterest: labels/create: invalid: name is required [fix]
}

// The answer to a batch is a success. Each of its items is one, or has an error
// that says what to do about it.
func ExampleBatchResult() {
	ctx := context.Background()
	client, done := serve(pinteresttest.NewClock(start), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items": [
			{"data": {"id": "7", "name": "Kitchens"}, "exceptions": []},
			{"data": null, "exceptions": [{"code": 1, "message": "name is too long"}]},
			{"data": null, "exceptions": [{"code": 8, "message": "You have exceeded your rate limit."}]}
		]}`)
	})
	defer done()

	result, err := pinterest.Call[pinterest.BatchResult[Label]](ctx, client, opLabelsCreate, pinterest.Request{
		Path: []string{"549755885175"},
		Body: []LabelCreate{{"Kitchens"}, {"Baths"}, {"Halls"}},
	})
	if err != nil {
		log.Panic(err) // of the call as a whole
	}
	for i, item := range result.Items {
		switch {
		case item.Err == nil:
			fmt.Println(i, item.Value.Name)
		case errors.Is(item.Err, pinterest.ErrThrottled):
			fmt.Println(i, "again in", item.Err.RetryAt.Sub(start))
		default:
			fmt.Println(i, item.Err.Disposition, item.Err.Message)
		}
	}

	// Output:
	// 0 Kitchens
	// 1 fix name is too long
	// 2 again in 5s
}

// A report is downloaded from the signed URL that the API has given. It is
// decompressed, and goes on where it broke off.
func ExampleClient_Download() {
	ctx := context.Background()
	var report bytes.Buffer
	zip := gzip.NewWriter(&report)
	_, _ = io.WriteString(zip, "id,clicks\n7,12\n")
	_ = zip.Close()
	broken := false
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if !broken {
			broken = true
			_, _ = w.Write(report.Bytes()[:20])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Println("asked for", r.Header.Get("Range"))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(report.Bytes()))
	}))
	defer storage.Close()
	client, done := serve(pinteresttest.NewClock(start), nil)
	defer done()

	var file strings.Builder
	n, err := client.Download(ctx, storage.URL+"/report.csv.gz?X-Amz-Signature=5f1d3c0b", &file, pinterest.MaxDownload(100<<20))
	if errors.Is(err, pinterest.ErrNotFound) {
		fmt.Println("the URL has expired: ask for the report again")
	}
	fmt.Printf("%d bytes\n%s", n, file.String())

	// Output:
	// asked for bytes=20-
	// 15 bytes
	// id,clicks
	// 7,12
}

// A file is uploaded to a storage while it is read. A reader that can seek is sent
// again after a failure.
func ExampleStream() {
	ctx := context.Background()
	failed := false
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Printf("%s of %d bytes, authorization %q\n", r.Header.Get("Content-Type"), len(body), r.Header.Get("Authorization"))
		if !failed {
			failed = true
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer storage.Close()
	client, done := serve(pinteresttest.NewClock(start), nil)
	defer done()

	upload := pinterest.Operation{ID: "media/upload", Method: http.MethodPut}
	err := client.Do(ctx, upload, pinterest.Request{
		URL:  storage.URL + "/video.mp4?X-Amz-Signature=5f1d3c0b",
		Body: &pinterest.Stream{Reader: strings.NewReader("a video"), ContentType: "video/mp4"},
	}, nil)
	fmt.Println(err)

	// Output:
	// video/mp4 of 7 bytes, authorization ""
	// video/mp4 of 7 bytes, authorization ""
	// <nil>
}

// serve starts a server whose clock is the client's.
func serve(clock *pinteresttest.Clock, handler http.HandlerFunc) (client *pinterest.Client, done func()) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", clock.Now().UTC().Format(http.TimeFormat))
		handler(w, r)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	client, err := pinterest.New(
		pinterest.WithAccessToken("pina_example"), pinterest.WithBaseURL(srv.URL+"/v5"),
		pinterest.WithClock(clock), pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1}),
	)
	if err != nil {
		log.Panic(err)
	}
	return client, srv.Close
}
