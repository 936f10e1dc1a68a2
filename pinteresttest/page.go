package pinteresttest

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// pageJSON is one page of a list. Its bookmark is null on an empty page only:
// a short page has one like any other, and the page after it is empty.
type pageJSON[V any] struct {
	Items    []V     `json:"items"`
	Bookmark *string `json:"bookmark"`
}

// all keeps everything.
func all[T any](T) bool { return true }

// list returns one page of the things that keep accepts and that are old enough to
// be listed, newest first. It is called with the world locked.
func list[T thing, V any](s *Server, c *call, things []T, keep func(T) bool, show func(T) V) (any, error) {
	size, err := pageSize(c)
	if err != nil {
		return nil, err
	}
	next := len(things)
	if bookmark := c.query.Get("bookmark"); bookmark != "" {
		last, ok := s.openBookmark(c, bookmark)
		if !ok {
			return nil, invalid("Invalid request: bookmark '%s' is invalid", quoted([]byte(bookmark)))
		}
		// The next page begins with the first thing older than the last one of the
		// bookmark's page, whatever was created or deleted in the meantime.
		next, _ = find(things, last)
	}

	page := pageJSON[V]{Items: []V{}}
	visible := c.now.Add(-s.world.lag)
	for next > 0 && len(page.Items) < size {
		next--
		if t := things[next]; keep(t) && !t.born().After(visible) {
			page.Items = append(page.Items, show(t))
		}
	}
	if len(page.Items) > 0 {
		bookmark := s.bookmark(c, things[next].key())
		page.Bookmark = &bookmark
	}
	return page, nil
}

func pageSize(c *call) (int, error) {
	const usual, most = 25, 250
	given := c.query.Get("page_size")
	if given == "" {
		return usual, nil
	}
	size, err := strconv.Atoi(given)
	if err != nil {
		return 0, invalid("Parameter 'page_size' was not numeric (was %s)", given)
	}
	if size < 1 || size > most {
		return 0, invalid("Invalid request: 'page_size' %d is not between 1 and %d", size, most)
	}
	return size, nil
}

// bookmark encodes the position in a list after the thing with the id last. It
// contains the id of the request, so that no two bookmarks are equal, and a hash, so
// that it is valid only for its own list.
func (s *Server) bookmark(c *call, last string) string {
	text := fmt.Sprintf("c-1|%s|%s*GQL*|%s|NEW|", last, c.request.ID, s.bookmarkHash(c, last, c.request.ID))
	return base64.StdEncoding.EncodeToString([]byte(text))
}

func (s *Server) openBookmark(c *call, bookmark string) (last string, ok bool) {
	text, err := base64.StdEncoding.DecodeString(bookmark)
	if err != nil {
		return "", false
	}
	parts := strings.Split(string(text), "|")
	if len(parts) != 6 {
		return "", false
	}
	rid, _ := strings.CutSuffix(parts[2], "*GQL*")
	return parts[1], parts[3] == s.bookmarkHash(c, parts[1], rid)
}

func (s *Server) bookmarkHash(c *call, last, rid string) string {
	h := fnv.New64a()
	fmt.Fprint(h, s.seed, c.op.id, c.account, c.params["board_id"], c.params["section_id"], last, rid)
	return fmt.Sprintf("%016x", h.Sum64())
}
