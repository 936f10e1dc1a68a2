package pinteresttest

import (
	"slices"
	"strings"
	"time"
)

// A Pin is a pin on the server. Fields that the pin does not have are empty.
type Pin struct {
	ID            string
	Account       string // its owner's user name
	BoardID       string
	SectionID     string
	Title         string
	Description   string
	Link          string
	AltText       string
	DominantColor string
	ParentPinID   string // the pin it was saved from
	CreativeType  string // REGULAR, VIDEO or CAROUSEL
	// Source is the media source in one line, such as
	// "image_url https://example.com/a.jpg"; data in base64 is replaced by its hash.
	Source    string
	CreatedAt time.Time
}

// What the API limits, in characters.
const (
	longestTitle       = 100
	longestDescription = 800
	longestAltText     = 500
	longestLink        = 2048
)

type pinJSON struct {
	AltText         *string   `json:"alt_text"`
	BoardID         string    `json:"board_id"`
	BoardOwner      ownerJSON `json:"board_owner"`
	BoardSectionID  *string   `json:"board_section_id"`
	CreatedAt       string    `json:"created_at"`
	CreativeType    string    `json:"creative_type"`
	Description     string    `json:"description"`
	DominantColor   string    `json:"dominant_color"`
	HasBeenPromoted bool      `json:"has_been_promoted"`
	ID              string    `json:"id"`
	IsOwner         bool      `json:"is_owner"`
	IsStandard      bool      `json:"is_standard"`
	Link            *string   `json:"link"`
	Media           any       `json:"media"`
	ParentPinID     *string   `json:"parent_pin_id"`
	PinMetrics      *struct{} `json:"pin_metrics"`
	Title           *string   `json:"title"`
}

func (s *Server) pinJSON(p *pin) pinJSON {
	description := p.Description
	if strings.TrimSpace(description) == "" {
		description = " " // as the API returns a missing description
	}
	return pinJSON{
		AltText:        nullable(p.AltText),
		BoardID:        p.BoardID,
		BoardOwner:     ownerJSON{s.world.boards[p.BoardID].Account},
		BoardSectionID: nullable(p.SectionID),
		CreatedAt:      wholeSeconds(p.CreatedAt),
		CreativeType:   p.CreativeType,
		Description:    description,
		DominantColor:  p.DominantColor,
		ID:             p.ID,
		IsOwner:        true, // the operations served return the account's own pins only
		IsStandard:     true,
		Link:           nullable(p.Link),
		Media:          p.media(),
		ParentPinID:    nullable(p.ParentPinID),
		Title:          nullable(p.Title),
	}
}

// AddPin adds a pin to a board without a request. Its fields are those of like,
// except for ID, Account and BoardID. An empty Source is replaced by an example.
func (s *Server) AddPin(b Board, like Pin) Pin {
	now := s.clock.Now()
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	owner := s.world.mustBoard(b.ID)
	like.Account, like.BoardID = owner.Account, owner.ID
	if like.CreatedAt.IsZero() {
		like.CreatedAt = now
	}
	p := s.world.newPin(like, "", nil)
	if p.Source == "" {
		p.Source = "image_url https://example.com/" + p.ID + ".jpg"
	}
	s.world.addPin(p, now)
	return p.Pin
}

// Pins returns the pins of a board, including those in its sections, in the order of
// their creation. It returns none if there is no such board.
func (s *Server) Pins(boardID string) []Pin {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	var pins []Pin
	if b := s.world.boards[boardID]; b != nil {
		for _, p := range b.pins {
			pins = append(pins, p.Pin)
		}
	}
	return pins
}

// newPin makes a pin with an id and the defaults of empty fields. If image is empty
// the pin gets its own image.
func (w *world) newPin(like Pin, image string, items []item) *pin {
	like.ID = w.newID()
	if image == "" {
		image = imagePath(like.ID)
	}
	if like.CreativeType == "" {
		like.CreativeType = regular
	}
	if like.DominantColor == "" {
		like.DominantColor = "#6e7874"
	}
	return &pin{Pin: like, image: image, items: items}
}

func (s *Server) createPin(c *call) (any, error) {
	if s.trial {
		return nil, errTrial
	}
	in := parseBody(c.request.Body)
	var p Pin
	boardID := in.id("board_id")
	in.require("board_id", boardID)
	boardID.set(&p.BoardID)
	in.id("board_section_id").set(&p.SectionID)
	in.text("title", longestTitle).set(&p.Title)
	in.text("description", longestDescription).set(&p.Description)
	in.text("alt_text", longestAltText).set(&p.AltText)
	in.text("link", longestLink).set(&p.Link)
	in.text("dominant_color", 0).set(&p.DominantColor)
	in.id("parent_pin_id").set(&p.ParentPinID)
	in.id("sponsor_id")
	media := parseMedia(in)
	if in.err != nil {
		return nil, in.err
	}

	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if err := s.place(c, p.BoardID, p.SectionID); err != nil {
		return nil, err
	}
	var image string
	if p.ParentPinID != "" {
		parent := s.world.pins[p.ParentPinID]
		if parent == nil {
			return nil, errPinNotFound
		}
		if media.fromParent {
			media = source{text: parent.Source, creativeType: parent.CreativeType, items: parent.items}
			image = parent.image
		}
	}
	p.Account, p.CreatedAt = c.account, s.clock.Now()
	p.Source, p.CreativeType = media.text, media.creativeType
	made := s.world.newPin(p, image, media.items)
	s.world.addPin(made, p.CreatedAt)
	return s.pinJSON(made), nil
}

// place checks that the account may create pins on the board, and that the section
// belongs to the board.
func (s *Server) place(c *call, boardID, sectionID string) error {
	b, err := s.world.ownBoard(boardID, c.account)
	if err == nil && sectionID != "" {
		_, err = s.world.sectionOf(b, sectionID)
	}
	return err
}

func (s *Server) listPins(c *call) (any, error) {
	keep, err := s.pinFilter(c)
	if err != nil {
		return nil, err
	}
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	return list(s, c, s.world.accounts[c.account].pins, keep, s.pinJSON)
}

// pinFilter reads the filters of pins/list. Its result is called with the world
// locked.
func (s *Server) pinFilter(c *call) (func(*pin) bool, error) {
	typed, err := creativeTypes(c.query["creative_types"])
	if err != nil {
		return nil, err
	}
	origin := map[string]func(*pin) bool{
		"":                  all[*pin],
		"exclude_native":    func(p *pin) bool { return p.ParentPinID != "" },
		"exclude_repins":    func(p *pin) bool { return p.ParentPinID == "" },
		"has_been_promoted": func(*pin) bool { return false },
	}[c.query.Get("pin_filter")]
	if origin == nil {
		return nil, invalid("Invalid request: 'pin_filter' '%s' is not a filter", c.query.Get("pin_filter"))
	}
	protected := c.query.Get("include_protected_pins") == "true"
	return func(p *pin) bool {
		return typed(p) && origin(p) && (protected || s.world.boards[p.BoardID].Privacy != "PROTECTED")
	}, nil
}

func (s *Server) getPin(c *call) (any, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	p, err := s.world.ownPin(c.params["pin_id"], c.account)
	if err != nil {
		return nil, err
	}
	return s.pinJSON(p), nil
}

func (s *Server) updatePin(c *call) (any, error) {
	in := parseBody(c.request.Body)
	boardID, sectionID := in.id("board_id"), in.id("board_section_id")
	in.notNull("board_id", boardID)
	title := in.text("title", longestTitle)
	description := in.text("description", longestDescription)
	altText := in.text("alt_text", longestAltText)
	link := in.text("link", longestLink)
	slots := parseSlots(in)
	if in.err != nil {
		return nil, in.err
	}

	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	p, err := s.world.ownPin(c.params["pin_id"], c.account)
	if err != nil {
		return nil, err
	}
	place := p.Pin
	if boardID.present && boardID.value != p.BoardID {
		// A pin that moves to another board leaves its section.
		place.BoardID, place.SectionID = boardID.value, ""
	}
	sectionID.set(&place.SectionID)
	if err := s.place(c, place.BoardID, place.SectionID); err != nil {
		return nil, err
	}

	now := s.clock.Now()
	if place.BoardID != p.BoardID {
		s.world.deletePin(p, now)
		p.BoardID = place.BoardID
		s.world.addPin(p, now)
	}
	p.SectionID = place.SectionID
	title.set(&p.Title)
	description.set(&p.Description)
	altText.set(&p.AltText)
	link.set(&p.Link)
	p.setSlots(slots)
	return s.pinJSON(p), nil
}

func (s *Server) deletePin(c *call) (any, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	p, err := s.world.ownPin(c.params["pin_id"], c.account)
	if err != nil {
		return nil, err
	}
	s.world.deletePin(p, s.clock.Now())
	return nil, nil
}

// savePin makes a pin from another one, whoever owns that, each time it is called.
func (s *Server) savePin(c *call) (any, error) {
	in := parseBody(c.request.Body)
	boardID, sectionID := in.id("board_id"), in.id("board_section_id")
	in.require("board_id", boardID)
	if in.err != nil {
		return nil, in.err
	}

	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	parent := s.world.pins[c.params["pin_id"]]
	if parent == nil {
		return nil, errPinNotFound
	}
	if b := s.world.boards[parent.BoardID]; parent.Account != c.account && b.Privacy != "PUBLIC" {
		return nil, errForbidden
	}
	if err := s.place(c, boardID.value, sectionID.value); err != nil {
		return nil, err
	}
	p := parent.Pin
	p.Account, p.BoardID, p.SectionID = c.account, boardID.value, sectionID.value
	p.ParentPinID, p.CreatedAt = parent.ID, s.clock.Now()
	saved := s.world.newPin(p, parent.image, slices.Clone(parent.items))
	s.world.addPin(saved, p.CreatedAt)
	return s.pinJSON(saved), nil
}

// creativeTypes makes a filter of the types given, none letting all pins through.
func creativeTypes(types []string) (func(*pin) bool, error) {
	known := []string{
		regular, video, carousel, "SHOPPING", "MAX_VIDEO", "SHOP_THE_PIN", "COLLECTION", "IDEA", "SHOWCASE",
		"QUIZ", "COLLAGE", "MAX_WIDTH_REGULAR_COLLECTION", "MAX_WIDTH_VIDEO_COLLECTION",
	}
	for _, t := range types {
		if !slices.Contains(known, t) {
			return nil, invalid("Invalid request: 'creative_types' '%s' is not one of %q", t, known)
		}
	}
	return func(p *pin) bool { return len(types) == 0 || slices.Contains(types, p.CreativeType) }, nil
}
