package pinterest_test

import (
	"iter"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pinterest-go/pinterest"
)

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

// fields iterates over the fields of a struct type. The fields of embedded structs
// take the place of the struct.
func fields(typ reflect.Type) iter.Seq[reflect.StructField] {
	return slices.Values(reflect.VisibleFields(typ))
}
