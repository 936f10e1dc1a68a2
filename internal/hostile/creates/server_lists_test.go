package creates_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// show is a pin as the API shows it. The caller holds mu.
func (s *server) show(p *pin) map[string]any {
	text := func(v string) any {
		if v == "" {
			return nil
		}
		return v
	}
	description := p.description
	if description == "" {
		description = " "
	}
	item := map[string]any{
		"id": p.id, "created_at": s.time(p.created), "title": text(p.title), "description": description, "link": text(p.link), "alt_text": text(p.alt),
		"board_id": p.board, "board_section_id": text(p.section), "parent_pin_id": text(p.parent), "board_owner": map[string]any{"username": "oakshop"},
		"dominant_color": "#6e7874", "creative_type": map[string]string{"video": "VIDEO"}[p.media], "is_owner": p.owner, "is_standard": false,
		"has_been_promoted": false, "is_product": false, "is_removable": false, "product_tags": []any{}, "note": nil, "pin_metrics": nil,
		"media": map[string]any{"media_type": p.media, "images": map[string]any{
			"150x150": map[string]any{"width": 150, "height": 150, "url": "https://i.pinimg.com/150x150/" + p.id + ".jpg"},
			"600x":    map[string]any{"width": 600, "height": 900, "url": "https://i.pinimg.com/600x/" + p.id + ".jpg"},
		}},
	}
	if p.media != "video" {
		item["creative_type"] = "REGULAR"
	}
	if s.render != nil {
		s.render(p, item)
	}
	return item
}

func (s *server) time(t time.Time) any {
	if s.createdAt != nil {
		return s.createdAt(t)
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}

// showBoard is a board as the API shows it. The caller holds mu.
func (s *server) showBoard(b *board) map[string]any {
	count := b.hidden
	for _, p := range s.pins {
		if p.board == b.id && !p.deleted {
			count++
		}
	}
	return map[string]any{
		"id": b.id, "name": b.name, "description": b.description, "privacy": "PUBLIC", "owner": map[string]any{"username": "oakshop"},
		"created_at": s.time(b.created), "board_pins_modified_at": s.time(b.created), "pin_count": count, "follower_count": 3, "collaborator_count": 0,
		"is_ads_only": false, "media": map[string]any{"image_cover_url": nil, "pin_thumbnail_urls": []any{}},
	}
}

func (s *server) getBoard(w http.ResponseWriter, r *http.Request) {
	s.note("other", "")
	s.mu.Lock()
	for _, b := range s.boards {
		if b.id == r.PathValue("id") {
			item := s.showBoard(b)
			s.mu.Unlock()
			s.answer(w, http.StatusOK, item)
			return
		}
	}
	s.mu.Unlock()
	s.refuse(w, &fault{status: http.StatusNotFound, code: 40, message: "Board not found."})
}

// reading counts a list read and says whether something goes wrong with it.
func (s *server) reading(w http.ResponseWriter, what string) (n int, ok bool) {
	s.note("list", what)
	s.mu.Lock()
	s.reads++
	n = s.reads
	onList := s.onList
	s.mu.Unlock()
	if onList != nil {
		if f := onList(n); f != nil {
			s.clock.Advance(f.takes)
			s.refuse(w, f)
			return n, false
		}
	}
	return n, true
}

func (s *server) listPins(w http.ResponseWriter, r *http.Request, boardID, section string) {
	n, ok := s.reading(w, boardID)
	if !ok {
		return
	}
	s.mu.Lock()
	size, offset := s.page(r)
	if s.endless {
		page := s.endlessPage(n, boardID)
		s.mu.Unlock()
		s.answer(w, http.StatusOK, page)
		return
	}
	var found []*pin
	if s.empty == nil || !s.empty(n) {
		now := s.clock.Now()
		for _, p := range s.pins {
			if !p.deleted && !p.visible.After(now) && (boardID == "" || p.board == boardID) && (section == "" || p.section == section) {
				found = append(found, p)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *pin) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(b.serial, a.serial))
	})
	if s.order != nil {
		found = s.order(found, size)
	}
	items := []any{}
	for _, p := range found[min(offset, len(found)):min(offset+size, len(found))] {
		item := s.show(p)
		if s.listed != nil {
			s.listed(p, item)
		}
		items = append(items, item)
	}
	page := s.bookmarked(items, offset+size, len(found))
	s.mu.Unlock()
	s.answer(w, http.StatusOK, page)
}

// endlessPage is one page of a list that does not end. The caller holds mu.
func (s *server) endlessPage(n int, boardID string) map[string]any {
	items := []any{}
	for i := range 3 {
		items = append(items, s.show(&pin{
			id: s.nextID(), board: boardID, title: fmt.Sprintf("One of many %d %d", n, i), link: fmt.Sprintf("https://many.example/%d/%d", n, i),
			created: s.clock.Now(), media: "image", owner: true,
		}))
	}
	return s.bookmarked(items, n, n+1)
}

func (s *server) listBoards(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.reading(w, "boards"); !ok {
		return
	}
	s.mu.Lock()
	size, offset := s.page(r)
	now := s.clock.Now()
	items := []any{}
	for i := len(s.boards) - 1; i >= 0; i-- {
		if b := s.boards[i]; !b.visible.After(now) {
			items = append(items, s.showBoard(b))
		}
	}
	page := s.bookmarked(items[min(offset, len(items)):min(offset+size, len(items))], offset+size, len(items))
	s.mu.Unlock()
	s.answer(w, http.StatusOK, page)
}

// page reads the size of a page and where it begins. The caller holds mu.
func (s *server) page(r *http.Request) (size, offset int) {
	size, _ = strconv.Atoi(r.URL.Query().Get("page_size"))
	if size == 0 {
		size = 25
	}
	size = min(size, 250)
	if s.maxPage > 0 {
		size = min(size, s.maxPage)
	}
	raw, _ := base64.StdEncoding.DecodeString(r.URL.Query().Get("bookmark"))
	_, _ = fmt.Sscanf(string(raw), "c-1|%d|", &offset)
	return size, offset
}

// bookmarked is a page of a list. Bookmarks embed a number of the request, as the
// API's do. The caller holds mu.
func (s *server) bookmarked(items []any, next, total int) map[string]any {
	page := map[string]any{"items": items, "bookmark": nil}
	if next < total {
		page["bookmark"] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "c-1|%d|%d*GQL*|NEW|", next, s.serial+int64(s.answers)))
	}
	return page
}

// answered returns a fault that refuses with a status and code.
func answered(status, code int, message string) fault {
	return fault{status: status, code: code, message: message}
}

var (
	broken     = fault{}
	server500  = answered(500, 0, "Something broke")
	server502  = fault{status: 502, raw: text("<html><body><h1>502 Bad Gateway</h1></body></html>")}
	server503  = answered(503, 0, "Service unavailable")
	server2787 = answered(400, 2787, "Sorry! Something went wrong on our end.")
	cutOff     = fault{partial: true}
)

func text(v string) *string { return &v }

// committed returns the fault as one that comes after the commit.
func committed(f fault) *fault {
	f.commit = true
	return &f
}

// uncommitted returns the fault as one of a request that took no effect.
func uncommitted(f fault) *fault { return &f }

// ambiguous are the failures after which nobody knows, each to be used before
// or after a commit.
var ambiguous = []fault{broken, server500, server502, server503, server2787}

// first fails the first create of an image only.
func first(f *fault) func(string, int) *fault {
	return func(_ string, n int) *fault {
		if n == 1 {
			return f
		}
		return nil
	}
}

// listsDown fails every list read.
func listsDown(int) *fault { return uncommitted(server503) }

func contains(list []string, v string) bool { return v != "" && slices.Contains(list, v) }

func quoted(ids []string) string { return "[" + strings.Join(ids, " ") + "]" }

// jsonNumber is an id as a number.
func jsonNumber(id string) any { return json.Number(id) }
