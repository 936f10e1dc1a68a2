package pinterest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The contract tests compare the package with Pinterest's own description of the
// API, a file named by PINTEREST_SPEC. Without it they are skipped, except where CI
// is "true".

// apiSpec is the part of the description that the tests use.
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

// pathPattern returns the pattern of a path parameter.
func (o *apiOperation) pathPattern(t *testing.T, name string) string {
	t.Helper()
	for _, p := range o.Parameters {
		if p.In == "path" && p.Name == name {
			return p.Schema.Pattern
		}
	}
	t.Errorf("there is no path parameter %s", name)
	return ""
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

// either returns a schema that allows what a or b allows.
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

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, the description has %v", what, got, want)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
