package pinteresttest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestRequests(t *testing.T) {
	f := setup(t)
	first := f.call("GET", "/boards?page_size=3", "")
	f.clock.Advance(time.Minute)
	second := f.call("POST", "/pins", f.pinBody(`"board_id": "999"`))
	f.callAs("nobody", "DELETE", "/pins/a%2Fb", "")

	requests := f.Requests()
	require.Len(t, requests, 3)
	get, post, del := requests[0], requests[1], requests[2]
	assert.Equal(t, first.header.Get("X-Pinterest-Rid"), get.ID)
	assert.Equal(t, []any{"boards/list", "GET", "/v5/boards", "3", "alice", 200, 0, start}, []any{
		get.Operation, get.Method, get.Path, get.Query.Get("page_size"), get.Account, get.Status, get.Code, get.At,
	})
	assert.Equal(t, "Bearer "+f.alice.AccessToken, get.Header.Get("Authorization"))
	assert.False(t, get.Committed, "reading commits nothing")

	assert.Equal(t, second.header.Get("X-Pinterest-Rid"), post.ID)
	assert.Equal(t, []any{"pins/create", 404, 40, false, false, start.Add(time.Minute)}, []any{
		post.Operation, post.Status, post.Code, post.Committed, post.Fault, post.At,
	})
	assert.Equal(t, f.pinBody(`"board_id": "999"`), string(post.Body))
	assert.Equal(t, []any{"/v5/pins/a%2Fb", "", 401, 2}, []any{del.Path, del.Account, del.Status, del.Code})

	f.call("POST", "/pins", f.pinBody())
	assert.True(t, f.Requests()[3].Committed)
}

func TestCounts(t *testing.T) {
	f := setup(t)
	f.call("GET", "/boards", "")
	f.call("GET", "/boards", "")
	f.call("GET", "/nowhere", "")
	assert.Equal(t, 2, f.Count("boards/list"))
	assert.Equal(t, 3, f.Count(""))
	assert.Zero(t, f.Count("pins/create"))
	assert.Equal(t, 1, f.Connections(), "a connection is reused")

	last := f.Requests()[2].ID
	f.ResetRequests()
	assert.Empty(t, f.Requests())
	assert.Zero(t, f.Count(""))
	assert.Equal(t, 1, f.Connections())
	assert.Len(t, f.Boards(f.alice), 1)
	f.call("GET", "/boards", "")
	assert.Greater(t, f.Requests()[0].ID, last, "ids are not used again")

	f.http.CloseIdleConnections()
	f.call("GET", "/boards", "")
	assert.Equal(t, 2, f.Connections())
}

func TestWithoutRequestLog(t *testing.T) {
	f := setup(t, pinteresttest.WithoutRequestLog())
	f.Inject(pinteresttest.ServerError(500))
	assert.Equal(t, 500, f.call("GET", "/boards", "").status)
	assert.Equal(t, 200, f.call("GET", "/boards", "").status)
	assert.Empty(t, f.Requests())
	assert.Equal(t, 2, f.Count("boards/list"))
	assert.Equal(t, 1, f.Connections())
}

func TestDuplicates(t *testing.T) {
	f := setup(t)
	assert.Nil(t, f.Duplicates())
	section := f.AddSection(f.board, "S")
	other := f.AddBoard(f.alice, "Other")
	bobs := f.AddBoard(f.AddAccount("bob"), "Bob's")
	like := pinteresttest.Pin{
		Title: "T", Description: "D", Link: "https://x", AltText: "A", Source: "image_url https://x/1.jpg",
	}
	original := f.AddPin(f.board, like)
	for _, change := range []func(*pinteresttest.Pin){
		func(p *pinteresttest.Pin) { p.SectionID = section.ID },
		func(p *pinteresttest.Pin) { p.Title = "t" },
		func(p *pinteresttest.Pin) { p.Description = "d" },
		func(p *pinteresttest.Pin) { p.Link = "https://y" },
		func(p *pinteresttest.Pin) { p.AltText = "a" },
		func(p *pinteresttest.Pin) { p.Source = "image_url https://x/2.jpg" },
		func(p *pinteresttest.Pin) { p.ParentPinID = original.ID },
	} {
		different := like
		change(&different)
		f.AddPin(f.board, different)
	}
	inOther := f.AddPin(other, like)
	f.AddPin(bobs, like)
	assert.Nil(t, f.Duplicates())

	f.clock.Advance(time.Hour)
	like.DominantColor = "#123456"
	again := f.AddPin(f.board, like)
	inOtherAgain := f.AddPin(other, like)
	assert.Equal(t, [][]pinteresttest.Pin{{original, again}, {inOther, inOtherAgain}}, f.Duplicates())

	require.Equal(t, http.StatusNoContent, f.call("DELETE", "/pins/"+again.ID, "").status)
	assert.Equal(t, [][]pinteresttest.Pin{{inOther, inOtherAgain}}, f.Duplicates())
}

func TestDuplicatesOfCreates(t *testing.T) {
	f := setup(t)
	data := func(data string) string {
		return f.pinBody(`"media_source": {"source_type": "image_base64", "content_type": "image/png", "data": "` + data + `"}`)
	}
	for _, body := range []string{f.pinBody(), data("aGVsbG8="), data("d29ybGQ=")} {
		require.Equal(t, http.StatusCreated, f.call("POST", "/pins", body).status)
	}
	assert.Nil(t, f.Duplicates())
	f.call("POST", "/pins", data("d29ybGQ="))
	require.Len(t, f.Duplicates(), 1)

	save := `{"board_id": "` + f.board.ID + `"}`
	pin := f.Pins(f.board.ID)[0].ID
	f.call("POST", "/pins/"+pin+"/save", save)
	assert.Len(t, f.Duplicates(), 1, "a save is not its original")
	f.call("POST", "/pins/"+pin+"/save", save)
	assert.Len(t, f.Duplicates(), 2, "a second save is one too many")
}
