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
	"time"

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

func TestScopesAreCheckedBeforeSending(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		granted []pinterest.Scope
		opts    []pinterest.Option
		missing string
	}{
		"one is missing":       {[]pinterest.Scope{"boards:read"}, nil, "pins:read"},
		"all are missing":      {[]pinterest.Scope{}, nil, "boards:read,pins:read"},
		"none is missing":      {[]pinterest.Scope{"boards:read", "pins:read"}, nil, ""},
		"it is not known":      {nil, nil, ""},
		"nobody wants to know": {[]pinterest.Scope{"ads:read"}, []pinterest.Option{pinterest.WithoutScopeCheck()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always())
			tok := oldToken()
			tok.Scopes = tt.granted
			err := get(t.Context(), shop(storedApp(t, s, newTokenStore(t, tok), tt.opts...)))
			if tt.missing == "" {
				require.NoError(t, err)
				return
			}
			e := failure(t, err)
			require.ErrorIs(t, err, pinterest.ErrMissingScope)
			assert.Equal(t, tt.missing, e.RequiredScope)
			assert.Equal(t, fix, e.Disposition)
			assert.Empty(t, s.kinds())
		})
	}
}

// An owner who connects again to give more is heard of, whichever process it was.
func TestScopeThatIsGivenLater(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	tok := oldToken()
	tok.Scopes = []pinterest.Scope{"boards:read"}
	store := newTokenStore(t, tok)
	app := storedApp(t, s, store)
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrMissingScope)
	_, err := store.MemoryTokenStore.Save(t.Context(), "shop-1", &pinterest.Token{
		AccessToken: newAccess, RefreshToken: newRefresh, Scopes: []pinterest.Scope{"boards:read", "pins:read"}, Version: store.stored(t).Version,
	})
	require.NoError(t, err)
	s.clock.advance(2 * time.Second)
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, []string{"Bearer " + newAccess}, s.bearers())
}
