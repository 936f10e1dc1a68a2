package pinterest_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pinterest-go/pinterest"
)

// valid holds requests that pass validation. The tests spoil one property at a time.
var valid = map[string]interface{ Validate() error }{
	"pins/create": pinterest.PinCreate{
		BoardID: "1", Title: "t", Link: "https://shop.example/p", MediaSource: pinterest.ImageURL("https://shop.example/i.jpg"),
	},
	"pins/update":           pinterest.PinUpdate{Title: pinterest.Set("t")},
	"pins/save":             pinterest.PinSave{BoardID: "1"},
	"boards/create":         pinterest.BoardCreate{Name: "n"},
	"boards/update":         pinterest.BoardUpdate{Name: pinterest.Set("n")},
	"board_sections/create": pinterest.SectionCreate{Name: "n"},
	"board_sections/update": pinterest.SectionUpdate{Name: "n"},
}

// TestContractLimitsAreComplete looks for requests that TestContractLimits leaves out.
func TestContractLimitsAreComplete(t *testing.T) {
	for _, id := range sorted(contractTypes) {
		for _, ct := range contractTypes[id] {
			if _, ok := ct.value.(interface{ Validate() error }); ok && ct.sent && valid[id] == nil {
				t.Errorf("%s: %T has a Validate and is not in valid", id, ct.value)
			}
		}
	}
	for _, id := range sorted(valid) {
		if err := valid[id].Validate(); err != nil {
			t.Errorf("%s: the request is not valid: %v", id, err)
		}
	}
}

// TestContractLimits sets each property of each request to the largest value that the
// description allows, and to one beyond it.
func TestContractLimits(t *testing.T) {
	spec := loadSpec(t)
	checked := 0
	for _, id := range sorted(valid) {
		schema := spec.request(spec.operation(t, id))
		for _, name := range sorted(schema.Properties) {
			property := spec.flat(schema.Properties[name])
			try := func(value any, ok bool) {
				t.Helper()
				checked++
				err := spoil(t, valid[id], name, value).Validate()
				if (err == nil) != ok {
					t.Errorf("%s %s = %.40v...: Validate returned %v, want valid: %t", id, name, value, err, ok)
				}
				if err != nil && !ok && !strings.Contains(err.Error(), name) {
					t.Errorf("%s: the error does not name %s: %v", id, name, err)
				}
			}
			if limit := property.MaxLength; limit > 0 {
				start := ""
				if name == "link" {
					start = "https://shop.example/"
				}
				fill := func(r string, n int) string { return start + strings.Repeat(r, n-len(start)) }
				try(fill("x", limit), true)
				try(fill("x", limit+1), false)
				try(fill("ü", limit), true) // characters, not bytes
				try(fill("ü", limit+1), false)
			}
			if property.MinLength > 0 {
				try("", false)
			}
			if property.Pattern == `^\d+$` {
				try("549755885175", true)
				try("my-board", false)
				try("549755885175/pins", false)
			}
			for _, value := range property.Enum {
				try(value, true)
			}
			if len(property.Enum) > 0 {
				try("NO_SUCH_VALUE", false)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d values were tried: the requests were not found in the description", checked)
	}
}

// spoil returns a copy of a request with one property set.
func spoil(t *testing.T, request any, name string, value any) interface{ Validate() error } {
	t.Helper()
	properties := map[string]any{}
	data, err := json.Marshal(request)
	if err == nil {
		err = json.Unmarshal(data, &properties)
	}
	if err != nil {
		t.Fatal(err)
	}
	properties[name] = value
	if data, err = json.Marshal(properties); err != nil {
		t.Fatal(err)
	}
	out := reflect.New(reflect.TypeOf(request))
	if err := json.Unmarshal(data, out.Interface()); err != nil {
		t.Fatalf("%s = %v: %v", name, value, err)
	}
	return out.Interface().(interface{ Validate() error })
}

// TestContractMediaSources compares what each constructor makes with the schema
// of its source type.
func TestContractMediaSources(t *testing.T) {
	spec := loadSpec(t)
	url1 := pinterest.MediaItem{Title: "t", Description: "d", Link: "https://shop.example/p", URL: "https://shop.example/1.jpg"}
	item := pinterest.Base64Item(pinterest.PNG, []byte("image"))
	sources := map[string]pinterest.MediaSource{
		"ImageURL":     pinterest.ImageURL("https://shop.example/1.jpg"),
		"ImageBase64":  pinterest.ImageBase64(pinterest.JPEG, []byte("image")),
		"ImageURLs":    pinterest.ImageURLs(url1, url1),
		"ImagesBase64": pinterest.ImagesBase64(item, item),
		"VideoID URL":  pinterest.VideoID("1", pinterest.CoverURL("https://shop.example/1.jpg")),
		"VideoID data": pinterest.VideoID("1", pinterest.CoverImage(pinterest.PNG, []byte("image"))),
		"VideoID time": pinterest.VideoID("1", pinterest.CoverFrame(3)),
	}
	known := map[string]*apiSchema{}
	for _, variant := range spec.Components.Schemas["PinMediaSource"].OneOf {
		schema := spec.flat(variant)
		for _, value := range spec.flat(schema.Properties["source_type"]).Enum {
			known[fmt.Sprint(value)] = schema
		}
	}
	equal(t, "source types", constants(t, "SourceType"), sorted(known))
	for name, source := range sources {
		schema := known[string(source.SourceType)]
		if schema == nil {
			t.Errorf("%s: the description has no source type %q", name, source.SourceType)
			continue
		}
		var properties map[string]any
		data, err := json.Marshal(source)
		if err != nil || json.Unmarshal(data, &properties) != nil {
			t.Fatalf("%s: %s, %v", name, data, err)
		}
		for _, property := range sorted(properties) {
			if schema.Properties[property] == nil {
				t.Errorf("%s: %s is not in the description", name, property)
			}
		}
		for _, property := range schema.Required {
			if properties[property] == nil {
				t.Errorf("%s: %s is required and is not sent", name, property)
			}
		}
		if err := (pinterest.PinCreate{BoardID: "1", MediaSource: source}).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	items := spec.flat(known["multiple_image_urls"].Properties["items"])
	for _, n := range []int{items.MinItems - 1, items.MinItems, items.MaxItems, items.MaxItems + 1} {
		source := pinterest.ImageURLs(slices.Repeat([]pinterest.MediaItem{url1}, n)...)
		err := (pinterest.PinCreate{BoardID: "1", MediaSource: source}).Validate()
		if (err == nil) != (n >= items.MinItems && n <= items.MaxItems) {
			t.Errorf("a carousel of %d images: Validate returned %v, the description allows %d to %d", n, err, items.MinItems, items.MaxItems)
		}
	}
	contentTypes := spec.flat(known["image_base64"].Properties["content_type"]).Enum
	for _, value := range contentTypes {
		source := pinterest.ImageBase64(fmt.Sprint(value), []byte("image"))
		if err := (pinterest.PinCreate{BoardID: "1", MediaSource: source}).Validate(); err != nil {
			t.Errorf("content type %v: %v", value, err)
		}
	}
}

// TestContractEnums compares the constants of the package with the enums of the
// description. Values that the package leaves out are listed here.
func TestContractEnums(t *testing.T) {
	spec := loadSpec(t)
	for _, enum := range []struct {
		typ, schema string
		lacks, more []string
	}{
		// More are the filters of boards/list.
		{"BoardPrivacy", "BoardPrivacy", nil, []string{"ALL", "PUBLIC_AND_SECRET"}},
		// A deprecated name for COLLECTION, and two formats that only ads have.
		{"CreativeType", "CreativeType", []string{"MAX_WIDTH_REGULAR_COLLECTION", "MAX_WIDTH_VIDEO_COLLECTION", "SHOP_THE_PIN"}, nil},
	} {
		want := slices.Clone(enum.more)
		for _, value := range spec.flat(spec.Components.Schemas[enum.schema]).Enum {
			if name := fmt.Sprint(value); !slices.Contains(enum.lacks, name) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		equal(t, enum.typ, constants(t, enum.typ), want)
	}
}

// constants returns the values of the package's exported constants of a string
// type, sorted.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typ {
				return true
			}
			for _, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, text)
				}
			}
			return true
		})
	}
	slices.Sort(values)
	return values
}
