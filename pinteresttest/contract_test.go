package pinteresttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// description is the official API description, as far as it is read here.
type description struct {
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Schemas         map[string]*schema
		SecuritySchemes map[string]struct {
			Flows map[string]struct{ Scopes map[string]string }
		}
	}
}

type describedOperation struct {
	OperationID string `json:"operationId"`
	Category    string `json:"x-ratelimit-category"`
	Security    []map[string][]string
	RequestBody struct{ Content map[string]any }
	Responses   map[string]struct {
		Content map[string]struct{ Schema *schema }
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Nullable   bool
	Properties map[string]*schema
	Items      *schema
	AllOf      []*schema
	OneOf      []*schema
	AnyOf      []*schema
	Enum       []any
	Pattern    string
	Required   []string
}

// loadDescription reads the description named by PINTEREST_SPEC, or the one in
// the folder "shared" beside the repository.
func loadDescription(t *testing.T) *description {
	t.Helper()
	path := os.Getenv("PINTEREST_SPEC")
	if path == "" {
		path = filepath.Join("..", "..", "shared", "spec", "openapi.json")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the API description is missing: %v", err)
		}
		t.Skipf("TestContract needs the API description, in PINTEREST_SPEC: %v", err)
	}
	d := &description{}
	require.NoError(t, json.Unmarshal(raw, d))
	return d
}

// operation finds an operation by its id.
func (d *description) operation(t *testing.T, id string) (method, path string, op describedOperation) {
	t.Helper()
	for path, methods := range d.Paths {
		for method, raw := range methods {
			var op describedOperation
			if json.Unmarshal(raw, &op) == nil && op.OperationID == id {
				return strings.ToUpper(method), path, op
			}
		}
	}
	t.Fatalf("the API description has no operation %s", id)
	return "", "", op
}

func TestContractOfOperations(t *testing.T) {
	d := loadDescription(t)
	for _, op := range operations() {
		t.Run(op.id, func(t *testing.T) {
			method, path, described := d.operation(t, op.id)
			assert.Equal(t, method, op.method)
			assert.Equal(t, path, op.path)
			assert.Equal(t, described.Category, op.category)
			assert.ElementsMatch(t, described.Security[0]["pinterest_oauth2"], op.scopes)
			assert.Contains(t, described.Responses, fmt.Sprint(op.status))
			if op.consumes != "" {
				assert.Contains(t, described.RequestBody.Content, op.consumes)
			} else {
				assert.Empty(t, described.RequestBody.Content)
			}
		})
	}
}

func TestContractOfScopes(t *testing.T) {
	d := loadDescription(t)
	described := map[string]string{}
	for _, s := range knownScopes {
		described[s.Name] = s.Text
	}
	assert.Equal(t, d.Components.SecuritySchemes["pinterest_oauth2"].Flows["authorizationCode"].Scopes, described)
	assert.IsIncreasing(t, allScopes())
}

// TestContractOfBodies checks the server's answers against the schemas: every
// property is known, has the type described and, if null, is nullable.
func TestContractOfBodies(t *testing.T) {
	d := loadDescription(t)
	const callback = "https://app.example/callback"
	srv := NewServer(WithoutQuotas(), WithRedirectURIs(callback))
	defer srv.Close()
	alice := srv.AddAccount("alice")
	srv.SetBusinessName(alice, "Alice & Co.")
	board := srv.AddBoard(alice, "Kitchens")
	section := srv.AddSection(board, "Islands")
	image := srv.AddPin(board, Pin{SectionID: section.ID, Title: "T", Link: "https://x", AltText: "A"})
	video := srv.AddPin(board, Pin{CreativeType: "VIDEO"})

	redirect, err := srv.Authorize(srv.AuthorizeURL()+"?response_type=code&scope=pins:read&client_id="+srv.App().ID+
		"&redirect_uri="+callback, alice)
	require.NoError(t, err)
	_, code, _ := strings.Cut(redirect, "code=")
	variants := map[string]string{ // told apart by a discriminator
		"refresh_token":      "OauthAccessTokenResponseRefresh",
		"authorization_code": "OauthAccessTokenResponseCode",
		"client_credentials": "OauthAccessTokenResponseClientCredentials",
	}

	const pin = `{"board_id": "%s", "media_source": {"source_type": "multiple_image_urls",
		"items": [{"url": "https://x/1", "title": "One"}, {"url": "https://x/2"}]}}`
	for _, call := range []struct{ id, path, body string }{
		{"boards/create", "/boards", `{"name": "Baths", "description": "D"}`},
		{"boards/get", "/boards/" + board.ID, ""},
		{"boards/list", "/boards", ""},
		{"boards/update", "/boards/" + board.ID, `{}`},
		{"boards/list_pins", "/boards/" + board.ID + "/pins", ""},
		{"board_sections/create", "/boards/" + board.ID + "/sections", `{"name": "Sinks"}`},
		{"board_sections/list", "/boards/" + board.ID + "/sections", ""},
		{"board_sections/update", "/boards/" + board.ID + "/sections/" + section.ID, `{"name": "Isles"}`},
		{"board_sections/list_pins", "/boards/" + board.ID + "/sections/" + section.ID + "/pins", ""},
		{"pins/create", "/pins", fmt.Sprintf(pin, board.ID)},
		{"pins/list", "/pins", ""},
		{"pins/get", "/pins/" + image.ID, ""},
		{"pins/get", "/pins/" + video.ID, ""},
		{"pins/update", "/pins/" + image.ID, `{"title": null}`},
		{"pins/save", "/pins/" + image.ID + "/save", `{"board_id": "` + board.ID + `"}`},
		{"user_account/get", "/user_account", ""},
		{"oauth/conversion_token", "/oauth/conversion_token", ""},
		{"oauth/token", "/oauth/token", "grant_type=refresh_token&refresh_token=" + alice.RefreshToken},
		{"oauth/token", "/oauth/token", "grant_type=authorization_code&redirect_uri=" + callback + "&code=" + code},
		{"oauth/token", "/oauth/token", "grant_type=client_credentials&scope=pins:read"},
	} {
		t.Run(call.id, func(t *testing.T) {
			method, _, described := d.operation(t, call.id)
			r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+call.path, strings.NewReader(call.body))
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+alice.AccessToken)
			r.Header.Set("Content-Type", "application/json")
			if call.id == opToken {
				r.SetBasicAuth(srv.App().ID, srv.App().Secret)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			res, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			defer res.Body.Close()
			raw, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Less(t, res.StatusCode, 300, string(raw))

			var body any
			require.NoError(t, json.Unmarshal(raw, &body))
			answer := described.Responses[fmt.Sprint(res.StatusCode)].Content["application/json"].Schema
			if call.id == opToken {
				answer = d.Components.Schemas[variants[body.(map[string]any)["response_type"].(string)]]
				require.NotNil(t, answer)
			}
			d.check(t, "body", body, answer)
			for _, part := range d.parts(answer) {
				for _, name := range part.Required {
					assert.Contains(t, body, name)
				}
			}
		})
	}
}

// check checks a value against a schema.
func (d *description) check(t *testing.T, at string, value any, s *schema) {
	t.Helper()
	if value == nil {
		assert.True(t, d.nullable(s), "%s is null", at)
		return
	}
	if variants := d.variants(s); len(variants) > 0 {
		d.checkVariant(t, at, value, variants)
		return
	}
	switch value := value.(type) {
	case map[string]any:
		properties := map[string]*schema{}
		d.collect(s, properties)
		for name, v := range value {
			if len(properties) == 0 {
				break // an object of no description
			}
			if assert.Contains(t, properties, name, "%s has an unknown property", at) {
				d.check(t, at+"."+name, v, properties[name])
			}
		}
	case []any:
		items := d.items(s)
		require.NotNil(t, items, "%s is an array", at)
		for _, v := range value {
			d.check(t, at+"[]", v, items)
		}
	default:
		d.checkScalar(t, at, value, s)
	}
}

// checkVariant finds the variant that has the value's media_type.
func (d *description) checkVariant(t *testing.T, at string, value any, variants []*schema) {
	t.Helper()
	for _, variant := range variants {
		properties := map[string]*schema{}
		d.collect(variant, properties)
		tag, ok := properties["media_type"]
		if !ok || assert.ObjectsAreEqual([]any{value.(map[string]any)["media_type"]}, tag.Enum) {
			d.check(t, at, value, variant)
			return
		}
	}
	assert.Fail(t, "no variant fits", "%s: %v", at, value)
}

func (d *description) checkScalar(t *testing.T, at string, value any, s *schema) {
	t.Helper()
	for _, part := range d.parts(s) {
		switch part.Type {
		case "string":
			text, ok := value.(string)
			require.True(t, ok, "%s is %v", at, value)
			assert.Regexp(t, part.Pattern, text, at)
		case "integer":
			number, ok := value.(float64)
			assert.True(t, ok && number == float64(int64(number)), "%s is %v", at, value)
		case "number":
			assert.IsType(t, 0.0, value, at)
		case "boolean":
			assert.IsType(t, true, value, at)
		}
		if len(part.Enum) > 0 {
			assert.Contains(t, part.Enum, value, at)
		}
	}
}

// parts returns the schema and all schemas that it is composed of.
func (d *description) parts(s *schema) []*schema {
	if s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	parts := []*schema{s}
	for _, part := range s.AllOf {
		parts = append(parts, d.parts(part)...)
	}
	return parts
}

func (d *description) nullable(s *schema) bool {
	for _, part := range d.parts(s) {
		if part.Nullable {
			return true
		}
	}
	return false
}

func (d *description) variants(s *schema) []*schema {
	for _, part := range d.parts(s) {
		if variants := slices.Concat(part.OneOf, part.AnyOf); len(variants) > 0 {
			return variants
		}
	}
	return nil
}

func (d *description) items(s *schema) *schema {
	var items *schema
	for _, part := range d.parts(s) { // the last is the most precise
		items = nonNil(part.Items, items)
		if of := part.Properties["items"]; items == nil && of != nil {
			items = of.Items
		}
	}
	return items
}

func nonNil(a, b *schema) *schema {
	if a != nil {
		return a
	}
	return b
}

func (d *description) collect(s *schema, into map[string]*schema) {
	for _, part := range d.parts(s) {
		for name, property := range part.Properties {
			into[name] = property
		}
	}
}
