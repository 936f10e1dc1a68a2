package pinterest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Each benchmark runs the same call twice: as a careful engineer writes it with
// net/http and encoding/json, and with this library, into the same types.
// Figures are ratios within one run:
//
//	go test -run '^$' -bench . -count 10 | tee bench.txt
//	benchstat -col /by bench.txt
//
// "socket" goes over a connection to a server in this process, whose own work
// is counted for both. "client" has canned answers in place of a connection: it
// is the client's own cost.

const benchPin = `{"id":"%d","created_at":"2026-07-09T09:33:55","title":"Linen curtains","description":"Undyed, 140 by 260 cm",` +
	`"link":"https://shop.example/p/1","alt_text":null,"board_id":"549755885175","board_section_id":null,"board_owner":{"username":"alice"},` +
	`"parent_pin_id":null,"dominant_color":"#6E7874","creative_type":"REGULAR","media":{"media_type":"image","images":{` +
	`"150x150":{"width":150,"height":150,"url":"https://i.pinimg.com/150x150/aa/bb/cc.jpg"},` +
	`"400x300":{"width":400,"height":300,"url":"https://i.pinimg.com/400x300/aa/bb/cc.jpg"},` +
	`"600x":{"width":600,"height":900,"url":"https://i.pinimg.com/600x/aa/bb/cc.jpg"},` +
	`"1200x":{"width":1200,"height":1800,"url":"https://i.pinimg.com/1200x/aa/bb/cc.jpg"}}},` +
	`"is_owner":true,"is_standard":true,"has_been_promoted":false,"pin_metrics":null,"product_tags":[]}`

// A benchCall is one operation, by hand and by the library.
type benchCall struct {
	name, method, path string
	status             int
	body               any
	answer             []byte
	out                func() any
	ours               func(context.Context, *pinterest.Client) error
}

func benchCalls() []benchCall {
	pins := make([]string, 250)
	for i := range pins {
		pins[i] = fmt.Sprintf(benchPin, 100_000+i)
	}
	one := fmt.Appendf(nil, benchPin, 813744226420795884)
	create := pinterest.PinCreate{
		BoardID: boardID, Title: "Linen curtains", Link: "https://shop.example/p/1", MediaSource: pinterest.ImageURL("https://shop.example/p/1.jpg"),
	}
	pin := func() any { return new(pinterest.Pin) }
	page := func() any { return new(pinterest.Page[pinterest.Pin]) }
	return []benchCall{
		{"Get", "GET", "/pins/813744226420795884", 200, nil, one, pin, func(ctx context.Context, c *pinterest.Client) error {
			_, err := c.Pins.Get(ctx, "813744226420795884")
			return err
		}},
		{"List", "GET", "/boards/" + boardID + "/pins?page_size=250", 200, nil, []byte(`{"items":[` + strings.Join(pins, ",") + `],"bookmark":null}`), page, func(ctx context.Context, c *pinterest.Client) error {
			_, err := c.Boards.ListPins(ctx, boardID, &pinterest.BoardPinsOptions{ListOptions: pinterest.ListOptions{PageSize: 250}})
			return err
		}},
		{"Create", "POST", "/pins", 201, create, one, pin, func(ctx context.Context, c *pinterest.Client) error {
			_, err := c.Pins.Create(ctx, create)
			return err
		}},
	}
}

// byHand is the call with net/http and encoding/json alone.
func (bc benchCall) byHand(ctx context.Context, h *http.Client, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var body io.Reader
	if bc.body != nil {
		data, err := json.Marshal(bc.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, bc.method, base+bc.path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "scheduler/1.0")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := h.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	if err := json.NewDecoder(res.Body).Decode(bc.out()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

func BenchmarkSocket(b *testing.B) {
	for _, bc := range benchCalls() {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(bc.answer)))
			w.WriteHeader(bc.status)
			_, _ = w.Write(bc.answer)
		}))
		transport := &http.Transport{MaxIdleConnsPerHost: 8}
		bc.run(b, srv.URL+"/v5", transport)
		transport.CloseIdleConnections()
		srv.Close()
	}
}

// canned answers without a connection.
type canned struct {
	status int
	answer []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: c.status, ProtoMajor: 2, Request: r, ContentLength: int64(len(c.answer)), Body: io.NopCloser(bytes.NewReader(c.answer)),
		Header: http.Header{"Content-Type": {"application/json"}, "X-Pinterest-Rid": {requestID}, "Date": {"Thu, 09 Jul 2026 09:33:55 GMT"}},
	}, nil
}

func BenchmarkClient(b *testing.B) {
	for _, bc := range benchCalls() {
		bc.run(b, pinterest.ProductionURL, canned{bc.status, bc.answer})
	}
}

func (bc benchCall) run(b *testing.B, base string, transport http.RoundTripper) {
	h := &http.Client{Transport: transport}
	// Paced like any other, below limits that are never reached.
	wide := pinterest.Quota{Limit: math.MaxInt32, Window: time.Second}
	c, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithBaseURL(base), pinterest.WithHTTPClient(h),
		pinterest.WithQuota(pinterest.CategoryAll, wide), pinterest.WithQuota(pinterest.CategoryOrgRead, wide), pinterest.WithQuota(pinterest.CategoryOrgWrite, wide))
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	measure := func(by string, call func() error) {
		b.Run(bc.name+"/by="+by, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("hand", func() error { return bc.byHand(ctx, h, base) })
	measure("pinterest", func() error { return bc.ours(ctx, c) })
}

// BenchmarkFailure is what it costs to make an error of a 404.
func BenchmarkFailure(b *testing.B) {
	transport := canned{404, []byte(`{"code":50,"message":"Pin not found."}`)}
	c, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithHTTPClient(&http.Client{Transport: transport}), pinterest.WithoutPacing())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Pins.Get(context.Background(), pinID); err == nil {
			b.Fatal("no error")
		}
	}
}
