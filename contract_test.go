package pinterest_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/pinterest-go/pinterest"
)

// pathPattern is a placeholder of Operation.Path with its pattern.
var pathPattern = regexp.MustCompile(`\{(\w+):([^}]*)\}`)

func TestContractOperations(t *testing.T) {
	spec := loadSpec(t)
	for _, op := range pinterest.Operations() {
		t.Run(op.ID, func(t *testing.T) {
			want := spec.operation(t, op.ID)
			equal(t, "method", op.Method, want.method)
			equal(t, "path", pathPattern.ReplaceAllString(op.Path, "{$1}"), want.path)
			for _, param := range pathPattern.FindAllStringSubmatch(op.Path, -1) {
				if pattern := want.pathPattern(t, param[1]); pattern != "" { // else ours is stricter
					equal(t, "pattern of "+param[1], "^"+param[2]+"$", pattern)
				}
			}
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

// The kind is not in the description, but it must not contradict the method.
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

// contractType pairs a Go type with a schema. The properties in lacks are left out of
// the Go type on purpose.
type contractType struct {
	name  string
	value any
	sent  bool // a request: the caller can set every property
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
		{name: "request", value: pinterest.SectionCreate{}, sent: true, lacks: []string{"id"}},
		{name: "response", value: pinterest.Section{}},
	},
	"board_sections/update": {
		{name: "request", value: pinterest.SectionCreate{}, sent: true, lacks: []string{"id"}},
		{name: "response", value: pinterest.Section{}},
	},
	"user_account/get":         {{name: "response", value: pinterest.Account{}}},
	"board_sections/list":      {{name: "response", value: pinterest.Page[pinterest.Section]{}}},
	"board_sections/list_pins": {{name: "response", value: pinterest.Page[pinterest.Pin]{}}},
}

// TestContractQuery builds list calls with every option and looks for each query
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
