package pinteresttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestCreatedPin(t *testing.T) {
	f := setup(t)
	section := f.AddSection(f.board, "Islands")
	a := f.call("POST", "/pins", f.pinBody(
		`"board_section_id": "`+section.ID+`"`, `"title": "An island"`, `"description": "Oak, 2 m"`,
		`"alt_text": "A kitchen"`, `"link": "https://example.com/oak?utm_source=x"`, `"dominant_color": "#112233"`,
	))
	require.Equal(t, http.StatusCreated, a.status, a.body)

	got := a.decode(t)
	id := got["id"].(string)
	assert.Regexp(t, `^\d{18}$`, id)
	media := got["media"].(map[string]any)
	delete(got, "media")
	assert.Equal(t, map[string]any{
		"id": id, "board_id": f.board.ID, "board_section_id": section.ID,
		"title": "An island", "description": "Oak, 2 m", "alt_text": "A kitchen",
		"link": "https://example.com/oak?utm_source=x", "dominant_color": "#112233",
		"created_at": "2026-07-09T09:33:55", "creative_type": "REGULAR",
		"board_owner": map[string]any{"username": "alice"}, "is_owner": true, "is_standard": true,
		"has_been_promoted": false, "parent_pin_id": nil, "pin_metrics": nil,
	}, got)

	assert.Equal(t, "image", media["media_type"])
	images := media["images"].(map[string]any)
	assert.Len(t, images, 4)
	for _, size := range []string{"150x150", "400x300", "600x", "1200x"} {
		url := images[size].(map[string]any)["url"]
		assert.Regexp(t, `^https://i\.pinimg\.com/`+size+`/[0-9a-f/]+\.jpg$`, url)
	}
	assert.NotContains(t, a.body, "example.com/a.jpg", "the source is not given away")

	assert.JSONEq(t, a.body, f.call("GET", "/pins/"+id, "").body)
	assert.Equal(t, []pinteresttest.Pin{{
		ID: id, Account: "alice", BoardID: f.board.ID, SectionID: section.ID, Title: "An island",
		Description: "Oak, 2 m", Link: "https://example.com/oak?utm_source=x", AltText: "A kitchen",
		DominantColor: "#112233", CreativeType: "REGULAR", Source: "image_url https://example.com/a.jpg", CreatedAt: start,
	}}, f.Pins(f.board.ID))
}

func TestPinWithoutTexts(t *testing.T) {
	f := setup(t)
	for _, more := range []string{
		`"sponsor_id": null`,
		`"title": null, "description": null, "link": null, "alt_text": null`,
		`"title": "", "description": " ", "link": "", "alt_text": ""`,
	} {
		got := f.call("POST", "/pins", f.pinBody(more)).decode(t)
		assert.Equal(t, " ", got["description"], more)
		for _, name := range []string{"title", "link", "alt_text", "board_section_id", "parent_pin_id"} {
			value, there := got[name]
			assert.True(t, there, name)
			assert.Nil(t, value, name)
		}
	}
}

func TestIDsIncrease(t *testing.T) {
	f := setup(t)
	last := f.board.ID
	for range 5 {
		id := f.call("POST", "/pins", f.pinBody()).text(t, "id")
		assert.Greater(t, id, last)
		last = id
	}
}

func TestMediaSources(t *testing.T) {
	f := setup(t)
	parent := f.AddPin(f.board, pinteresttest.Pin{})
	const image = `{"url": "https://example.com/1.jpg", "title": "One"}`
	const data = `{"content_type": "image/png", "data": "aGVsbG8="}`
	tests := map[string]struct{ source, creativeType, mediaType, recorded string }{
		"image url":             {`{"source_type": "image_url", "url": "https://x/y.png", "is_standard": false}`, "REGULAR", "image", "image_url https://x/y.png"},
		"image base64":          {`{"source_type": "image_base64", "content_type": "image/jpeg", "data": "aGVsbG8="}`, "REGULAR", "image", "image_base64 image/jpeg sha256:"},
		"two images":            {`{"source_type": "multiple_image_urls", "index": 1, "items": [` + image + `,` + image + `]}`, "CAROUSEL", "multiple_images", "multiple_image_urls https://example.com/1.jpg https://"},
		"five images":           {`{"source_type": "multiple_image_base64", "items": [` + strings.Repeat(data+",", 4) + data + `]}`, "CAROUSEL", "multiple_images", "multiple_image_base64 image/png sha256:"},
		"video, cover by url":   {`{"source_type": "video_id", "media_id": "123", "cover_image_url": "https://x/c.jpg"}`, "VIDEO", "video", "video_id 123 https://x/c.jpg"},
		"video, cover by data":  {`{"source_type": "video_id", "media_id": "123", "cover_image_content_type": "image/png", "cover_image_data": "aGVsbG8="}`, "VIDEO", "video", "video_id 123 image/png sha256:"},
		"video, cover by frame": {`{"source_type": "video_id", "media_id": "123", "cover_image_key_frame_time": 0}`, "VIDEO", "video", "video_id 123 frame 0"},
		"pin url":               {`{"source_type": "pin_url", "is_affiliate_link": true}, "parent_pin_id": "` + parent.ID + `"`, "REGULAR", "image", parent.Source},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			body := `{"board_id": "` + f.board.ID + `", "media_source": ` + test.source + `}`
			a := f.call("POST", "/pins", body)
			require.Equal(t, http.StatusCreated, a.status, a.body)
			got := a.decode(t)
			assert.Equal(t, test.creativeType, got["creative_type"])
			assert.Equal(t, test.mediaType, got["media"].(map[string]any)["media_type"])
			pins := f.Pins(f.board.ID)
			assert.Contains(t, pins[len(pins)-1].Source, test.recorded)
		})
	}
}

func TestCarouselKeepsTexts(t *testing.T) {
	f := setup(t)
	a := f.call("POST", "/pins", `{"board_id": "`+f.board.ID+`", "media_source": {"source_type": "multiple_image_urls", "items": [
		{"url": "https://x/1", "title": "One", "description": "First", "link": "https://x"}, {"url": "https://x/2"}]}}`)
	items := func(a answer) []any { return a.decode(t)["media"].(map[string]any)["items"].([]any) }
	first, second := items(a)[0].(map[string]any), items(a)[1].(map[string]any)
	assert.Equal(t, []any{"image", "One", "First", "https://x"}, []any{first["item_type"], first["title"], first["description"], first["link"]})
	assert.Equal(t, []any{"image", nil, nil, nil}, []any{second["item_type"], second["title"], second["description"], second["link"]})

	a = f.call("PATCH", "/pins/"+a.text(t, "id"), `{"carousel_slots": [{"title": "Uno"}]}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	assert.Equal(t, "Uno", items(a)[0].(map[string]any)["title"])
	assert.Nil(t, items(a)[1].(map[string]any)["title"])
}

func TestInvalidPins(t *testing.T) {
	f := setup(t)
	wide := func(n int) string { return strings.Repeat("é", n) } // characters of two bytes
	media := func(source string) string {
		return `{"board_id": "` + f.board.ID + `", "media_source": ` + source + `}`
	}
	item := `{"url": "https://x/1.jpg"}`
	tests := map[string]struct{ body, message string }{
		"not JSON":             {`{"board_id": `, "not valid JSON"},
		"two objects":          {`{} {}`, "not valid JSON"},
		"null":                 {`null`, "is not of type object"},
		"array":                {`[]`, "is not of type object"},
		"no board":             {`{"media_source": {"source_type": "image_url", "url": "https://x"}}`, "'board_id' is a required property"},
		"a board's name":       {f.pinBody(`"board_id": "Kitchens"`), `'board_id' value 'Kitchens' must match the pattern: ^\d+$`},
		"an empty board":       {f.pinBody(`"board_id": ""`), `'board_id' value '' must match the pattern: ^\d+$`},
		"board as a number":    {f.pinBody(`"board_id": 123`), "'board_id' 123 is not of type string"},
		"section's name":       {f.pinBody(`"board_section_id": "x"`), "'board_section_id' value 'x' must match"},
		"parent's name":        {f.pinBody(`"parent_pin_id": "x"`), "'parent_pin_id' value 'x' must match"},
		"sponsor's name":       {f.pinBody(`"sponsor_id": "x"`), "'sponsor_id' value 'x' must match"},
		"title as a number":    {f.pinBody(`"title": 5`), "'title' 5 is not of type string"},
		"long title":           {f.pinBody(`"title": "` + wide(101) + `"`), "'title' is longer than 100 characters"},
		"long description":     {f.pinBody(`"description": "` + wide(801) + `"`), "'description' is longer than 800 characters"},
		"long alt text":        {f.pinBody(`"alt_text": "` + wide(501) + `"`), "'alt_text' is longer than 500 characters"},
		"long link":            {f.pinBody(`"link": "https://x/` + strings.Repeat("a", 2039) + `"`), "'link' is longer than 2048 characters"},
		"no media":             {`{"board_id": "` + f.board.ID + `"}`, "'media_source' is a required property"},
		"null media":           {media(`null`), "'media_source' is a required property"},
		"media as text":        {media(`"https://x/1.jpg"`), "is not of type object"},
		"no source type":       {media(`{"url": "https://x"}`), "'source_type' is a required property"},
		"unknown source type":  {media(`{"source_type": "video_url", "url": "https://x"}`), "'source_type' 'video_url' is not one of"},
		"no url":               {media(`{"source_type": "image_url"}`), "'url' is a required property"},
		"empty url":            {media(`{"source_type": "image_url", "url": ""}`), "'url' is too short"},
		"is_standard as text":  {media(`{"source_type": "image_url", "url": "https://x", "is_standard": "yes"}`), "is not of type boolean"},
		"content type":         {media(`{"source_type": "image_base64", "content_type": "image/webp", "data": "aGk="}`), "'content_type' 'image/webp' is not one of"},
		"no content type":      {media(`{"source_type": "image_base64", "data": "aGk="}`), "'content_type' is a required property"},
		"no data":              {media(`{"source_type": "image_base64", "content_type": "image/png"}`), "'data' is a required property"},
		"URL alphabet":         {media(`{"source_type": "image_base64", "content_type": "image/png", "data": "aG_-"}`), "does not match '^[a-zA-Z0-9+/=]+$'"},
		"line breaks in data":  {media(`{"source_type": "image_base64", "content_type": "image/png", "data": "aGk=\n"}`), "does not match"},
		"empty data":           {media(`{"source_type": "image_base64", "content_type": "image/png", "data": ""}`), "does not match"},
		"one image":            {media(`{"source_type": "multiple_image_urls", "items": [` + item + `]}`), "minItems=2"},
		"six images":           {media(`{"source_type": "multiple_image_urls", "items": [` + strings.Repeat(item+",", 5) + item + `]}`), "maxItems=5"},
		"no images":            {media(`{"source_type": "multiple_image_base64"}`), "'items' is a required property"},
		"bad image of several": {media(`{"source_type": "multiple_image_base64", "items": [{"content_type": "image/gif", "data": "aGk="}, {}]}`), "'image/gif' is not one of"},
		"null among images":    {media(`{"source_type": "multiple_image_urls", "items": [null, ` + item + `]}`), "is not of type object"},
		"negative index":       {media(`{"source_type": "multiple_image_urls", "index": -1, "items": [` + item + `,` + item + `]}`), "less than the minimum of 0"},
		"video's name":         {media(`{"source_type": "video_id", "media_id": "x", "cover_image_url": "https://x"}`), `'media_id' value 'x' must match`},
		"no cover":             {media(`{"source_type": "video_id", "media_id": "1"}`), "cover_image_url or cover_image_content_type"},
		"cover without type":   {media(`{"source_type": "video_id", "media_id": "1", "cover_image_data": "aGk="}`), "cover_image_url or cover_image_content_type"},
		"negative frame":       {media(`{"source_type": "video_id", "media_id": "1", "cover_image_key_frame_time": -1}`), "less than the minimum of 0"},
		"pin url, no parent":   {media(`{"source_type": "pin_url"}`), "'parent_pin_id' is a required property"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f.clock.Advance(time.Minute)
			assertError(t, f.call("POST", "/pins", test.body), http.StatusBadRequest, 1, test.message)
		})
	}
	assert.Empty(t, f.Pins(f.board.ID))

	longest := f.call("POST", "/pins", f.pinBody(`"title": "`+wide(100)+`"`, `"description": "`+wide(800)+`"`,
		`"alt_text": "`+wide(500)+`"`, `"link": "https://x/`+strings.Repeat("a", 2038)+`"`))
	assert.Equal(t, http.StatusCreated, longest.status, longest.body)
}

func TestPinsOfOthersAndNobody(t *testing.T) {
	f := setup(t)
	bob := f.AddAccount("bob")
	theirs := f.AddBoard(bob, "Bob's")
	theirPin := f.AddPin(theirs, pinteresttest.Pin{Title: "Bob's"})
	theirSection := f.AddSection(theirs, "Bob's")
	mine := f.AddPin(f.board, pinteresttest.Pin{})

	on := func(board, section string) string {
		return f.pinBody(`"board_id": "`+board+`"`, `"board_section_id": `+section)
	}
	tests := []struct {
		name, method, path, body string
		status, code             int
	}{
		{"create on no board", "POST", "/pins", on("999", "null"), 404, 40},
		{"create on another's board", "POST", "/pins", on(theirs.ID, "null"), 403, 29},
		{"create in no section", "POST", "/pins", on(f.board.ID, `"999"`), 404, 2031},
		{"create in another board's section", "POST", "/pins", on(f.board.ID, `"`+theirSection.ID+`"`), 404, 2031},
		{"create from no parent", "POST", "/pins", f.pinBody(`"parent_pin_id": "999"`), 404, 50},
		{"get none", "GET", "/pins/999", "", 404, 50},
		{"get another's", "GET", "/pins/" + theirPin.ID, "", 403, 29},
		{"get no id", "GET", "/pins/abc", "", 400, 1},
		{"get an id with a slash in it", "GET", "/pins/1%2F2", "", 400, 1},
		{"update none", "PATCH", "/pins/999", "{}", 404, 50},
		{"update another's", "PATCH", "/pins/" + theirPin.ID, "{}", 403, 29},
		{"move to no board", "PATCH", "/pins/" + mine.ID, `{"board_id": "999"}`, 404, 40},
		{"move to another's board", "PATCH", "/pins/" + mine.ID, `{"board_id": "` + theirs.ID + `"}`, 403, 29},
		{"move to another board's section", "PATCH", "/pins/" + mine.ID, `{"board_section_id": "` + theirSection.ID + `"}`, 404, 2031},
		{"move off every board", "PATCH", "/pins/" + mine.ID, `{"board_id": null}`, 400, 1},
		{"update to a long title", "PATCH", "/pins/" + mine.ID, `{"title": "` + strings.Repeat("x", 101) + `"}`, 400, 1},
		{"update to six slots", "PATCH", "/pins/" + mine.ID, `{"carousel_slots": [{}, {}, {}, {}, {}, {}]}`, 400, 1},
		{"delete none", "DELETE", "/pins/999", "", 404, 50},
		{"delete another's", "DELETE", "/pins/" + theirPin.ID, "", 403, 29},
		{"save none", "POST", "/pins/999/save", `{"board_id": "` + f.board.ID + `"}`, 404, 50},
		{"save to no board", "POST", "/pins/" + mine.ID + "/save", `{"board_id": "999"}`, 404, 40},
		{"save to another's board", "POST", "/pins/" + mine.ID + "/save", `{"board_id": "` + theirs.ID + `"}`, 403, 29},
		{"save to nothing", "POST", "/pins/" + mine.ID + "/save", `{}`, 400, 1},
		{"save in no section", "POST", "/pins/" + mine.ID + "/save", `{"board_id": "` + f.board.ID + `", "board_section_id": "999"}`, 404, 2031},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assertError(t, f.call(test.method, test.path, test.body), test.status, test.code, "")
		})
	}
	assert.Equal(t, []pinteresttest.Pin{mine}, f.Pins(f.board.ID))
	assert.Equal(t, []pinteresttest.Pin{theirPin}, f.Pins(theirs.ID))
}

func TestUpdateKnowsAbsentNullAndValue(t *testing.T) {
	f := setup(t)
	section := f.AddSection(f.board, "S")
	full := pinteresttest.Pin{
		SectionID: section.ID, Title: "T", Description: "D", AltText: "A", Link: "https://x", DominantColor: "#000000",
	}
	fields := []string{"title", "description", "alt_text", "link", "board_section_id"}
	before := map[string]any{"title": "T", "description": "D", "alt_text": "A", "link": "https://x", "board_section_id": section.ID}
	for _, name := range fields {
		for _, value := range []string{"absent", "null", "value"} {
			t.Run(name+" "+value, func(t *testing.T) {
				f.clock.Advance(time.Minute)
				pin := f.AddPin(f.board, full)
				want := map[string]any{}
				for k, v := range before {
					want[k] = v
				}
				body := "{}"
				switch {
				case value == "null":
					body = fmt.Sprintf(`{%q: null}`, name)
					want[name] = nil
					if name == "description" {
						want[name] = " "
					}
				case value == "value" && name != "board_section_id":
					body = fmt.Sprintf(`{%q: "https://new"}`, name)
					want[name] = "https://new"
				}
				a := f.call("PATCH", "/pins/"+pin.ID, body)
				require.Equal(t, http.StatusOK, a.status, a.body)
				got := a.decode(t)
				for _, field := range fields {
					assert.Equal(t, want[field], got[field], field)
				}
				assert.JSONEq(t, a.body, f.call("GET", "/pins/"+pin.ID, "").body)
			})
		}
	}
}

func TestMovePin(t *testing.T) {
	f := setup(t)
	section := f.AddSection(f.board, "Old")
	other := f.AddBoard(f.alice, "Other")
	there := f.AddSection(other, "New")
	pin := f.AddPin(f.board, pinteresttest.Pin{SectionID: section.ID})
	newer := f.AddPin(other, pinteresttest.Pin{})

	a := f.call("PATCH", "/pins/"+pin.ID, `{"board_id": "`+other.ID+`"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	assert.Equal(t, other.ID, a.text(t, "board_id"))
	assert.Nil(t, a.decode(t)["board_section_id"], "its section stayed behind")
	assert.Empty(t, f.Pins(f.board.ID))
	assert.Equal(t, []string{newer.ID, pin.ID}, f.call("GET", "/boards/"+other.ID+"/pins", "").ids(t))
	assert.Equal(t, []string{newer.ID, pin.ID}, f.call("GET", "/pins", "").ids(t))

	a = f.call("PATCH", "/pins/"+pin.ID, `{"board_section_id": "`+there.ID+`"}`)
	assert.Equal(t, there.ID, a.text(t, "board_section_id"))
	a = f.call("PATCH", "/pins/"+pin.ID, `{"board_id": "`+f.board.ID+`", "board_section_id": "`+section.ID+`"}`)
	assert.Equal(t, section.ID, a.text(t, "board_section_id"))
}

func TestDeletePin(t *testing.T) {
	f := setup(t)
	pin := f.AddPin(f.board, pinteresttest.Pin{})
	a := f.call("DELETE", "/pins/"+pin.ID, "")
	assert.Equal(t, http.StatusNoContent, a.status)
	assert.Empty(t, a.body)
	assertError(t, f.call("DELETE", "/pins/"+pin.ID, ""), http.StatusNotFound, 50, "Pin not found.")
	assert.Empty(t, f.Pins(f.board.ID))
	assert.Empty(t, f.call("GET", "/pins", "").ids(t))
}

func TestSavePin(t *testing.T) {
	f := setup(t)
	bob := f.AddAccount("bob")
	theirs := f.AddPin(f.AddBoard(bob, "Bob's"), pinteresttest.Pin{Title: "Found", Link: "https://x"})
	section := f.AddSection(f.board, "S")
	body := `{"board_id": "` + f.board.ID + `", "board_section_id": "` + section.ID + `"}`

	first := f.call("POST", "/pins/"+theirs.ID+"/save", body)
	require.Equal(t, http.StatusCreated, first.status, first.body)
	got := first.decode(t)
	assert.Equal(t, []any{theirs.ID, "Found", "https://x", f.board.ID, section.ID}, []any{
		got["parent_pin_id"], got["title"], got["link"], got["board_id"], got["board_section_id"],
	})
	second := f.call("POST", "/pins/"+theirs.ID+"/save", body)
	assert.NotEqual(t, got["id"], second.text(t, "id"), "saving is not idempotent")
	assert.Len(t, f.Pins(f.board.ID), 2)

	secret := f.callAs(bob.AccessToken, "POST", "/boards", `{"name": "Secret", "privacy": "SECRET"}`).text(t, "id")
	hidden := f.AddPin(pinteresttest.Board{ID: secret}, pinteresttest.Pin{})
	assertError(t, f.call("POST", "/pins/"+hidden.ID+"/save", body), http.StatusForbidden, 29, "not permitted")
	own := f.callAs(bob.AccessToken, "POST", "/pins/"+hidden.ID+"/save", `{"board_id": "`+secret+`"}`)
	assert.Equal(t, http.StatusCreated, own.status, own.body)
}

func TestListPinsFilters(t *testing.T) {
	f := setup(t)
	protected := f.call("POST", "/boards", `{"name": "P", "privacy": "PROTECTED"}`).text(t, "id")
	image := f.AddPin(f.board, pinteresttest.Pin{})
	video := f.AddPin(f.board, pinteresttest.Pin{CreativeType: "VIDEO"})
	saved := f.call("POST", "/pins/"+image.ID+"/save", `{"board_id": "`+f.board.ID+`"}`).text(t, "id")
	hidden := f.AddPin(pinteresttest.Board{ID: protected}, pinteresttest.Pin{})

	tests := map[string][]string{
		"":                             {saved, video.ID, image.ID},
		"?include_protected_pins=true": {hidden.ID, saved, video.ID, image.ID},
		"?creative_types=VIDEO":        {video.ID},
		"?creative_types=VIDEO&creative_types=REGULAR": {saved, video.ID, image.ID},
		"?pin_filter=exclude_repins":                   {video.ID, image.ID},
		"?pin_filter=exclude_native":                   {saved},
		"?pin_filter=has_been_promoted":                {},
	}
	for query, want := range tests {
		assert.Equal(t, want, f.call("GET", "/pins"+query, "").ids(t), query)
	}
	assert.Equal(t, []string{video.ID}, f.call("GET", "/boards/"+f.board.ID+"/pins?creative_types=VIDEO", "").ids(t))
	for _, query := range []string{"/pins?creative_types=FILM", "/pins?pin_filter=best", "/pins?ad_account_id=x"} {
		assertError(t, f.call("GET", query, ""), http.StatusBadRequest, 1, "")
	}
}

func TestTextsSurvive(t *testing.T) {
	f := setup(t)
	const title = "naïve <b> & \"quoted\" \u2028 🪵"
	raw, err := json.Marshal(title)
	require.NoError(t, err)
	assert.Equal(t, title, f.call("POST", "/pins", f.pinBody(`"title": `+string(raw))).text(t, "title"))
	assert.Equal(t, title, f.Pins(f.board.ID)[0].Title)
}
