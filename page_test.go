package pinterest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// pageOf is one page of a list: pins with these ids, and a bookmark.
func pageOf(bookmark string, ids ...int) reply {
	items := make([]string, len(ids))
	for i, id := range ids {
		items[i] = fmt.Sprintf(`{"id":"%d"}`, id)
	}
	next := "null"
	if bookmark != "" {
		next = `"` + bookmark + `"`
	}
	return answer(200, `{"items":[`+strings.Join(items, ",")+`],"bookmark":`+next+`}`)
}

// collect ranges over all pins of a board.
func collect(t *testing.T, c *testClient, o *pinterest.BoardPinsOptions) (ids []string, err error) {
	t.Helper()
	for pin, err := range c.Boards.AllPins(t.Context(), boardID, o) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, pin.ID)
	}
	return ids, nil
}

func TestAllGoesOnUntilThereIsNoBookmark(t *testing.T) {
	t.Parallel()
	s := newServer(t).onLookup(
		pageOf("a", 1, 2), // a short page is not the last
		pageOf("b"),       // nor is an empty one
		pageOf("c", 3),
		answer(200, `{"items":[],"bookmark":""}`), // an empty bookmark is none
	)
	ids, err := collect(t, newClient(t, s), &pinterest.BoardPinsOptions{ListOptions: pinterest.ListOptions{PageSize: 100}})
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2", "3"}, ids)
	var queries []string
	for _, r := range s.received(toLookup) {
		queries = append(queries, r.query)
	}
	assert.Equal(t, []string{"page_size=100", "bookmark=a&page_size=100", "bookmark=b&page_size=100", "bookmark=c&page_size=100"}, queries)
}

func TestAllStopsOnEndlessPages(t *testing.T) {
	t.Parallel()
	many := func(page func(n int) reply) []reply {
		replies := make([]reply, 50)
		for n := range replies {
			replies[n] = page(n)
		}
		return replies
	}
	for name, tt := range map[string]struct {
		pages    []reply
		requests int
	}{
		"the same bookmark":                        {many(func(n int) reply { return pageOf("a", n) }), 2},
		"other bookmarks, the same content":        {many(func(n int) reply { return pageOf(fmt.Sprint("b", n), 1, 2) }), 2},
		"other bookmarks, content that comes back": {many(func(n int) reply { return pageOf(fmt.Sprint("b", n), n%3) }), 4},
		"empty for ever":                           {many(func(n int) reply { return pageOf(fmt.Sprint("b", n)) }), 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onLookup(tt.pages...)
			_, err := collect(t, newClient(t, s), nil)
			assert.ErrorIs(t, err, pinterest.ErrEndlessPages)
			assert.Equal(t, tt.requests, s.count(toLookup))
		})
	}
}

func TestAllIsLazyAndCanBeRangedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t).onLookup(pageOf("a", 1, 2), pageOf("a", 1, 2), pageOf("", 3))
	c := newClient(t, s)
	all := c.Boards.AllPins(t.Context(), boardID, nil)
	assert.Zero(t, s.count(toLookup), "nothing is asked before the range")
	for pin, err := range all {
		require.NoError(t, err)
		assert.Equal(t, "1", pin.ID)
		break
	}
	assert.Equal(t, 1, s.count(toLookup), "the second page was not reached")
	var ids []string
	for pin, err := range all {
		require.NoError(t, err)
		ids = append(ids, pin.ID)
	}
	assert.Equal(t, []string{"1", "2", "3"}, ids)
}

func TestAllGivesWhatCameBeforeAnError(t *testing.T) {
	t.Parallel()
	s := newServer(t).onLookup(pageOf("a", 1), pageOf("b", 2), fault(403, 29, "You are not permitted to access that resource."))
	ids, err := collect(t, newClient(t, s), nil)
	assert.Equal(t, []string{"1", "2"}, ids)
	assert.ErrorIs(t, err, pinterest.ErrForbidden)
}

func TestListThatIsNoneIsNotAnEmptyList(t *testing.T) {
	t.Parallel()
	s := newServer(t).onLookup(repeated(5, answer(200, `{"message":"hello"}`))...)
	_, err := newClient(t, s).Boards.ListPins(t.Context(), boardID, nil)
	assert.ErrorIs(t, err, pinterest.ErrResponse)
}

// Recorded pins decode, whatever is null, new or strange in them.
func TestRecordedPins(t *testing.T) {
	t.Parallel()
	load := func(name string) *pinterest.Pin {
		data, err := os.ReadFile(filepath.Join("testdata", "pins", name))
		require.NoError(t, err)
		pin, err := newClient(t, newServer(t, answer(200, string(data)))).Pins.Get(t.Context(), pinID)
		require.NoError(t, err)
		return pin
	}

	pin := load("captured.json")
	assert.Equal(t, time.Date(2026, 7, 9, 9, 33, 55, 0, time.UTC), pin.CreatedAt.Time)
	assert.Equal(t, " ", pin.Description)
	assert.Empty(t, pin.Link)
	assert.Empty(t, pin.BoardSectionID)
	assert.Nil(t, pin.PinMetrics)
	assert.Equal(t, "alice", pin.BoardOwner.Username)
	assert.Len(t, pin.Media.Images, 4)
	assert.Equal(t, 900, *pin.Media.Images["600x"].Height)
	assert.Nil(t, pin.Media.Images["1200x"].Height)
	assert.Equal(t, pinterest.CreativeType("SOMETHING_NEW"), pin.CreativeType)
	data, err := json.Marshal(pin)
	require.NoError(t, err)
	assert.Contains(t, string(data), `"creative_type":"SOMETHING_NEW"`, "an unknown value survives")

	video := load("video.json")
	assert.Equal(t, 801*time.Millisecond, time.Duration(video.CreatedAt.Nanosecond()))
	assert.Nil(t, video.Media.Duration)
	assert.Equal(t, 1280, *video.Media.Height)
	assert.InDelta(t, 10, video.PinMetrics.Lifetime["reaction"], 0)

	carousel := load("carousel.json")
	assert.Equal(t, time.Date(2026, 7, 9, 9, 33, 55, 0, time.UTC), carousel.CreatedAt.Time)
	assert.Len(t, carousel.Media.Items, 2)
	assert.Equal(t, "a", carousel.Media.Items[0].Title)

	bare := load("bare.json")
	assert.True(t, bare.CreatedAt.IsZero())
	assert.Empty(t, bare.Media.MediaType)
}

type (
	named   struct{ Name string }
	PartID  struct{ ID string }
	inPart  struct{ *PartID }
	number  struct{ ID int }
	pointer = *named
)

// The guard tells pages apart by ids where items have one, else by what they hold.
func TestAllTellsPagesApart(t *testing.T) {
	t.Parallel()
	// Two pages, of which the second has the items of the first.
	again := func(item string) []reply {
		return []reply{
			answer(200, `{"items":[`+item+`],"bookmark":"a"}`), answer(200, `{"items":[`+item+`],"bookmark":"b"}`),
			answer(200, `{"items":[`+item+`],"bookmark":null}`),
		}
	}
	same := func(n int) []reply {
		replies := make([]reply, n)
		for i := range replies {
			replies[i] = answer(200, `{"items":[{"id":1,"name":"x"}],"bookmark":"`+itoa(i)+`"}`)
		}
		return replies
	}
	for name, tt := range map[string]struct {
		pages []reply
		all   func(c *testClient) (int, error)
		items int
		ends  bool
	}{
		"ids":                  {again(`{"id":"1"}`), count[pinterest.Pin], 2, false},
		"an id in a part":      {again(`{"id":"1"}`), count[inPart], 2, false},
		"a part that is nil":   {again(`{}`), count[inPart], 3, true},
		"an id that is empty":  {again(`{"id":""}`), count[pinterest.Pin], 3, true},
		"no id":                {again(`{"name":"x"}`), count[named], 3, true},
		"words":                {again(`"x"`), count[string], 3, true},
		"numbers":              {again(`7`), count[int], 3, true},
		"a pointer":            {again(`{"name":"x"}`), count[pointer], 3, true},
		"a null pointer":       {again(`null`), count[pointer], 3, true},
		"anything":             {again(`{"a":[1]}`), count[any], 3, true},
		"no id, endless":       {same(40), count[named], 21, false},
		"ids that are numbers": {same(40), count[number], 21, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := tt.all(newClient(t, newServer(t, tt.pages...)))
			assert.Equal(t, tt.items, n)
			if tt.ends {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, pinterest.ErrEndlessPages)
			}
		})
	}
}

// count counts the items of a list.
func count[T any](c *testClient) (n int, err error) {
	for _, err := range pinterest.All[T](context.Background(), c.Client, opXGet, pinterest.Request{}) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// The request of a list is not changed by going through it.
func TestAllKeepsTheRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{"items":["a"],"bookmark":"n"}`), answer(200, `{"items":["b"]}`))
	query := url.Values{"x": {"1"}}
	for _, err := range pinterest.All[string](t.Context(), newClient(t, s).Client, opXGet, pinterest.Request{Query: query, Options: &xOptions{values: url.Values{"page_size": {"1"}, "bookmark": {"start"}}}}) {
		require.NoError(t, err)
	}
	assert.Equal(t, "bookmark=start&page_size=1&x=1", s.received(toCall)[0].query)
	assert.Equal(t, "bookmark=n&page_size=1&x=1", s.received(toCall)[1].query)
	assert.Equal(t, url.Values{"x": {"1"}}, query)
}
