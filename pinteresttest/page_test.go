package pinteresttest_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// next is the path of the page after a.
func next(t *testing.T, path string, a answer) string {
	t.Helper()
	return path + "&bookmark=" + url.QueryEscape(a.text(t, "bookmark"))
}

func TestPages(t *testing.T) {
	f := setup(t)
	var want []string // newest first
	for range 5 {
		want = slices.Insert(want, 0, f.AddPin(f.board, pinteresttest.Pin{}).ID)
	}
	for _, list := range []string{"/pins", "/boards/" + f.board.ID + "/pins"} {
		path := list + "?page_size=2"
		first := f.call("GET", path, "")
		assert.Equal(t, want[:2], first.ids(t))
		second := f.call("GET", next(t, path, first), "")
		assert.Equal(t, want[2:4], second.ids(t))
		third := f.call("GET", next(t, path, second), "")
		assert.Equal(t, want[4:], third.ids(t), "a short page with a bookmark")
		last := f.call("GET", next(t, path, third), "")
		assert.Equal(t, `{"items":[],"bookmark":null}`, last.body)
	}

	whole := f.call("GET", "/pins?page_size=250", "")
	assert.Equal(t, want, whole.ids(t))
	assert.NotEmpty(t, whole.text(t, "bookmark"))
	assert.Equal(t, `{"items":[],"bookmark":null}`, f.call("GET", "/boards/"+f.board.ID+"/sections", "").body)
}

func TestPagesWhileTheListChanges(t *testing.T) {
	f := setup(t)
	var ids []string
	for range 4 {
		ids = slices.Insert(ids, 0, f.AddPin(f.board, pinteresttest.Pin{}).ID)
	}
	first := f.call("GET", "/pins?page_size=2", "")
	f.AddPin(f.board, pinteresttest.Pin{})
	f.call("DELETE", "/pins/"+ids[1], "")
	f.call("DELETE", "/pins/"+ids[2], "")
	assert.Equal(t, ids[3:], f.call("GET", next(t, "/pins?page_size=2", first), "").ids(t), "neither twice nor left out")
}

func TestDefaultPageSize(t *testing.T) {
	f := setup(t)
	for range 26 {
		f.AddPin(f.board, pinteresttest.Pin{})
	}
	assert.Len(t, f.call("GET", "/pins", "").ids(t), 25)
	assert.Len(t, f.call("GET", "/pins?page_size=26", "").ids(t), 26)
}

func TestInvalidPageSize(t *testing.T) {
	f := setup(t)
	for size, message := range map[string]string{
		"0": "between 1 and 250", "-1": "between 1 and 250", "251": "between 1 and 250",
		"3e": "Parameter 'page_size' was not numeric (was 3e)",
	} {
		for _, list := range []string{"/pins", "/boards", "/boards/" + f.board.ID + "/pins", "/boards/" + f.board.ID + "/sections"} {
			assertError(t, f.call("GET", list+"?page_size="+size, ""), http.StatusBadRequest, 1, message)
		}
	}
}

func TestBookmarks(t *testing.T) {
	f := setup(t)
	f.AddPin(f.board, pinteresttest.Pin{})
	other := f.AddBoard(f.alice, "Other")
	path := "/boards/" + f.board.ID + "/pins?page_size=1"
	first, again := f.call("GET", path, ""), f.call("GET", path, "")
	assert.NotEqual(t, first.text(t, "bookmark"), again.text(t, "bookmark"), "each embeds its request's id")
	raw, err := base64.StdEncoding.DecodeString(first.text(t, "bookmark"))
	require.NoError(t, err)
	assert.Contains(t, string(raw), first.header.Get("X-Pinterest-Rid"))

	bookmark := "bookmark=" + url.QueryEscape(first.text(t, "bookmark"))
	bad := map[string]string{
		"not base64":       path + "&bookmark=%25%25",
		"something else":   path + "&bookmark=" + base64.StdEncoding.EncodeToString([]byte("c-1|1|2|3|NEW|")),
		"of another list":  "/pins?" + bookmark,
		"of another board": "/boards/" + other.ID + "/pins?" + bookmark,
		"tampered with":    path + "&bookmark=" + url.QueryEscape(base64.StdEncoding.EncodeToString(slices.Concat(raw[:5], []byte{raw[5] ^ 1}, raw[6:]))),
	}
	for name, path := range bad {
		t.Run(name, func(t *testing.T) {
			assertError(t, f.call("GET", path, ""), http.StatusBadRequest, 1, "bookmark")
		})
	}
	assert.Len(t, f.call("GET", path+"&bookmark=", "").ids(t), 1, "an empty bookmark is none")
}

func TestListLag(t *testing.T) {
	f := setup(t)
	f.SetListLag(5 * time.Second)
	section := f.call("POST", "/boards/"+f.board.ID+"/sections", `{"name": "S"}`).text(t, "id")
	board := f.call("POST", "/boards", `{"name": "New"}`).text(t, "id")
	pin := f.call("POST", "/pins", f.pinBody(`"board_section_id": "`+section+`"`)).text(t, "id")

	lists := map[string]string{
		"/pins":                               pin,
		"/boards/" + f.board.ID + "/pins":     pin,
		"/boards":                             board,
		"/boards/" + f.board.ID + "/sections": section,
		"/boards/" + f.board.ID + "/sections/" + section + "/pins": pin,
	}
	assert.Equal(t, http.StatusOK, f.call("GET", "/pins/"+pin, "").status, "by its id at once")
	assert.Equal(t, http.StatusOK, f.call("GET", "/boards/"+board, "").status)
	f.clock.Advance(5*time.Second - 1)
	for path, id := range lists {
		assert.NotContains(t, f.call("GET", path, "").ids(t), id, path)
	}
	f.clock.Advance(1)
	for path, id := range lists {
		assert.Contains(t, f.call("GET", path, "").ids(t), id, path)
	}

	f.call("POST", "/pins", f.pinBody())
	f.SetListLag(0)
	assert.Len(t, f.call("GET", "/pins", "").ids(t), 2)
}

func TestLargestPage(t *testing.T) {
	f := setup(t)
	for i := range 251 {
		f.AddPin(f.board, pinteresttest.Pin{Title: strconv.Itoa(i)})
	}
	assert.Len(t, f.call("GET", "/pins?page_size=250", "").ids(t), 250)
}
