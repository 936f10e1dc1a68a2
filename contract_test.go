package pinterest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pinterest-go/pinterest"
)

// The tests of this file hold the package against Pinterest's own description
// of the API: PINTEREST_SPEC names the file. Without one they are skipped, but
// not where CI is "true".

// apiSpec is the part of the description that the tests ask about.
type apiSpec struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]*apiSchema `json:"schemas"`
		Parameters map[string]*apiParam  `json:"parameters"`
	} `json:"components"`
}

type apiOperation struct {
	ID          string                `json:"operationId"`
	Category    string                `json:"x-ratelimit-category"`
	Security    []map[string][]string `json:"security"`
	Parameters  []*apiParam           `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema *apiSchema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema *apiSchema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`

	method, path string
}

type apiParam struct {
	Ref    string     `json:"$ref"`
	Name   string     `json:"name"`
	In     string     `json:"in"`
	Schema *apiSchema `json:"schema"`
}

type apiSchema struct {
	Ref        string                `json:"$ref"`
	Type       string                `json:"type"`
	Pattern    string                `json:"pattern"`
	Enum       []any                 `json:"enum"`
	Nullable   bool                  `json:"nullable"`
	MinLength  int                   `json:"minLength"`
	MaxLength  int                   `json:"maxLength"`
	MinItems   int                   `json:"minItems"`
	MaxItems   int                   `json:"maxItems"`
	Maximum    float64               `json:"maximum"`
	Required   []string              `json:"required"`
	Properties map[string]*apiSchema `json:"properties"`
	Items      *apiSchema            `json:"items"`
	AllOf      []*apiSchema          `json:"allOf"`
	OneOf      []*apiSchema          `json:"oneOf"`
}

func specPath() string {
	if path := os.Getenv("PINTEREST_SPEC"); path != "" {
		return path
	}
	return filepath.Join("..", "shared", "spec", "openapi.json")
}

func loadSpec(t *testing.T) *apiSpec {
	t.Helper()
	path := specPath()
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true":
		t.Skipf("skipped: the official API description is not at %s (set PINTEREST_SPEC)", path)
	case err != nil:
		t.Fatalf("the official API description: %v", err)
	}
	spec := new(apiSpec)
	if err := json.Unmarshal(data, spec); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return spec
}

func (s *apiSpec) operation(t *testing.T, id string) *apiOperation {
	t.Helper()
	for path, methods := range s.Paths {
		for method, raw := range methods {
			var op apiOperation
			if json.Unmarshal(raw, &op) != nil || op.ID != id {
				continue
			}
			op.method, op.path = strings.ToUpper(method), path
			for i, p := range op.Parameters {
				if p.Ref != "" {
					op.Parameters[i] = s.Components.Parameters[lastPart(p.Ref)]
				}
			}
			return &op
		}
	}
	t.Fatalf("%s: the description has no such operation", id)
	return nil
}

// flat resolves references and folds allOf and oneOf into one schema.
func (s *apiSpec) flat(in *apiSchema) *apiSchema {
	if in == nil {
		return &apiSchema{}
	}
	if in.Ref != "" {
		return s.flat(s.Components.Schemas[lastPart(in.Ref)])
	}
	out := *in
	out.Properties = map[string]*apiSchema{}
	for name, p := range in.Properties {
		out.Properties[name] = p
	}
	for _, part := range slices.Concat(in.AllOf, in.OneOf) {
		p := s.flat(part)
		for name, property := range p.Properties {
			out.Properties[name] = either(out.Properties[name], property)
		}
		if out.Type == "" {
			out.Type = p.Type
		}
		out.Items = either(out.Items, p.Items)
		out.Enum = append(slices.Clip(out.Enum), p.Enum...)
	}
	return &out
}

// either is a schema of what one or the other allows.
func either(a, b *apiSchema) *apiSchema {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return &apiSchema{OneOf: []*apiSchema{a, b}}
}

func (s *apiSpec) request(op *apiOperation) *apiSchema {
	for _, c := range op.RequestBody.Content {
		return s.flat(c.Schema)
	}
	return nil
}

func (s *apiSpec) response(op *apiOperation) *apiSchema {
	for _, status := range []string{"200", "201"} {
		if c, ok := op.Responses[status].Content["application/json"]; ok {
			return s.flat(c.Schema)
		}
	}
	return nil
}

func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func TestContractOperations(t *testing.T) {
	spec := loadSpec(t)
	for _, op := range pinterest.Operations() {
		t.Run(op.ID, func(t *testing.T) {
			want := spec.operation(t, op.ID)
			equal(t, "method", op.Method, want.method)
			equal(t, "path", op.Path, want.path)
			equal(t, "category", string(op.Category), want.Category)
			for _, alternative := range want.Security {
				if scopes, ok := alternative["pinterest_oauth2"]; ok {
					names := []string{}
					for _, scope := range op.Scopes {
						names = append(names, string(scope))
					}
					equal(t, "scopes", names, scopes)
					return
				}
			}
			if len(want.Security) != 1 || want.Security[0]["basic"] == nil || op.Scopes != nil {
				t.Errorf("scopes are %v, the description has %v", op.Scopes, want.Security)
			}
		})
	}
}

// The kind is this package's own fact; what the method says must not contradict it.
func TestContractKinds(t *testing.T) {
	for _, op := range pinterest.Operations() {
		want := map[string]pinterest.Kind{
			http.MethodGet: pinterest.KindRead, http.MethodPost: pinterest.KindCreate,
			http.MethodPatch: pinterest.KindWrite, http.MethodDelete: pinterest.KindWrite,
		}[op.Method]
		switch op.ID {
		case "oauth/token", "token/revoke", "oauth/conversion_token":
			want = pinterest.KindWrite // a second one does no harm
		}
		if op.Kind != want {
			t.Errorf("%s: kind is %v, want %v for %s", op.ID, op.Kind, want, op.Method)
		}
	}
}

// contractType pairs a Go type with a schema. Lacks are the properties that the
// Go type leaves out on purpose.
type contractType struct {
	name  string
	value any
	sent  bool // in a request: every property is the caller's to set
	lacks []string
}

// contractTypes are the bodies of the package, by operation.
var contractTypes = map[string][]contractType{
	"pins/create": {
		{name: "request", value: pinterest.PinCreate{}, sent: true},
		{name: "response", value: pinterest.Pin{}},
	},
	"pins/get": {{name: "response", value: pinterest.Pin{}}},
	"pins/update": {
		{name: "request", value: pinterest.PinUpdate{}, sent: true},
		{name: "response", value: pinterest.Pin{}},
	},
	"pins/save": {
		{name: "request", value: pinterest.PinSave{}, sent: true},
		{name: "response", value: pinterest.Pin{}},
	},
	"pins/list":        {{name: "response", value: pinterest.Page[pinterest.Pin]{}}},
	"boards/list_pins": {{name: "response", value: pinterest.Page[pinterest.Pin]{}}},
	"boards/create": {
		{name: "request", value: pinterest.BoardCreate{}, sent: true},
		{name: "response", value: pinterest.Board{}},
	},
	"boards/get": {{name: "response", value: pinterest.Board{}}},
	"boards/update": {
		{name: "request", value: pinterest.BoardUpdate{}, sent: true},
		{name: "response", value: pinterest.Board{}},
	},
	"boards/list": {{name: "response", value: pinterest.Page[pinterest.Board]{}}},
	"board_sections/create": {
		// The id of the schema is read-only.
		{name: "request", value: pinterest.SectionWrite{}, sent: true, lacks: []string{"id"}},
		{name: "response", value: pinterest.Section{}},
	},
	"board_sections/update": {
		{name: "request", value: pinterest.SectionWrite{}, sent: true, lacks: []string{"id"}},
		{name: "response", value: pinterest.Section{}},
	},
	"user_account/get":         {{name: "response", value: pinterest.Account{}}},
	"board_sections/list":      {{name: "response", value: pinterest.Page[pinterest.Section]{}}},
	"board_sections/list_pins": {{name: "response", value: pinterest.Page[pinterest.Pin]{}}},
}

func TestContractTypes(t *testing.T) {
	spec := loadSpec(t)
	for _, op := range pinterest.Operations() {
		types := contractTypes[op.ID]
		if types == nil && op.Method != http.MethodDelete && !strings.Contains(op.Path, "/oauth/") {
			t.Errorf("%s: its bodies are not in contractTypes", op.ID)
		}
		for _, ct := range types {
			t.Run(op.ID+" "+ct.name, func(t *testing.T) {
				want := spec.operation(t, op.ID)
				schema := spec.response(want)
				if ct.sent {
					schema = spec.request(want)
				}
				c := comparison{t: t, spec: spec, lacks: ct.lacks}
				c.compare("", reflect.TypeOf(ct.value), schema)
				for _, name := range ct.lacks {
					if !slices.Contains(c.lacked, name) {
						t.Errorf("%s is listed as lacking, but it is there, or the description dropped it", name)
					}
				}
			})
		}
	}
}

// comparison walks a Go type and a schema side by side.
type comparison struct {
	t      *testing.T
	spec   *apiSpec
	lacks  []string
	lacked []string
}

func (c *comparison) compare(path string, typ reflect.Type, schema *apiSchema) {
	schema = c.spec.flat(schema)
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if strings.HasPrefix(typ.Name(), "Opt[") {
		get, _ := typ.MethodByName("Get")
		typ = get.Type.Out(0)
	}
	switch {
	case typ == reflect.TypeFor[pinterest.Time]():
		c.want(path, schema, "string", "integer")
	case typ.Kind() == reflect.String:
		c.want(path, schema, "string")
	case typ.Kind() == reflect.Bool:
		c.want(path, schema, "boolean")
	case typ.Kind() == reflect.Int:
		c.want(path, schema, "integer", "number")
	case typ.Kind() == reflect.Float64:
		c.want(path, schema, "number", "integer")
	case typ.Kind() == reflect.Slice:
		c.want(path, schema, "array")
		if schema.Items != nil {
			c.compare(path+"[]", typ.Elem(), schema.Items)
		}
	case typ.Kind() == reflect.Map:
		c.want(path, schema, "object")
		for _, name := range sorted(schema.Properties) {
			c.compare(join(path, name), typ.Elem(), schema.Properties[name])
		}
	case typ.Kind() == reflect.Struct:
		c.compareStruct(path, typ, schema)
	default:
		c.t.Errorf("%s: a Go %s is not expected here", path, typ)
	}
}

func (c *comparison) compareStruct(path string, typ reflect.Type, schema *apiSchema) {
	c.want(path, schema, "object")
	has := map[string]bool{}
	for field := range fields(typ) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		has[name] = true
		property := schema.Properties[name]
		switch {
		case property != nil:
			c.compare(join(path, name), field.Type, property)
		case len(schema.Properties) > 0:
			c.t.Errorf("%s: %s.%s is not in the description", join(path, name), typ, field.Name)
		}
	}
	for _, name := range sorted(schema.Properties) {
		at := join(path, name)
		switch {
		case has[name]:
		case slices.Contains(c.lacks, at):
			c.lacked = append(c.lacked, at)
		default:
			c.t.Errorf("%s: %s lacks it; add it, or list it as lacking", at, typ)
		}
	}
}

func (c *comparison) want(path string, schema *apiSchema, types ...string) {
	if !slices.Contains(types, schema.Type) && schema.Type != "" {
		c.t.Errorf("%s: the description has type %q, the Go type fits %v", path, schema.Type, types)
	}
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// valid are requests that pass, to be spoilt one property at a time.
var valid = map[string]interface{ Validate() error }{
	"pins/create": pinterest.PinCreate{
		BoardID: "1", Title: "t", Link: "https://shop.example/p", MediaSource: pinterest.ImageURL("https://shop.example/i.jpg"),
	},
	"pins/update":           pinterest.PinUpdate{Title: pinterest.Set("t")},
	"pins/save":             pinterest.PinSave{BoardID: "1"},
	"boards/create":         pinterest.BoardCreate{Name: "n"},
	"boards/update":         pinterest.BoardUpdate{Name: pinterest.Set("n")},
	"board_sections/create": pinterest.SectionWrite{Name: "n"},
}

// TestContractLimits sets each property of each request to what the description
// just allows, and to what it does not allow any more.
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

// TestContractEnums compares the constants of the package with the enums of
// the description, the left out ones being listed here.
func TestContractEnums(t *testing.T) {
	spec := loadSpec(t)
	for _, enum := range []struct {
		typ, schema string
		lacks       []string
	}{
		{"BoardPrivacy", "BoardPrivacy", nil},
		// A deprecated name for COLLECTION, and two formats of ads alone.
		{"CreativeType", "CreativeType", []string{"MAX_WIDTH_REGULAR_COLLECTION", "MAX_WIDTH_VIDEO_COLLECTION", "SHOP_THE_PIN"}},
	} {
		var want []string
		for _, value := range spec.flat(spec.Components.Schemas[enum.schema]).Enum {
			if name := fmt.Sprint(value); !slices.Contains(enum.lacks, name) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		equal(t, enum.typ, constants(t, enum.typ), want)
	}
}

// TestContractQuery lists with every option set and looks for each query
// parameter in the description.
func TestContractQuery(t *testing.T) {
	spec := loadSpec(t)
	client, err := pinterest.New(pinterest.WithAccessToken("pina_contract"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, page := t.Context(), pinterest.ListOptions{PageSize: 250, Bookmark: "next"}
	types := []pinterest.CreativeType{pinterest.CreativeRegular, pinterest.CreativeVideo}
	account := pinterest.AdAccount("549755885175")
	pins := &pinterest.BoardPinsOptions{ListOptions: page, CreativeTypes: types, Metrics: true}
	calls := map[string]func(opts ...pinterest.CallOption) error{
		"pins/list": func(opts ...pinterest.CallOption) error {
			_, err := client.Pins.List(ctx, &pinterest.PinListOptions{
				ListOptions: page, Filter: "exclude_repins", Type: "PRIVATE", CreativeTypes: types, IncludeProtected: true, Metrics: true,
			}, opts...)
			return err
		},
		"boards/list": func(opts ...pinterest.CallOption) error {
			_, err := client.Boards.List(ctx, &pinterest.BoardListOptions{ListOptions: page, Privacy: "ALL"}, opts...)
			return err
		},
		"boards/list_pins": func(opts ...pinterest.CallOption) error {
			_, err := client.Boards.ListPins(ctx, "1", pins, opts...)
			return err
		},
		"board_sections/list": func(opts ...pinterest.CallOption) error {
			_, err := client.Sections.List(ctx, "1", &page, opts...)
			return err
		},
		"board_sections/list_pins": func(opts ...pinterest.CallOption) error {
			_, err := client.Sections.ListPins(ctx, "1", "2", &page, opts...)
			return err
		},
	}
	for _, id := range sorted(calls) {
		var sent pinterest.DryRun
		if err := calls[id](account, pinterest.DryRunTo(&sent)); err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		u, err := url.Parse(sent.URL)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]*apiSchema{}
		for _, p := range spec.operation(t, id).Parameters {
			if p.In == "query" {
				want[p.Name] = spec.flat(p.Schema)
			}
		}
		for name, values := range u.Query() {
			schema := want[name]
			if schema == nil {
				t.Errorf("%s: query parameter %s is not in the description", id, name)
				continue
			}
			if schema.Items != nil {
				schema = spec.flat(schema.Items)
			}
			for _, value := range values {
				if len(schema.Enum) > 0 && !slices.Contains(schema.Enum, any(value)) {
					t.Errorf("%s: %s=%s is none of %v", id, name, value, schema.Enum)
				}
			}
		}
		if limit := want["page_size"].Maximum; limit != 250 {
			t.Errorf("%s: the description allows a page size of %v", id, limit)
		}
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

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, the description has %v", what, got, want)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// fields iterates over the fields of a struct type, those of embedded structs
// in their place.
func fields(typ reflect.Type) iter.Seq[reflect.StructField] {
	return slices.Values(reflect.VisibleFields(typ))
}
