package pinteresttest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// world is everything that the accounts own. Its lists are sorted by id, which is
// the order of creation. The API returns them in reverse order.
type world struct {
	mu       sync.RWMutex
	lastID   int64
	lag      time.Duration
	accounts map[string]*account // by user name
	boards   map[string]*board
	sections map[string]*section
	pins     map[string]*pin
}

type account struct {
	username string
	id       string
	business string   // its name, of a business account
	system   bool     // a system user of a business
	approved []string // every scope that its owner has granted on the authorize page
	boards   []*board
	pins     []*pin
}

type board struct {
	Board
	folded   string    // its name in the form that is compared
	modified time.Time // when its pins last changed
	sections []*section
	pins     []*pin // including those in sections
}

type section struct {
	Section
	folded string
}

type pin struct {
	Pin
	image string // the path of its image on the image host
	items []item // the images of a carousel
}

func (b *board) key() string   { return b.ID }
func (s *section) key() string { return s.ID }
func (p *pin) key() string     { return p.ID }

func (b *board) born() time.Time   { return b.CreatedAt }
func (s *section) born() time.Time { return s.CreatedAt }
func (p *pin) born() time.Time     { return p.CreatedAt }

// A thing is an item of a list: a board, a section or a pin.
type thing interface {
	key() string
	born() time.Time
}

func newWorld(seed uint64) *world {
	return &world{
		// Ids of 18 digits, whatever the seed.
		lastID:   813_744_226_420_000_000 + int64(seed%1_000_000)*1_000_000,
		accounts: map[string]*account{},
		boards:   map[string]*board{},
		sections: map[string]*section{},
		pins:     map[string]*pin{},
	}
}

func (w *world) newID() string {
	w.lastID++
	return strconv.FormatInt(w.lastID, 10)
}

// SetListLag makes new boards, sections and pins appear in lists only d after their
// creation. They can be read by id at once.
func (s *Server) SetListLag(d time.Duration) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.lag = d
}

// find returns the position of an id in a list, as slices.BinarySearch does.
func find[T thing](list []T, id string) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(t T, id string) int { return cmp.Compare(t.key(), id) })
}

// insert inserts a thing at its position.
func insert[T thing](list []T, t T) []T {
	i, _ := find(list, t.key())
	return slices.Insert(list, i, t)
}

// remove removes a thing.
func remove[T thing](list []T, t T) []T {
	if i, ok := find(list, t.key()); ok {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// ownBoard returns a board that the account may use.
func (w *world) ownBoard(id, username string) (*board, error) {
	b := w.boards[id]
	switch {
	case b == nil:
		return nil, errBoardNotFound
	case b.Account != username:
		return nil, errForbidden
	}
	return b, nil
}

// sectionOf returns a section of the board.
func (w *world) sectionOf(b *board, id string) (*section, error) {
	sec := w.sections[id]
	if sec == nil || sec.BoardID != b.ID {
		return nil, errSectionNotFound
	}
	return sec, nil
}

// ownPin returns a pin that the account may use.
func (w *world) ownPin(id, username string) (*pin, error) {
	p := w.pins[id]
	switch {
	case p == nil:
		return nil, errPinNotFound
	case p.Account != username:
		return nil, errForbidden
	}
	return p, nil
}

func (w *world) addPin(p *pin, now time.Time) {
	w.pins[p.ID] = p
	a := w.accounts[p.Account]
	a.pins = insert(a.pins, p)
	b := w.boards[p.BoardID]
	b.pins = insert(b.pins, p)
	b.modified = now
}

func (w *world) deletePin(p *pin, now time.Time) {
	delete(w.pins, p.ID)
	a := w.accounts[p.Account]
	a.pins = remove(a.pins, p)
	b := w.boards[p.BoardID]
	b.pins = remove(b.pins, p)
	b.modified = now
}

// deleteBoard deletes a board with its pins and sections.
func (w *world) deleteBoard(b *board) {
	for _, p := range b.pins {
		delete(w.pins, p.ID)
	}
	for _, sec := range b.sections {
		delete(w.sections, sec.ID)
	}
	delete(w.boards, b.ID)
	a := w.accounts[b.Account]
	a.pins = slices.DeleteFunc(a.pins, func(p *pin) bool { return p.BoardID == b.ID })
	a.boards = remove(a.boards, b)
}

// fold returns the form in which the API compares names of boards and sections.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// imagePath returns the path of an image on Pinterest's image host. It is made from
// an id, not from the image's source, which the API does not reveal.
func imagePath(id string) string {
	sum := hex128(id)
	return sum[0:2] + "/" + sum[2:4] + "/" + sum[4:6] + "/" + sum + ".jpg"
}

// hex128 returns 32 hexadecimal digits that look random and depend on the text only.
func hex128(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// wholeSeconds formats a time as the API writes most times: in UTC, without a zone.
func wholeSeconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") }

func microseconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// mustBoard returns a board. It panics for an unknown board, which is a mistake in
// the test.
func (w *world) mustBoard(id string) *board {
	b := w.boards[id]
	if b == nil {
		panic(fmt.Sprintf("pinteresttest: no board %q on this server: make it with AddBoard", id))
	}
	return b
}
