package pinterest_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestScopesFor(t *testing.T) {
	t.Parallel()
	assert.Empty(t, pinterest.ScopesFor())
	assert.Equal(t, []pinterest.Scope{"boards:read", "pins:read"}, pinterest.ScopesFor(pinterest.OpPinsGet, pinterest.OpBoardsGet, pinterest.OpPinsGet))
}

func TestMissingScopes(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []pinterest.Scope{"b", "a"}, pinterest.MissingScopes([]pinterest.Scope{"c"}, []pinterest.Scope{"b", "c", "a", "b"}))
	assert.Empty(t, pinterest.MissingScopes([]pinterest.Scope{"a"}, nil))
}

// The constants are the scopes of the official description, no more and no less.
func TestContractScopes(t *testing.T) {
	loadSpec(t) // which skips where there is none
	data, err := os.ReadFile(specPath())
	require.NoError(t, err)
	var spec struct {
		Components struct {
			SecuritySchemes map[string]struct {
				Flows map[string]struct {
					Scopes map[string]string `json:"scopes"`
				} `json:"flows"`
			} `json:"securitySchemes"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal(data, &spec))
	var want []string
	for _, scheme := range spec.Components.SecuritySchemes {
		for _, flow := range scheme.Flows {
			for scope := range flow.Scopes {
				want = append(want, scope)
			}
		}
	}
	slices.Sort(want)

	file, err := parser.ParseFile(token.NewFileSet(), "scope.go", nil, 0)
	require.NoError(t, err)
	var have []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				have = append(have, text)
			}
		}
		return true
	})
	slices.Sort(have)
	assert.Equal(t, slices.Compact(want), have)
	for _, op := range pinterest.Operations() {
		for _, scope := range op.Scopes {
			assert.Contains(t, have, string(scope), op.ID)
		}
	}
}
