package pinteresttest

import (
	"slices"
	"strings"
	"time"
)

// A Board is a board as the server holds it.
type Board struct {
	ID          string
	Account     string // its owner's user name
	Name        string
	Description string
	Privacy     string // PUBLIC, PROTECTED or SECRET
	AdsOnly     bool
	CreatedAt   time.Time
}

type ownerJSON struct {
	Username string `json:"username"`
}

type boardMediaJSON struct {
	ImageCoverURL    *string  `json:"image_cover_url"`
	PinThumbnailURLs []string `json:"pin_thumbnail_urls"`
}

type boardJSON struct {
	BoardPinsModifiedAt string         `json:"board_pins_modified_at"`
	CollaboratorCount   int            `json:"collaborator_count"`
	CreatedAt           string         `json:"created_at"`
	Description         *string        `json:"description"`
	FollowerCount       int            `json:"follower_count"`
	ID                  string         `json:"id"`
	IsAdsOnly           bool           `json:"is_ads_only"`
	Media               boardMediaJSON `json:"media"`
	Name                string         `json:"name"`
	Owner               ownerJSON      `json:"owner"`
	PinCount            int            `json:"pin_count"`
	Privacy             string         `json:"privacy"`
}

func (b *board) json() boardJSON {
	const thumbnails = 5
	media := boardMediaJSON{PinThumbnailURLs: []string{}}
	for _, p := range slices.Backward(b.pins) {
		if len(media.PinThumbnailURLs) == thumbnails {
			break
		}
		media.PinThumbnailURLs = append(media.PinThumbnailURLs, "https://i.pinimg.com/150x150/"+p.image)
	}
	if len(b.pins) > 0 {
		newest := b.pins[len(b.pins)-1]
		media.ImageCoverURL = nullable("https://i.pinimg.com/400x300/" + newest.image)
	}
	return boardJSON{
		BoardPinsModifiedAt: microseconds(b.modified),
		CreatedAt:           wholeSeconds(b.CreatedAt),
		Description:         nullable(b.Description),
		ID:                  b.ID,
		IsAdsOnly:           b.AdsOnly,
		Media:               media,
		Name:                b.Name,
		Owner:               ownerJSON{b.Account},
		PinCount:            len(b.pins),
		Privacy:             b.Privacy,
	}
}

// AddBoard adds a public board without a request. Unlike the API it allows a second
// board of the same name.
func (s *Server) AddBoard(owner Account, name string) Board {
	now := s.clock.Now()
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.mustAccount(owner.Username)
	return s.world.newBoard(Board{Account: owner.Username, Name: name, CreatedAt: now}).Board
}

// Boards returns the account's boards in the order of their creation.
func (s *Server) Boards(owner Account) []Board {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	var boards []Board
	for _, b := range s.world.mustAccount(owner.Username).boards {
		boards = append(boards, b.Board)
	}
	return boards
}

func (w *world) newBoard(like Board) *board {
	like.ID = w.newID()
	if like.Privacy == "" {
		like.Privacy = "PUBLIC"
	}
	b := &board{Board: like, folded: fold(like.Name), modified: like.CreatedAt}
	w.boards[b.ID] = b
	a := w.accounts[b.Account]
	a.boards = insert(a.boards, b)
	return b
}

// freeBoardName returns an error if another of the account's boards has the name.
func (s *Server) freeBoardName(username, name, except string) error {
	name = fold(name)
	for _, b := range s.world.accounts[username].boards {
		if b.folded == name && b.ID != except {
			return reject(s.duplicateStatus, 58, "Try a different name. You already have a board with this name!")
		}
	}
	return nil
}

// blankName fails if the name is given but blank.
func blankName(b *body, name field[string]) {
	if name.given() && strings.TrimSpace(name.value) == "" {
		b.fail(invalid("Invalid request: 'name' '%s' is too short", name.value))
	}
}

func (s *Server) createBoard(c *call) (any, error) {
	in := parseBody(c.request.Body)
	name := in.text("name", 0)
	in.require("name", name)
	blankName(in, name)
	description := in.text("description", 0)
	privacy := in.choice("privacy", "PUBLIC", "PROTECTED", "SECRET")
	adsOnly := in.flag("is_ads_only")
	if in.err != nil {
		return nil, in.err
	}
	if adsOnly.value {
		name.value = "Ad-only Pins" // the API's own name for such a board
	}

	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if err := s.freeBoardName(c.account, name.value, ""); err != nil {
		return nil, err
	}
	return s.world.newBoard(Board{
		Account:     c.account,
		Name:        name.value,
		Description: description.value,
		Privacy:     privacy.value,
		AdsOnly:     adsOnly.value,
		CreatedAt:   s.clock.Now(),
	}).json(), nil
}

func (s *Server) listBoards(c *call) (any, error) {
	filter := c.query.Get("privacy")
	shown := map[string][]string{
		"":                  {"PUBLIC", "PROTECTED", "SECRET"},
		"ALL":               {"PUBLIC", "PROTECTED", "SECRET"},
		"PUBLIC":            {"PUBLIC"},
		"PROTECTED":         {"PROTECTED"},
		"SECRET":            {"SECRET"},
		"PUBLIC_AND_SECRET": {"PUBLIC", "SECRET"},
	}[filter]
	if shown == nil {
		return nil, invalid("Invalid request: 'privacy' '%s' is not a privacy filter", filter)
	}

	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	boards := s.world.accounts[c.account].boards
	keep := func(b *board) bool { return slices.Contains(shown, b.Privacy) }
	return list(s, c, boards, keep, (*board).json)
}

func (s *Server) getBoard(c *call) (any, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, err
	}
	return b.json(), nil
}

func (s *Server) updateBoard(c *call) (any, error) {
	in := parseBody(c.request.Body)
	name := in.text("name", 0)
	in.notNull("name", name)
	blankName(in, name)
	description := in.text("description", 0)
	privacy := in.choice("privacy", "PUBLIC", "SECRET")
	in.notNull("privacy", privacy)
	if in.err != nil {
		return nil, in.err
	}

	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, err
	}
	if name.present {
		if err := s.freeBoardName(c.account, name.value, b.ID); err != nil {
			return nil, err
		}
	}
	name.set(&b.Name)
	b.folded = fold(b.Name)
	description.set(&b.Description)
	privacy.set(&b.Privacy)
	return b.json(), nil
}

func (s *Server) deleteBoard(c *call) (any, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, err
	}
	s.world.deleteBoard(b)
	return nil, nil
}

func (s *Server) listBoardPins(c *call) (any, error) {
	keep, err := creativeTypes(c.query["creative_types"])
	if err != nil {
		return nil, err
	}
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, err
	}
	return list(s, c, b.pins, keep, s.pinJSON)
}
