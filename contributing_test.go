package pinterest_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// These tests fail when a change forgets one of the places that CONTRIBUTING.md
// lists for it, and when CONTRIBUTING.md names something that does not exist.

// Every value Op… with an id is in Operations, and so in the tests that iterate
// over Operations.
func TestOperationsAreComplete(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, op := range pinterest.Operations() {
		listed = append(listed, op.ID)
	}
	for name, id := range operationValues(t) {
		assert.Containsf(t, listed, id, "%s is not in Operations", name)
	}
}

// operationValues returns the ids of the package's exported operations, by name.
func operationValues(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, file := range packageFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Op") {
				return true
			}
			value, ok := spec.Values[0].(*ast.CompositeLit)
			if !ok || fmt.Sprint(value.Type) != "Operation" {
				return true
			}
			for _, element := range value.Elts {
				if field, ok := element.(*ast.KeyValueExpr); ok && fmt.Sprint(field.Key) == "ID" {
					id, err := strconv.Unquote(field.Value.(*ast.BasicLit).Value)
					require.NoError(t, err)
					ids[spec.Names[0].Name] = id
				}
			}
			return true
		})
	}
	require.NotEmpty(t, ids)
	return ids
}

// packageFiles parses the package's files, without its tests.
func packageFiles(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	return files
}

// A deletion takes its resource out of a list, which Removes tells the look-ups of
// creates: else they take the missing resource for a list that lags.
func TestEveryDeletionRemoves(t *testing.T) {
	t.Parallel()
	for _, op := range pinterest.Operations() {
		if op.Method == http.MethodDelete {
			assert.Truef(t, op.Removes, "%s: Removes", op.ID)
		}
	}
}

// pinteresttest serves every operation of the package.
func TestFakeServesEveryOperation(t *testing.T) {
	t.Parallel()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	for _, op := range pinterest.Operations() {
		path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(op.Path, "1")
		req, err := http.NewRequestWithContext(t.Context(), op.Method, srv.URL+path, http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+alice.AccessToken)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equalf(t, 1, srv.Count(op.ID), "%s is not in pinteresttest/operation.go", op.ID)
	}
}

// Every create of the package has a lookup: an ambiguous failure leaves an
// Uncertain that can be resolved.
func TestEveryCreateHasALookup(t *testing.T) {
	t.Parallel()
	creates := map[string]func(ctx context.Context, s *studio, parent string) error{
		"pins/create": func(ctx context.Context, s *studio, _ string) error {
			_, err := s.client.Pins.Create(ctx, oak(s.board.ID))
			return err
		},
		"pins/save": func(ctx context.Context, s *studio, parent string) error {
			_, err := s.client.Pins.Save(ctx, parent, pinterest.PinSave{BoardID: s.board.ID})
			return err
		},
		"boards/create": func(ctx context.Context, s *studio, _ string) error {
			_, err := s.client.Boards.Create(ctx, pinterest.BoardCreate{Name: "Gardens"})
			return err
		},
		"board_sections/create": func(ctx context.Context, s *studio, _ string) error {
			_, err := s.client.Sections.Create(ctx, s.board.ID, pinterest.SectionCreate{Name: "Oak"})
			return err
		},
	}
	for _, op := range pinterest.Operations() {
		if op.Kind != pinterest.KindCreate {
			continue
		}
		t.Run(op.ID, func(t *testing.T) {
			t.Parallel()
			create := creates[op.ID]
			require.NotNil(t, create, "add it to this test")
			s := newStudio(t)
			parent := s.srv.AddPin(s.srv.AddBoard(s.alice, "Recipes"), pinteresttest.Pin{Title: "Tart"}).ID
			s.srv.Inject(pinteresttest.ServerError(500).On(op.ID).AfterTheCommit())
			for _, list := range []string{"boards/list_pins", "boards/list", "board_sections/list"} {
				s.srv.Inject(pinteresttest.ServerError(503).On(list).Repeat(pinteresttest.Forever))
			}
			e := requireUncertain(t, create(t.Context(), s, parent))
			require.NotNil(t, e.Uncertain)
			assert.Equal(t, op.ID, e.Uncertain.Operation)
		})
	}
}

// Every constant of these types has a name of its own.
func TestEveryConstantHasAName(t *testing.T) {
	t.Parallel()
	types := map[string]func(n int) fmt.Stringer{
		"Action":      func(n int) fmt.Stringer { return pinterest.Action(n) },
		"Class":       func(n int) fmt.Stringer { return pinterest.Class(n) },
		"Disposition": func(n int) fmt.Stringer { return pinterest.Disposition(n) },
		"EventType":   func(n int) fmt.Stringer { return pinterest.EventType(n) },
		"Kind":        func(n int) fmt.Stringer { return pinterest.Kind(n) },
		"Phase":       func(n int) fmt.Stringer { return pinterest.Phase(n) },
		"Reason":      func(n int) fmt.Stringer { return pinterest.Reason(n) },
	}
	found := 0
	for _, file := range packageFiles(t) {
		for _, decl := range file.Decls {
			block, ok := decl.(*ast.GenDecl)
			if !ok || block.Tok != token.CONST {
				continue
			}
			typ := fmt.Sprint(block.Specs[0].(*ast.ValueSpec).Type)
			value := types[typ]
			if value == nil {
				continue
			}
			found++
			names := map[string]bool{}
			for n := range block.Specs {
				name := value(n).String()
				assert.NotContains(t, name, typ+"(")
				assert.Falsef(t, names[name], "two values of %s are called %q", typ, name)
				names[name] = true
			}
		}
	}
	assert.Equal(t, len(types), found)
}

// The files and functions that CONTRIBUTING.md names exist.
func TestContributingNames(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	text := string(data)
	for _, match := range regexp.MustCompile("`([\\w./]+\\.(?:go|lua|md))`").FindAllStringSubmatch(text, -1) {
		assert.FileExists(t, filepath.FromSlash(match[1]))
	}
	tests := testNames(t)
	for _, match := range regexp.MustCompile(`\b(?:Test|Example|Fuzz)[A-Z]\w+`).FindAllString(text, -1) {
		assert.Contains(t, tests, match)
	}

	// A station of the walk: a number, a file, and functions of it.
	stations := regexp.MustCompile("(?m)^\\d+\\. `([\\w./]+\\.go)`: ((?:`[\\w.]+`(?:, )?)+)").FindAllStringSubmatch(text, -1)
	assert.NotEmpty(t, stations)
	assert.LessOrEqual(t, len(stations), 12)
	var visited []string
	for _, station := range stations {
		file := station[1]
		assert.NotContains(t, visited, file, "a file is entered once")
		visited = append(visited, file)
		source, err := os.ReadFile(filepath.FromSlash(file))
		require.NoError(t, err)
		for name := range strings.SplitSeq(strings.ReplaceAll(station[2], "`", ""), ", ") {
			name = name[strings.LastIndex(name, ".")+1:]
			assert.Regexpf(t, `(?m)^func (\([^)]*\) )?`+name+`[\[(]`, string(source), "%s in %s", name, file)
		}
	}
}

// testNames returns the tests of all modules.
func testNames(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)\w+)`).FindAllSubmatch(source, -1) {
			names = append(names, string(match[1]))
		}
		return err
	})
	require.NoError(t, err)
	slices.Sort(names)
	return names
}
