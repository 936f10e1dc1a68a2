package pinteresttest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestCreatedBoard(t *testing.T) {
	f := setup(t)
	a := f.call("POST", "/boards", `{"name": "Summer", "description": "Recipes", "privacy": "SECRET"}`)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	got := a.decode(t)
	id := got["id"].(string)
	assert.Regexp(t, `^\d{18}$`, id)
	assert.Equal(t, map[string]any{
		"id": id, "name": "Summer", "description": "Recipes", "privacy": "SECRET", "is_ads_only": false,
		"created_at": "2026-07-09T09:33:55", "board_pins_modified_at": "2026-07-09T09:33:55.804801",
		"collaborator_count": 0.0, "follower_count": 0.0, "pin_count": 0.0,
		"owner": map[string]any{"username": "alice"},
		"media": map[string]any{"image_cover_url": nil, "pin_thumbnail_urls": []any{}},
	}, got)
	assert.JSONEq(t, a.body, f.call("GET", "/boards/"+id, "").body)
	assert.Equal(t, pinteresttest.Board{
		ID: id, Account: "alice", Name: "Summer", Description: "Recipes", Privacy: "SECRET", CreatedAt: start,
	}, f.Boards(f.alice)[1])

	plain := f.call("POST", "/boards", `{"name": "Plain"}`).decode(t)
	assert.Equal(t, []any{"PUBLIC", nil}, []any{plain["privacy"], plain["description"]})
	assert.Equal(t, "Ad-only Pins", f.call("POST", "/boards", `{"name": "x", "is_ads_only": true}`).text(t, "name"))
}

func TestBoardShowsItsPins(t *testing.T) {
	f := setup(t)
	f.clock.Advance(time.Hour)
	for range 6 {
		require.Equal(t, http.StatusCreated, f.call("POST", "/pins", f.pinBody()).status)
	}
	got := f.call("GET", "/boards/"+f.board.ID, "").decode(t)
	assert.EqualValues(t, 6, got["pin_count"])
	assert.Equal(t, "2026-07-09T10:33:55.804801", got["board_pins_modified_at"])
	media := got["media"].(map[string]any)
	assert.Contains(t, media["image_cover_url"], "https://i.pinimg.com/400x300/")
	assert.Len(t, media["pin_thumbnail_urls"], 5)
}

func TestInvalidBoards(t *testing.T) {
	f := setup(t)
	for body, message := range map[string]string{
		`{}`:                                  "'name' is a required property",
		`{"name": null}`:                      "'name' is a required property",
		`{"name": "  "}`:                      "is too short",
		`{"name": 7}`:                         "'name' 7 is not of type string",
		`{"name": "x", "privacy": "HIDDEN"}`:  "'privacy' 'HIDDEN' is not one of",
		`{"name": "x", "is_ads_only": "yes"}`: "is not of type boolean",
		`{"name": "x", "description": []}`:    "'description' [] is not of type string",
	} {
		assertError(t, f.call("POST", "/boards", body), http.StatusBadRequest, 1, message)
	}
	for body, message := range map[string]string{
		`{"name": null}`:           "is not of type string",
		`{"name": ""}`:             "is too short",
		`{"privacy": null}`:        "is not of type string",
		`{"privacy": "PROTECTED"}`: "'privacy' 'PROTECTED' is not one of",
	} {
		assertError(t, f.call("PATCH", "/boards/"+f.board.ID, body), http.StatusBadRequest, 1, message)
	}
	assert.Equal(t, []pinteresttest.Board{f.board}, f.Boards(f.alice))
}

func TestDuplicateBoardName(t *testing.T) {
	f := setup(t)
	const message = "You already have a board with this name!"
	assertError(t, f.call("POST", "/boards", `{"name": " kitchens "}`), http.StatusBadRequest, 58, message)
	other := f.AddBoard(f.alice, "Other")
	assertError(t, f.call("PATCH", "/boards/"+other.ID, `{"name": "KITCHENS"}`), http.StatusBadRequest, 58, message)
	assert.Equal(t, http.StatusOK, f.call("PATCH", "/boards/"+other.ID, `{"name": "OTHER"}`).status, "its own name")
	assertError(t, f.call("POST", "/boards", `{"name": "other"}`), http.StatusBadRequest, 58, message)

	bob := f.AddAccount("bob")
	assert.Equal(t, http.StatusCreated, f.callAs(bob.AccessToken, "POST", "/boards", `{"name": "Kitchens"}`).status)
	require.Equal(t, http.StatusNoContent, f.call("DELETE", "/boards/"+f.board.ID, "").status)
	assert.Equal(t, http.StatusCreated, f.call("POST", "/boards", `{"name": "Kitchens"}`).status, "the name is free again")
}

func TestDuplicateNameStatus(t *testing.T) {
	f := setup(t, pinteresttest.WithDuplicateNameStatus(http.StatusConflict))
	assertError(t, f.call("POST", "/boards", `{"name": "Kitchens"}`), http.StatusConflict, 58, "")
}

func TestUpdateBoard(t *testing.T) {
	f := setup(t)
	path := "/boards/" + f.board.ID
	set := f.call("PATCH", path, `{"name": "Baths", "description": "D", "privacy": "SECRET"}`)
	require.Equal(t, http.StatusOK, set.status, set.body)
	got := set.decode(t)
	assert.Equal(t, []any{"Baths", "D", "SECRET"}, []any{got["name"], got["description"], got["privacy"]})
	assert.JSONEq(t, set.body, f.call("PATCH", path, `{}`).body, "absent keeps")
	cleared := f.call("PATCH", path, `{"description": null}`).decode(t)
	assert.Equal(t, []any{"Baths", nil, "SECRET"}, []any{cleared["name"], cleared["description"], cleared["privacy"]})
}

func TestDeleteBoard(t *testing.T) {
	f := setup(t)
	kept := f.AddPin(f.AddBoard(f.alice, "Kept"), pinteresttest.Pin{})
	section := f.AddSection(f.board, "S")
	pin := f.AddPin(f.board, pinteresttest.Pin{SectionID: section.ID})

	a := f.call("DELETE", "/boards/"+f.board.ID, "")
	assert.Equal(t, http.StatusNoContent, a.status)
	assert.Empty(t, a.body)
	assertError(t, f.call("GET", "/boards/"+f.board.ID, ""), http.StatusNotFound, 40, "Board not found.")
	assertError(t, f.call("GET", "/pins/"+pin.ID, ""), http.StatusNotFound, 50, "Pin not found.")
	assert.Equal(t, []string{kept.ID}, f.call("GET", "/pins", "").ids(t))
	assert.Empty(t, f.Pins(f.board.ID))
	assert.Empty(t, f.Sections(f.board.ID))
}

func TestBoardsOfOthersAndNobody(t *testing.T) {
	f := setup(t)
	theirs := f.AddBoard(f.AddAccount("bob"), "Bob's")
	for _, board := range []struct {
		id           string
		status, code int
	}{{"999", 404, 40}, {theirs.ID, 403, 29}, {"Kitchens", 400, 1}} {
		path := "/boards/" + board.id
		for _, a := range []answer{
			f.call("GET", path, ""),
			f.call("PATCH", path, `{"name": "Mine"}`),
			f.call("DELETE", path, ""),
			f.call("GET", path+"/pins", ""),
			f.call("GET", path+"/sections", ""),
			f.call("POST", path+"/sections", `{"name": "x"}`),
			f.call("GET", path+"/sections/1/pins", ""),
		} {
			assertError(t, a, board.status, board.code, "")
		}
	}
	assert.Equal(t, "Bob's", theirs.Name)
}

func TestListBoardsByPrivacy(t *testing.T) {
	f := setup(t)
	secret := f.call("POST", "/boards", `{"name": "S", "privacy": "SECRET"}`).text(t, "id")
	protected := f.call("POST", "/boards", `{"name": "P", "privacy": "PROTECTED"}`).text(t, "id")
	f.AddBoard(f.AddAccount("bob"), "Bob's")
	for privacy, want := range map[string][]string{
		"":                  {protected, secret, f.board.ID},
		"ALL":               {protected, secret, f.board.ID},
		"PUBLIC":            {f.board.ID},
		"PROTECTED":         {protected},
		"SECRET":            {secret},
		"PUBLIC_AND_SECRET": {secret, f.board.ID},
	} {
		assert.Equal(t, want, f.call("GET", "/boards?privacy="+privacy, "").ids(t), privacy)
	}
	assertError(t, f.call("GET", "/boards?privacy=public", ""), http.StatusBadRequest, 1, "'privacy'")
}

func TestSections(t *testing.T) {
	f := setup(t)
	path := "/boards/" + f.board.ID + "/sections"
	created := f.call("POST", path, `{"name": "Islands"}`)
	require.Equal(t, http.StatusCreated, created.status, created.body)
	id := created.text(t, "id")
	assert.JSONEq(t, `{"id": "`+id+`", "name": "Islands"}`, created.body)
	second := f.AddSection(f.board, "Sinks")
	assert.Equal(t, []string{second.ID, id}, f.call("GET", path, "").ids(t), "newest first")

	renamed := f.call("PATCH", path+"/"+id, `{"name": "ISLANDS"}`)
	assert.JSONEq(t, `{"id": "`+id+`", "name": "ISLANDS"}`, renamed.body)
	assert.Equal(t, []pinteresttest.Section{
		{ID: id, BoardID: f.board.ID, Name: "ISLANDS", CreatedAt: start}, second,
	}, f.Sections(f.board.ID))

	pin := f.AddPin(f.board, pinteresttest.Pin{SectionID: id})
	loose := f.AddPin(f.board, pinteresttest.Pin{})
	assert.Equal(t, []string{pin.ID}, f.call("GET", path+"/"+id+"/pins", "").ids(t))
	assert.Equal(t, []string{loose.ID, pin.ID}, f.call("GET", "/boards/"+f.board.ID+"/pins", "").ids(t))

	assert.Equal(t, http.StatusNoContent, f.call("DELETE", path+"/"+id, "").status)
	assert.Nil(t, f.call("GET", "/pins/"+pin.ID, "").decode(t)["board_section_id"], "the pin stays on the board")
	assertError(t, f.call("DELETE", path+"/"+id, ""), http.StatusNotFound, 2031, "couldn't find this board section")
}

func TestInvalidSections(t *testing.T) {
	f := setup(t)
	path := "/boards/" + f.board.ID + "/sections"
	section := f.AddSection(f.board, "Islands")
	elsewhere := f.AddSection(f.AddBoard(f.alice, "Other"), "Elsewhere")
	for body, message := range map[string]string{
		`{}`: "'name' is a required property",
		`{"name": "` + strings.Repeat("é", 181) + `"}`: "longer than 180 characters",
		`{"name": ""}`:   "too short",
		`{"name": true}`: "is not of type string",
	} {
		assertError(t, f.call("POST", path, body), http.StatusBadRequest, 1, message)
		assertError(t, f.call("PATCH", path+"/"+section.ID, body), http.StatusBadRequest, 1, message)
	}
	assertError(t, f.call("POST", path, `{"name": "islands "}`), http.StatusConflict, 409, "Board section conflict.")
	sinks := f.AddSection(f.board, "Sinks")
	assertError(t, f.call("PATCH", path+"/"+sinks.ID, `{"name": "ISLANDS"}`), http.StatusConflict, 409, "conflict")

	for _, id := range []string{"999", elsewhere.ID} {
		assertError(t, f.call("PATCH", path+"/"+id, `{"name": "x"}`), http.StatusNotFound, 2031, "")
		assertError(t, f.call("DELETE", path+"/"+id, ""), http.StatusNotFound, 2031, "")
		assertError(t, f.call("GET", path+"/"+id+"/pins", ""), http.StatusNotFound, 2031, "")
	}
	assertError(t, f.call("DELETE", path+"/x", ""), http.StatusBadRequest, 1, `'section_id' value 'x' must match the pattern: ^\d+$`)
	longest := f.call("POST", path, `{"name": "`+strings.Repeat("é", 180)+`"}`)
	assert.Equal(t, http.StatusCreated, longest.status, longest.body)
}

func TestUserAccount(t *testing.T) {
	f := setup(t)
	f.AddPin(f.board, pinteresttest.Pin{})
	got := f.call("GET", "/user_account", "").decode(t)
	assert.Equal(t, f.alice.ID, got["id"])
	assert.Equal(t, "alice", got["username"])
	assert.Equal(t, []any{1.0, 1.0, -1.0}, []any{got["board_count"], got["pin_count"], got["monthly_views"]})
}

func TestSeedingOnAnotherServer(t *testing.T) {
	f := setup(t)
	assert.Panics(t, func() { f.AddBoard(pinteresttest.Account{Username: "carol"}, "x") })
	assert.Panics(t, func() { f.AddPin(pinteresttest.Board{ID: "1"}, pinteresttest.Pin{}) })
	assert.Panics(t, func() { f.AddSection(pinteresttest.Board{ID: "1"}, "x") })
	assert.Empty(t, f.Pins("1"))
	assert.Empty(t, f.Sections("1"))
}
