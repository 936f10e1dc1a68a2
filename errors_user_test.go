package pinterest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// countConstants counts the constants of errors.go whose names begin with prefix.
func countConstants(t *testing.T, prefix string) (n int) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, decl := range file.Decls {
		if group, ok := decl.(*ast.GenDecl); ok && group.Tok == token.CONST {
			for _, spec := range group.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, prefix) {
						n++
					}
				}
			}
		}
	}
	return n
}

// reInternal is what a person who made a pin need not see: names of the API and
// of this library, codes, addresses, names with capitals in the middle.
var reInternal = regexp.MustCompile(`[_/{}\[\]<>=#]|://|\b(?:40\d|418|429|50[234])\b|[a-z][A-Z]|\b(?i:http|url|token|oauth|scope|api|id|json|ledger|store|context|class|status|retry|nil|error|park|unauthenticated|throttled|uncertain)\b`)

func assertPlain(t *testing.T, text string) {
	t.Helper()
	assert.NotRegexp(t, reInternal, text)
	assert.Regexp(t, `^[A-Z].*\.$`, text, "whole sentences")
	assert.NotContains(t, text, "  ")
	assert.NotContains(t, text, "..")
	assert.Less(t, len(text), 700)
}

// Each class has a sentence of its own, each disposition says what to do, and a
// new one that lacks it is found here.
func TestUserMessageOfEveryClassAndDisposition(t *testing.T) {
	t.Parallel()
	classes, dispositions := countConstants(t, "Class"), countConstants(t, "Disposition")
	require.Greater(t, classes, 20)
	require.Equal(t, 6, dispositions, "a new disposition needs a sentence in UserMessage")
	said := map[string]pinterest.Class{}
	for class := pinterest.Class(0); int(class) < classes; class++ {
		alone := (&pinterest.Error{Class: class}).UserMessage()
		if other, ok := said[alone]; ok {
			t.Errorf("%v says what %v says: %s", class, other, alone)
		}
		said[alone] = class
		advice := map[string]bool{}
		for d := pinterest.Disposition(0); int(d) < dispositions; d++ {
			text := (&pinterest.Error{
				Operation: "pins/create", Class: class, Disposition: d, Status: 418, Code: 9, Message: "internal words", RequestID: requestID,
			}).UserMessage()
			assertPlain(t, text)
			assert.NotContains(t, text, "internal words")
			if d == pinterest.DispositionUncertain {
				assert.Contains(t, text, "may have been published")
				assert.Contains(t, text, "do not publish it again before")
				continue
			}
			assert.True(t, strings.HasPrefix(text, alone), "%v, %v: %s", class, d, text)
			assert.False(t, advice[text] && d != pinterest.DispositionReauthorize && d != pinterest.DispositionReview, "%v, %v says nothing of its own: %s", class, d, text)
			advice[text] = true
		}
	}
	unknown := (&pinterest.Error{Class: pinterest.ClassUnknown}).UserMessage()
	assert.Equal(t, unknown, (&pinterest.Error{Class: 99}).UserMessage())
	assert.Equal(t, unknown, (&pinterest.Error{Class: 99, Disposition: 99}).UserMessage())
}

func TestUserMessageOfFields(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t))
	pin := pinCreate()
	pin.Title, pin.Link, pin.BoardID = strings.Repeat("o", 130), "www.shop.example", "kitchens"
	pin.AltText = strings.Repeat("o", 501)
	_, err := c.Pins.Create(t.Context(), pin)
	text := failure(t, err).UserMessage()
	assertPlain(t, text)
	assert.Equal(t, "Please correct this and try again: the board is not accepted, "+
		"the title is too long (130 characters, at most 100 are allowed), the link must be the full web address, "+
		"the alternative text is too long (501 characters, at most 500 are allowed).", text)

	_, err = c.Pins.Create(t.Context(), pinterest.PinCreate{})
	assert.Equal(t, "Please correct this and try again: the board is missing, the image is missing.", failure(t, err).UserMessage())

	pin = pinCreate()
	pin.MediaSource = pinterest.ImageURLs(pinterest.MediaItem{URL: "https://shop.example/1.jpg"}, pinterest.MediaItem{URL: "1.jpg", Title: strings.Repeat("o", 101)})
	_, err = c.Pins.Create(t.Context(), pin)
	assert.Equal(t, "Please correct this and try again: image 2 must be the full web address, "+
		"the title of image 2 is too long (101 characters, at most 100 are allowed).", failure(t, err).UserMessage())

	pin.MediaSource = pinterest.ImageURLs(pinterest.MediaItem{URL: "https://shop.example/1.jpg"})
	_, err = c.Pins.Create(t.Context(), pin)
	assert.Equal(t, "Please correct this and try again: the images must be from 2 to 5.", failure(t, err).UserMessage())
}

func TestUserMessageOfTheAPIsFields(t *testing.T) {
	t.Parallel()
	const general = "Pinterest does not accept this as it is. Please check what you entered and try again."
	list := `{"field":"title","message":"x"},{"field":"description","message":"x"},{"field":"link","message":"x"},{"field":"alt_text","message":"x"},` +
		`{"field":"board_id","message":"x"},{"field":"note","message":"x"}`
	for body, want := range map[string]string{
		`{"errors":[{"field":"title","message":"Title is required"}]}`:                               "the title is missing",
		`{"errors":[{"field":"description","message":"exceeds maximum length of 800 characters"}]}`:  "the description is too long or too large (at most 800 characters are allowed)",
		`{"errors":[{"field":"media_source.items[0].url","message":"https://x.example/?sig=abcd"}]}`: "image 1 is not accepted",
		`{"errors":[{"field":"media_source.cover_image_url","message":"invalid URL"}]}`:              "the cover image must be the full web address",
		`{"errors":[` + list + `]}`: "the title is not accepted, the description is not accepted, the link is not accepted, the alternative text is not accepted, the board is not accepted, and more",
		`{"errors":[{"field":"internal_flags","message":"pina_AAAABBBBCCCC"}]}`: "",
		`{"code":1,"message":"'board_id' value 'x' must match ^\\d+$"}`:         "",
	} {
		err := answered(t, 400, body)
		text := failure(t, err).UserMessage()
		assertPlain(t, text)
		if want == "" {
			assert.Equal(t, general, text)
			continue
		}
		assert.Equal(t, "Please correct this and try again: "+want+".", text)
	}
}

// What was to be made is named where it may have been made.
func TestUserMessageOfUncertain(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]string{
		"pins/create": "The pin may have been published", "pins/save": "The pin may have been published", "": "The pin may have been published",
		"boards/create": "The board may have been made", "board_sections/create": "The section may have been made",
		"campaigns/create": "This may have been done",
	} {
		text := (&pinterest.Error{Operation: op, Class: pinterest.ClassTransport, Disposition: pinterest.DispositionUncertain}).UserMessage()
		assertPlain(t, text)
		assert.True(t, strings.HasPrefix(text, want), text)
		assert.Contains(t, text, "again before this was checked")
	}
}
