package pinteresttest

import "time"

// A Section is a section of a board as the server holds it.
type Section struct {
	ID        string
	BoardID   string
	Name      string
	CreatedAt time.Time
}

type sectionJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *section) json() sectionJSON { return sectionJSON{ID: s.ID, Name: s.Name} }

// AddSection adds a section to a board without a request.
func (s *Server) AddSection(b Board, name string) Section {
	now := s.clock.Now()
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.world.newSection(s.world.mustBoard(b.ID), name, now).Section
}

// Sections returns the sections of a board in the order of their creation. It
// returns none if there is no such board.
func (s *Server) Sections(boardID string) []Section {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	var sections []Section
	if b := s.world.boards[boardID]; b != nil {
		for _, sec := range b.sections {
			sections = append(sections, sec.Section)
		}
	}
	return sections
}

func (w *world) newSection(b *board, name string, now time.Time) *section {
	sec := &section{
		Section: Section{ID: w.newID(), BoardID: b.ID, Name: name, CreatedAt: now},
		folded:  fold(name),
	}
	w.sections[sec.ID] = sec
	b.sections = insert(b.sections, sec)
	return sec
}

// freeSectionName returns an error if another of the board's sections has the name.
func freeSectionName(b *board, name, except string) error {
	name = fold(name)
	for _, sec := range b.sections {
		if sec.folded == name && sec.ID != except {
			return errSectionConflict
		}
	}
	return nil
}

// sectionName reads the only field of a section.
func sectionName(raw []byte) (string, error) {
	const longest = 180
	in := parseBody(raw)
	name := in.text("name", longest)
	in.require("name", name)
	blankName(in, name)
	return name.value, in.err
}

func (s *Server) createSection(c *call) (any, error) {
	name, err := sectionName(c.request.Body)
	if err != nil {
		return nil, err
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, err
	}
	if err := freeSectionName(b, name, ""); err != nil {
		return nil, err
	}
	return s.world.newSection(b, name, s.clock.Now()).json(), nil
}

func (s *Server) listSections(c *call) (any, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, err
	}
	return list(s, c, b.sections, all, (*section).json)
}

func (s *Server) updateSection(c *call) (any, error) {
	name, err := sectionName(c.request.Body)
	if err != nil {
		return nil, err
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	b, sec, err := s.ownSection(c)
	if err != nil {
		return nil, err
	}
	if err := freeSectionName(b, name, sec.ID); err != nil {
		return nil, err
	}
	sec.Name, sec.folded = name, fold(name)
	return sec.json(), nil
}

// deleteSection deletes a section. Its pins stay on the board.
func (s *Server) deleteSection(c *call) (any, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	b, sec, err := s.ownSection(c)
	if err != nil {
		return nil, err
	}
	for _, p := range b.pins {
		if p.SectionID == sec.ID {
			p.SectionID = ""
		}
	}
	delete(s.world.sections, sec.ID)
	b.sections = remove(b.sections, sec)
	return nil, nil
}

func (s *Server) listSectionPins(c *call) (any, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	b, sec, err := s.ownSection(c)
	if err != nil {
		return nil, err
	}
	keep := func(p *pin) bool { return p.SectionID == sec.ID }
	return list(s, c, b.pins, keep, s.pinJSON)
}

// ownSection returns the board and the section that the path names.
func (s *Server) ownSection(c *call) (*board, *section, error) {
	b, err := s.world.ownBoard(c.params["board_id"], c.account)
	if err != nil {
		return nil, nil, err
	}
	sec, err := s.world.sectionOf(b, c.params["section_id"])
	return b, sec, err
}
