package pinterest_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// holders returns a value of each exported type that holds a credential, directly or
// in what it points to. Every credential in them is one of allSecrets.
func holders(t *testing.T) map[string]any {
	t.Helper()
	tok := pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh}
	o := pinterest.OAuth{ClientID: appID, ClientSecret: secretApp, RedirectURL: "https://a.example/cb", Scopes: []pinterest.Scope{"pins:read"}}
	store := pinterest.NewMemoryTokenStore()
	_, err := store.Save(t.Context(), "shop-1", &tok)
	require.NoError(t, err)
	app := storedApp(t, newServer(t, okPin().always()), store, pinterest.WithOAuth(o))
	client := app.Client("shop-1")
	require.NoError(t, get(t.Context(), client), "it has the token now")
	return map[string]any{
		"Token":         tok,
		"OAuth":         o,
		"RefreshConfig": pinterest.RefreshConfig{ClientID: appID, ClientSecret: secretApp, RefreshToken: secretRefresh, AccessToken: secretAccess, Store: func(context.Context, *oauth2.Token) error { return nil }},
		"Connection":    pinterest.Connection{Account: "shop-1", Token: &tok},
		"Login":         pinterest.Login{URL: signedURL, Cookie: &http.Cookie{Name: "pinterest_login_x", Value: secretAccess}},
		"Request":       pinterest.Request{URL: signedURL, Secrets: []string{secretAccess}, Body: map[string]string{"token": secretRefresh}},

		"Lookup": pinterest.Lookup[pinterest.Pin]{In: pinterest.Request{Secrets: []string{secretAccess}}},

		"App": app, "Client": client, "OAuthService": app.OAuth, "MemoryTokenStore": store,
		"PinsService": client.Pins, "BoardsService": client.Boards, "SectionsService": client.Sections, "AccountService": client.Account,
	}
}

// Whatever prints, logs or encodes a value that holds a credential, alone or in
// another value, does not write the credential.
func TestCredentialsAreNotPrintedOrEncoded(t *testing.T) {
	t.Parallel()
	for name, v := range holders(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for where, v := range inOthers(v) {
				for how, text := range printed(v) {
					assertClean(t, where+", "+how, text)
				}
			}
		})
	}
}

// inOthers returns a value alone and as a part of others.
func inOthers(v any) map[string]any {
	value := reflect.ValueOf(v)
	pointer := reflect.New(value.Type())
	pointer.Elem().Set(value)
	list := reflect.Append(reflect.MakeSlice(reflect.SliceOf(value.Type()), 0, 1), value)
	dict := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), value.Type()))
	dict.SetMapIndex(reflect.ValueOf("x"), value)
	field := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Inner", Type: value.Type()}, {Name: "Pointer", Type: pointer.Type()}}))
	field.Elem().Field(0).Set(value)
	field.Elem().Field(1).Set(pointer)
	return map[string]any{
		"alone": v, "a pointer": pointer.Interface(), "a list": list.Interface(), "a map": dict.Interface(),
		"a field": field.Interface(), "a field of a value": field.Elem().Interface(), "an any": []any{v, map[string]any{"x": pointer.Interface()}},
	}
}

// Fmt asks no methods of a field that is not exported, so a pointer has to stand there.
func TestCredentialsAreNotPrintedBehindPointers(t *testing.T) {
	t.Parallel()
	for name, v := range holders(t) {
		pointer := reflect.New(reflect.TypeOf(v))
		pointer.Elem().Set(reflect.ValueOf(v))
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			assertClean(t, name+", "+verb, fmt.Sprintf(verb, struct{ inner any }{pointer.Interface()}))
		}
	}
}

// printed returns what comes out of everything that prints or encodes.
func printed(v any) map[string]string {
	out := map[string]string{}
	// Fmt asks no methods for %p, and for %w of what is no error; vet refuses them.
	for _, verb := range "vsqxXdtTbcoOUeEfFgG" {
		for _, flags := range []string{"", "+", "#", "+#", "0", "-9.3"} {
			format := "%" + flags + string(verb)
			out[format] = fmt.Sprintf(format, v)
		}
	}
	encode := func(name string, data []byte, err error) {
		out[name] = string(data)
		if err != nil {
			out[name] += err.Error()
		}
	}
	data, err := json.Marshal(v)
	encode("JSON", data, err)
	data, err = xml.Marshal(v)
	encode("XML", data, err)
	var b bytes.Buffer
	err = gob.NewEncoder(&b).Encode(v)
	encode("gob", b.Bytes(), err)
	var page bytes.Buffer
	err = template.Must(template.New("").Parse(`{{.}} {{printf "%#v" .}} {{print .}} {{js .}}`)).Execute(&page, v)
	encode("a template", page.Bytes(), err)
	var text, object bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("said", "value", v, slog.Group("group", "value", v))
	slog.New(slog.NewJSONHandler(&object, nil)).Info("said", "value", v, slog.Group("group", "value", v))
	out["slog text"], out["slog JSON"] = text.String(), object.String()
	return out
}

// What is logged of a connection says which account it is.
func TestConnectionIsLoggedWithoutItsToken(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("connected", "conn", &pinterest.Connection{
		Account: "shop-1", Token: &pinterest.Token{AccessToken: secretAccess}, User: &pinterest.PinterestUser{ID: "1001", Username: "oak"}, Granted: []pinterest.Scope{"pins:read"},
	})
	assertClean(t, "the log", out.String())
	assert.Contains(t, out.String(), `"conn":{"Account":"shop-1","Token":"pinterest.Token","User":{"id":"1001","username":"oak"},"Granted":["pins:read"]`)
}

// secretField matches the names of fields that hold credentials.
var secretField = regexp.MustCompile(`(?i)(token|tokens|secret|secrets|password|verifier|credential|cookie|authorization|signature|appAuth)$`)

// holdsText are the types in which a credential can stand.
var holdsText = map[string]bool{"string": true, "byte": true, "any": true}

// An exported type that holds a credential is one of holders. It is found by the names
// of its fields, and of those of the types in them.
func TestHoldersOfCredentialsAreComplete(t *testing.T) {
	t.Parallel()
	fields := structFields(t)
	holds := map[string]bool{}
	for grown := true; grown; {
		grown = false
		for name, list := range fields {
			for _, f := range list {
				if !holds[name] && (holds[f.typ] || secretField.MatchString(f.name) && (holdsText[f.typ] || strings.HasPrefix(f.typ, "http."))) {
					holds[name], grown = true, true
				}
			}
		}
	}
	known := holders(t)
	for name := range holds {
		if ast.IsExported(name) {
			assert.NotNil(t, known[name], "%s holds a credential: keep it from being printed, and add it to holders", name)
		}
	}
	for name := range known {
		assert.True(t, holds[name], "%s holds no credential any more", name)
	}
	assert.True(t, holds["core"] && holds["config"] && holds["credential"], "fields that are not exported count")
}

type structField struct{ name, typ string }

// structFields returns the fields of every struct type of the package. The type of a
// field is the last name in it: that of the element of a list or map.
func structFields(t *testing.T) map[string][]structField {
	t.Helper()
	all := map[string][]structField{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, f := range body.Fields.List {
				typ := elementName(f.Type)
				if len(f.Names) == 0 {
					all[spec.Name.Name] = append(all[spec.Name.Name], structField{typ, typ})
				}
				for _, field := range f.Names {
					all[spec.Name.Name] = append(all[spec.Name.Name], structField{field.Name, typ})
				}
			}
			return true
		})
	}
	return all
}

func elementName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return elementName(e.X)
	case *ast.ArrayType:
		return elementName(e.Elt)
	case *ast.MapType:
		return elementName(e.Value)
	case *ast.IndexExpr:
		return elementName(e.X)
	case *ast.SelectorExpr:
		return elementName(e.X) + "." + e.Sel.Name
	}
	return "" // functions, interfaces
}
