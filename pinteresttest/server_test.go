package pinteresttest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestUnknownPaths(t *testing.T) {
	f := setup(t)
	const body = `{"status": "failure", "code": 404, "data": "404 Not Found: The requested URL was not found on the server.",
		"message": "Not found", "endpoint_name": null}`
	for _, path := range []string{"", "/", "/nowhere", "/pins/", "/boards//pins", "/pins/1/saved", "/boards/1/sections/2/3"} {
		a := f.call("GET", path, "")
		assert.Equal(t, http.StatusNotFound, a.status, path)
		assert.JSONEq(t, body, a.body, path)
	}
	res, err := f.http.Get(strings.TrimSuffix(f.URL, "/v5") + "/v4/pins")
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestWrongMethods(t *testing.T) {
	f := setup(t)
	for path, method := range map[string]string{
		"/pins": "DELETE", "/pins/1": "PUT", "/pins/1/save": "GET", "/boards/1/sections/2": "GET", "/oauth/token": "GET",
	} {
		a := f.call(method, path, "")
		assert.Equal(t, http.StatusMethodNotAllowed, a.status, path)
		assert.JSONEq(t, `{"status": "failure", "code": 5, "message": "Method not allowed", "endpoint_name": null,
			"data": "405 Method Not Allowed: The method is not allowed for the requested URL."}`, a.body)
	}
	assert.Empty(t, f.Requests()[0].Operation)
}

func TestContentTypes(t *testing.T) {
	f := setup(t)
	for contentType, status := range map[string]int{
		"":                                  http.StatusUnsupportedMediaType,
		"text/plain":                        http.StatusUnsupportedMediaType,
		"application/x-www-form-urlencoded": http.StatusUnsupportedMediaType,
		"application/json;":                 http.StatusCreated,
		"Application/JSON; charset=utf-8":   http.StatusCreated,
	} {
		r := f.request("POST", "/pins", f.pinBody())
		r.Header.Set("Content-Type", contentType)
		a, err := f.send(r)
		require.NoError(t, err)
		assert.Equal(t, status, a.status, contentType)
	}
}

// dial opens a connection of its own to the server.
func (f *fixture) dial() *net.TCPConn {
	f.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimSuffix(f.URL, "/v5"), "http://"))
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestTooLargeBody(t *testing.T) {
	f := setup(t)
	conn := f.dial()
	_, err := fmt.Fprintf(conn, "POST /v5/pins HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 64<<20+1)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	assert.Equal(t, http.StatusRequestEntityTooLarge, f.Requests()[0].Status)
}

func TestClientLeavesInTheBody(t *testing.T) {
	f := setup(t)
	conn := f.dial()
	_, err := conn.Write([]byte("POST /v5/pins HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	rest, err := io.ReadAll(conn) // until the server has closed
	require.NoError(t, err)
	assert.Empty(t, rest)
	require.Len(t, f.Requests(), 1)
	assert.Zero(t, f.Requests()[0].Status)
	assert.Equal(t, "{", string(f.Requests()[0].Body))
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	clock := pinteresttest.NewManualClock(start)
	f := setupOn(t, clock)
	f.Inject(pinteresttest.Hanging().On("pins/create"), pinteresttest.Slow(1).On("boards/create"))
	var group sync.WaitGroup
	for path, body := range map[string]string{"/pins": f.pinBody(), "/boards": `{"name": "New"}`} {
		r := f.request("POST", path, body).WithContext(context.Background())
		group.Go(func() {
			_, err := f.send(r)
			assert.Error(t, err)
		})
	}
	require.NoError(t, clock.BlockUntil(soon(t), 1))
	until(t, func() bool { return f.Count("pins/create") == 1 })
	f.Close()
	f.Close()
	group.Wait()
	assert.Empty(t, f.Pins(f.board.ID))
	assert.Len(t, f.Boards(f.alice), 1)
	assert.Len(t, f.Requests(), 2, "the request log outlives the server")
}

func TestSeedsDecideTokens(t *testing.T) {
	token := func(seed uint64) string {
		return setup(t, pinteresttest.WithSeed(seed)).alice.AccessToken
	}
	assert.Equal(t, token(7), token(7))
	assert.NotEqual(t, token(7), token(8))
}

func TestRealTimeIsTheDefault(t *testing.T) {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	clock := srv.Clock()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "A")
	assert.WithinRange(t, board.CreatedAt, board.CreatedAt, clock.Now())
}

// TestManyAtOnce has hundreds of clients create, read and delete at once.
func TestManyAtOnce(t *testing.T) {
	f := setup(t, pinteresttest.WithoutQuotas())
	const clients, pinsEach = 300, 5
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for i := range pinsEach {
				a, err := f.send(f.request("POST", "/pins", f.pinBody()))
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusCreated, a.status) {
					return
				}
				id := a.text(t, "id")
				a, err = f.send(f.request("GET", "/boards/"+f.board.ID+"/pins", ""))
				assert.NoError(t, err)
				assert.Equal(t, http.StatusOK, a.status)
				if i == 0 {
					a, err = f.send(f.request("DELETE", "/pins/"+id, ""))
					assert.NoError(t, err)
					assert.Equal(t, http.StatusNoContent, a.status)
				}
			}
		})
	}
	group.Go(func() {
		for range 20 { // the test looks on meanwhile
			_, _, _, _ = f.Duplicates(), f.Requests(), f.PendingFaults(), f.Boards(f.alice)
		}
	})
	group.Wait()
	assert.Len(t, f.Pins(f.board.ID), clients*(pinsEach-1))
	assert.Equal(t, clients*pinsEach, f.Count("pins/create"))
	assert.Equal(t, clients*(2*pinsEach+1), f.Count(""))
}

func BenchmarkCreatePin(b *testing.B) {
	srv := pinteresttest.NewServer(pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "A")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	body := `{"board_id": "` + board.ID + `", "media_source": {"source_type": "image_url", "url": "https://example.com/a.jpg"}}`

	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest("POST", srv.URL+"/pins", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+alice.AccessToken)
			r.Header.Set("Content-Type", "application/json")
			res, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
}
