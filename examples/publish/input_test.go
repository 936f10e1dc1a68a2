package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCSVAndJSONAreTheSame(t *testing.T) {
	table, err := os.ReadFile("sample.csv")
	require.NoError(t, err)
	fromCSV, err := parseInput("sample.csv", append([]byte("\xef\xbb\xbf"), table...))
	require.NoError(t, err)
	assert.Len(t, fromCSV.rows, 12)
	assert.Equal(t, sampleRows(t), fromCSV.rows)
	assert.Equal(t, sampleRows(t)[0].key(), fromCSV.rows[0].key())
}

func TestMistakesInAFile(t *testing.T) {
	long := strings.Repeat("x", 101)
	for name, tt := range map[string]struct {
		content string
		want    []string
	}{
		"all at once": {
			`[{"title": "` + long + `", "image_url": "https://a.example/1.jpg", "link": "shop"},
			  {"title": "fine", "image_url": "https://a.example/2.jpg"},
			  {"titel": "b", "alt_text": 7},
			  "c"]`,
			[]string{
				"6 problems; nothing was sent",
				"f, row 1: title must have at most 100 characters, has 101 (got \"xxx",
				"f, row 1: link must be an absolute URL",
				"f, row 3: unknown field \"titel\" (known are title, description,",
				"f, row 3: alt_text must be a text, is 7",
				"f, row 3: image_url is required",
				"f, row 4: must be an object, is \"c\"",
			},
		},
		"image":            {`[{"image_url": "ftp://a.example/1.jpg"}]`, []string{`f, row 1: image_url must be an http or https URL (got "ftp://a.example/1.jpg")`}},
		"unknown column":   {"title,imageurl,pic\na,b,c\n", []string{`unknown column "imageurl", "pic" (known are`}},
		"column twice":     {"title,title\na,b\n", []string{`the column "title" is there twice`}},
		"semicolons":       {"title;image_url\na;b\n", []string{"not separated by commas"}},
		"ragged":           {"title,image_url\na\nb,https://a.example/1.jpg,c\n", []string{"f, row 1: has 1 column where the header has 2 (line 2)", "f, row 2: has 3 columns"}},
		"quote":            {"title,image_url\n\"a,b\n", []string{"cannot be read", "line 2"}},
		"not an array":     {`{"title": "a"}`, []string{"must be an array of objects"}},
		"cut off":          {"[\n{\"title\": \"a\",", []string{"line 2: unexpected end of JSON input"}},
		"syntax":           {"[\n{\"title\": \"a\"},\n{title: 1}]", []string{"line 3: invalid character"}},
		"something behind": {"[]\n[]", []string{"line 2: invalid character '[' after top-level value"}},
		"no rows":          {"title,image_url\n", []string{"has no pins"}},
		"empty":            {" \n", []string{"is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseInput("f", []byte(tt.content))
			require.Error(t, err)
			for _, want := range tt.want {
				assert.Contains(t, err.Error(), want)
			}
		})
	}
}

func TestInvalidRowsSendNothing(t *testing.T) {
	b := newBench(t)
	b.write(`[{"image_url": "https://a.example/1.jpg"}, {"title": "no image"}]`)
	res := b.run(t.Context())
	assert.Equal(t, exitUsage, res.status, res)
	assert.Contains(t, res.err, "row 2: image_url is required")
	assert.Zero(t, b.srv.Count(""))
	assert.NoFileExists(t, b.resultsPath())
}

func TestDuplicateRows(t *testing.T) {
	b := newBench(t)
	b.write("title,image_url\na,https://a.example/1.jpg\nb,https://a.example/1.jpg\na,https://a.example/1.jpg\na,https://a.example/2.jpg\n")
	res := b.run(t.Context())
	assert.Equal(t, exitDone, res.status, res)
	notes := strings.Join(strings.Fields(res.err), " ")
	assert.Contains(t, notes, "row 3 is the same as row 1: it is published once")
	assert.Contains(t, notes, "row 4 differs from row 1 in its image alone")
	assert.Len(t, b.titles(), 3)
}

func TestUnusableFiles(t *testing.T) {
	b := newBench(t)
	res := b.command(t.Context(), "", "-board", b.board.ID, filepath.Join(t.TempDir(), "missing.json"))
	assert.Equal(t, exitUsage, res.status)
	assert.Contains(t, res.err, "missing.json: no such file")

	for name, path := range map[string]string{
		"no folder": filepath.Join(t.TempDir(), "none", "r.json"),
		"a folder":  t.TempDir(),
	} {
		res = b.run(t.Context(), "-results", path)
		assert.Equal(t, exitUsage, res.status, name)
		assert.Contains(t, res.err, "the results file cannot be", name)
	}

	require.NoError(t, os.WriteFile(b.resultsPath(), []byte("{"), 0o600))
	res = b.run(t.Context())
	assert.Equal(t, exitUsage, res.status)
	assert.Contains(t, res.err, "is damaged")
	require.NoError(t, os.WriteFile(b.resultsPath(), []byte(`{"version": 2}`), 0o600))
	res = b.run(t.Context())
	assert.Equal(t, exitUsage, res.status)
	assert.Contains(t, res.err, "has version 2")
	assert.Zero(t, b.creates())
}

func TestTwoRunsAtOnce(t *testing.T) {
	b := newBench(t)
	other, err := openResults(b.resultsPath(), false)
	require.NoError(t, err)
	res := b.run(t.Context())
	assert.Equal(t, exitUsage, res.status)
	assert.Contains(t, res.err, "another run is working on this file")
	assert.Zero(t, b.creates())
	other.close()
	res = b.run(t.Context())
	assert.Equal(t, exitDone, res.status, res)
	assert.NoFileExists(t, b.resultsPath()+".lock")
}

func TestUsage(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-nonsense"}, "not defined: -nonsense"},
		{[]string{"-parallel", "0", b.file}, "-parallel must be from 1 to 32"},
		{[]string{"-grace", "-1s", b.file}, "-grace must not be negative"},
		{[]string{b.file, "-check"}, "flags come before the file"},
		{[]string{"-sandbox", b.file}, "exclude each other"},
		{[]string{"-board", "1"}, "which file?"},
		{nil, "which file?"},
		{[]string{"-board", "1", "-"}, "add -results"},
		{[]string{b.file}, "which board? Give its id with -board. The account's boards:\n  " + b.board.ID + "   Kitchens (0 pins)"},
		{[]string{"-board", "Kitchens", b.file}, "-board takes the numeric id of a board, not \"Kitchens\". The account's boards:"},
		{[]string{"-board", "99", b.file}, "there is no board 99. The account's boards:"},
	} {
		res := b.command(t.Context(), "", tt.args...)
		assert.Equal(t, exitUsage, res.status, tt.args)
		assert.Contains(t, res.err, tt.want, tt.args)
		assert.Empty(t, res.out, tt.args)
	}
	assert.Zero(t, b.creates())

	delete(b.env, "PINTEREST_ACCESS_TOKEN")
	res := b.run(t.Context())
	assert.Equal(t, exitUsage, res.status)
	assert.Contains(t, res.err, "PINTEREST_ACCESS_TOKEN is not set")
}

func TestHelpAndCheck(t *testing.T) {
	b := newBench(t)
	res := b.command(t.Context(), "", "-h")
	assert.Equal(t, exitDone, res.status)
	for _, want := range []string{"Usage:", "Examples:", "Exit status:", "-parallel n", "PINTEREST_ACCESS_TOKEN"} {
		assert.Contains(t, res.out, want)
	}
	for _, f := range fields {
		assert.Contains(t, res.out, "\n  "+f.name+" ")
	}
	assert.Empty(t, res.err)

	res = b.command(t.Context(), string(sample), "-check", "-")
	assert.Equal(t, exitDone, res.status)
	assert.Contains(t, res.out, "stdin: 12 pins, nothing wrong")
	assert.Zero(t, b.srv.Count(""))
}

func TestStandardInput(t *testing.T) {
	b := newBench(t)
	res := b.command(t.Context(), string(sample), "-board", b.board.ID, "-results", b.resultsPath(), "-")
	assert.Equal(t, exitDone, res.status, res)
	assert.Len(t, b.titles(), 12)
}

func TestTokenRefusedBeforeAnythingIsSent(t *testing.T) {
	b := newBench(t)
	b.srv.ExpireAllTokens()
	res := b.run(t.Context())
	assert.Equal(t, exitSome, res.status)
	assert.Contains(t, res.err, "nothing was sent")
	assert.Contains(t, res.err, "Get a new access token")
	assert.Zero(t, b.creates())
}

func TestText(t *testing.T) {
	assert.Equal(t, "a b", printable(" a\n\tb\x1b "))
	assert.Equal(t, "ab   ", fit("ab", 5))
	assert.Equal(t, "abcd…", fit("abcdef", 5))
	assert.Equal(t, "日本… ", fit("日本語です", 6))
	assert.Equal(t, []string{"one two", "three"}, wrap("one two  three", 8))
	assert.Equal(t, "日 本", printable("日\u2028本"))
}
