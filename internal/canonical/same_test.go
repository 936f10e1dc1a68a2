package canonical

import (
	"html"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestOtherTextsDiffer(t *testing.T) {
	for _, tc := range [][2]string{
		{"A quiet room", "A quiet house"},
		{"A quiet room", "A quiet room."},
		{"A quiet room", "a quiet room"},
		{"A quiet room", "Aquiet room"},
		{"Not for sale", "For sale"},
		{"Pin 1", "Pin 2"},
		{"Pin 1", "Pin 11"},
		{"Size 10", "Size 1 0"},
		{"+5 °C", "-5 °C"},
		{"a < b", "a > b"},
		{"a & b", "a b"},
		{"10% off", "10 off"},
		{"10 €", "10 $"},
		{"x²", "x2"},
		{"resume", "résumé"},
		{"schon", "schön"},
		{"a = b", "a ≠ b"},
		{"😀", "😃"},
		{"🏴\U000E0067\U000E0062\U000E0065", "🏴\U000E0067\U000E0062\U000E0073"},
		{"", "x"},
		{"x", ""},
		{"x", " "},
		{"&lt;", "&gt;"},
		{"&lt", "<"},
	} {
		assert.False(t, SameText(tc[0], tc[1]), "%q", tc)
		assert.False(t, SameText(tc[1], tc[0]), "%q", tc)
		assert.False(t, SameText(tc[0], tc[1], 1, 100, 500), "short texts are not truncated: %q", tc)
		assert.False(t, SameLink(tc[0], tc[1]), "%q", tc)
	}
}

func TestNothingIsTheSameAsNothing(t *testing.T) {
	assert.True(t, SameText("", "", 1))
	assert.True(t, SameText(" \u200B", ""), "neither has content")
	assert.False(t, SameText(strings.Repeat("a", 600), "", 500))
	assert.False(t, SameText(strings.Repeat("a", 600), "...", 500, 3))
	assert.False(t, SameText("abcd", "…", 1), "all was cut off")
}

// sentence is a text of n characters with words of different lengths.
func sentence(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Repeat(string(rune('a'+i%26)), 1+i*7%9))
		b.WriteByte(' ')
	}
	s := b.String()[:n]
	if s[n-1] == ' ' {
		s = s[:n-1] + "."
	}
	return s
}

func TestTruncated(t *testing.T) {
	long := sentence(800)
	accents := strings.Repeat("Café für ", 90)
	amps := strings.Repeat("a & b ", 130)
	emoji := strings.Repeat("😀", 400)
	wide := "a  b\r\n" + strings.Repeat("c  d  ", 133)
	word := long[:500]
	word = word[:strings.LastIndexByte(word, ' ')]
	utf16Cut := func(s string, n int) string { return string(utf16.Decode(utf16.Encode([]rune(s))[:n])) }
	runes := func(s string, n int) string { return string([]rune(s)[:n]) }

	for _, tc := range []struct {
		name, sent, got string
		limits          []int
		want            bool
	}{
		{"at the limit", long, long[:500], []int{500}, true},
		{"with an ellipsis after it", long, long[:500] + "…", []int{500}, true},
		{"with dots after it", long, long[:500] + "...", []int{500}, true},
		{"with an ellipsis within it", long, long[:499] + "…", []int{500}, true},
		{"with dots within it", long, long[:497] + "...", []int{500}, true},
		{"with a space before it", long, word + " …", []int{500}, true},
		{"after a word", long, word, []int{500}, true},
		{"after a word, with dots", long, word + "...", []int{500}, true},
		{"one of several limits", long, long[:500], []int{250, 500, 800}, true},
		{"no limit", long, long[:500], nil, false},
		{"another limit", long, long[:500], []int{250}, false},
		{"limits that are none", long, long[:500], []int{0, -1}, false},
		{"shorter than the limit", long, long[:400], []int{500}, false},
		{"shorter, with an ellipsis", long, long[:400] + "…", []int{500}, false},
		{"longer than the limit", long, long[:505], []int{500}, false},
		{"sent is not longer than the limit", long[:500], long[:499], []int{500}, false},
		{"sent is not longer, with dots", long[:500], long[:497] + "...", []int{500}, false},
		{"the other way round", long[:500], long, []int{500}, false},
		{"another word in it", long, strings.Replace(long, "cccc", "dddd", 1)[:500], []int{500}, false},
		{"another last character", long, long[:499] + "_", []int{500}, false},
		{"another last character and an ellipsis", long, long[:498] + "_…", []int{500}, false},
		{"one character over, an ellipsis after", long[:499] + "zz", long[:499] + "z…", []int{500}, true},

		{"NFD, cut after", accents, runes(norm.NFD.String(accents), 500), []int{500}, true},
		{"NFD, an accent cut off", strings.Repeat("é", 600), runes(norm.NFD.String(strings.Repeat("é", 600)), 501), []int{501}, true},
		{"cut before NFD", accents, norm.NFD.String(runes(accents, 500)), []int{500}, true},
		{"cut before escaping", amps, html.EscapeString(amps[:500]), []int{500}, true},
		{"cut after escaping", amps, html.EscapeString(amps)[:500], []int{500}, true},
		{"cut within an entity", amps, html.EscapeString(amps)[:495], []int{495}, true},
		{"cut within an entity, with dots", amps, html.EscapeString(amps)[:495] + "...", []int{495}, true},
		{"cut within an entity of a twice escaped text", amps, html.EscapeString(html.EscapeString(amps))[:500], []int{500}, true},
		{"cut before folding", wide, strings.Join(strings.Fields(wide[:500]), " "), []int{500}, true},
		{"cut after folding", wide, strings.Join(strings.Fields(wide), " ")[:300], []int{300}, true},
		{"folded, but not to the limit", wide, strings.Join(strings.Fields(wide[:300]), " "), []int{500}, false},
		{"in UTF-16", emoji, utf16Cut(emoji, 500), []int{500}, true},
		{"in UTF-16, a character cut in two", emoji, utf16Cut(emoji, 501), []int{501}, true},
		{"in characters", emoji, runes(emoji, 300), []int{300}, true},
		{"a title", sentence(120), sentence(120)[:100], []int{100}, true},
		{"half a title", sentence(120), sentence(120)[:50], []int{100}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.want, SameText(tc.sent, tc.got, tc.limits...), "%q\n%q", tc.sent, tc.got)
		})
	}
}

func TestTruncatedProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"tea", " ", "&", "<b>", "Zürich", "e\u0301", "\r\n", "  ", "1", "한국어", ".",
		}), 60, 200).Draw(t, "words"), "")
		limit := rapid.IntRange(40, 80).Draw(t, "limit")
		mark := rapid.SampledFrom([]string{"", "…", "..."}).Draw(t, "mark")
		rewrite := rewritings[rapid.SampledFrom([]string{"trimmed", "HTML-escaped", "NFD", "NFC", "spaces collapsed", "LF"}).Draw(t, "rewriting")]
		cut := func(s string) string { return string([]rune(s)[:min(limit, len([]rune(s)))]) }
		if text := []rune(Text(sent)); len(text) <= limit+4 || strings.Trim(string(text[:limit]), " .") == "" {
			t.Skip("nothing is cut")
		}
		assert.True(t, SameText(sent, rewrite(cut(sent)+mark), limit), "cut, then rewritten: %q", sent)
		if got := rewrite(sent); len([]rune(got)) > limit {
			assert.True(t, SameText(sent, cut(got)+mark, limit), "rewritten, then cut: %q", sent)
		}
	})
}

func TestResembles(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"A quiet room", "a QUIET room", true},
		{"A quiet room", "A quiet room!", true},
		{"“Tea”, it’s good…", `"Tea", it's good...`, true},
		{"a - b", "a b", true},
		{"ΟΔΟΣ", "οδος", true},
		{"Tea &amp; cake", "tea & Cake", true},
		{"A quiet room with a view", "A quiet room with a view of the sea", true},
		{"A quiet room with a vi…", "A quiet room with a view", true},
		{"12345678901234567890", "12345678901234567890 and more", true},
		{"1234567890123456789", "1234567890123456789 and more", false},
		{"A quiet room", "A quiet room with a view", false},
		{"A quiet room", "A quiet house", false},
		{"Pin 1", "Pin 2", false},
		{"+5", "-5", false},
		{"!!!", "???", false},
		{"!!!", "!!!", true},
		{"!!!", " !!! ", true},
		{"", "", false},
		{" ", " ", false},
		{" ", "\u200B", false},
		{"&nbsp;", "&nbsp;", false},
		{"", "x", false},
	} {
		assert.Equal(t, tc.want, Resembles(tc.a, tc.b), "%q", tc)
		assert.Equal(t, tc.want, Resembles(tc.b, tc.a), "%q", tc)
	}
}

// checkPair checks what holds of any two strings.
func checkPair(t assert.TestingT, a, b string, limit int) {
	assert.True(t, SameText(a, a, limit))
	assert.True(t, SameLink(a, a))
	assert.Equal(t, Text(a) != "", SameTarget(a, a), "SameTarget of itself")
	assert.Equal(t, Text(a) != "", Resembles(a, a), "Resembles of itself")

	same := SameText(a, b)
	assert.Equal(t, same, SameText(b, a), "SameText is symmetric without limits")
	assert.Equal(t, same, Text(a) == Text(b))
	link := SameLink(a, b)
	assert.Equal(t, link, SameLink(b, a), "SameLink is symmetric")
	assert.Equal(t, SameTarget(a, b), SameTarget(b, a), "SameTarget is symmetric")
	assert.Equal(t, Resembles(a, b), Resembles(b, a), "Resembles is symmetric")

	limited := SameText(a, b, limit)
	if same {
		assert.True(t, limited, "a limit takes nothing away")
		assert.Equal(t, Text(a) != "", Resembles(a, b), "the same text resembles")
	}
	if link {
		assert.Equal(t, Link(a), Link(b))
		assert.Equal(t, Text(a) != "", SameTarget(a, b), "the same link has the same target")
	}
	if (Text(a) == "") != (Text(b) == "") {
		assert.False(t, limited || link || SameTarget(a, b) || Resembles(a, b), "nothing is not something")
	}
}

func TestPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyString().Draw(t, "a")
		b := rapid.OneOf(anyString(), rapid.Just(Text(a)), rapid.Just(Link(a)), rapid.Just(html.EscapeString(a)),
			rapid.Just(a+"?utm_source=x"), rapid.Just(a+"…")).Draw(t, "b")
		checkPair(t, a, b, rapid.IntRange(-1, 100).Draw(t, "limit"))
	})
}

func TestEqualStringsAllocateNothing(t *testing.T) {
	text, link := "Ein ruhiger Raum für Bücher & Tee", "https://example.com/räume/1?id=2&a=1"
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = SameText(text, text, 500, 800) && SameLink(link, link) && SameTarget(link, link) && Resembles(text, text)
	}))
}

func FuzzForms(f *testing.F) {
	for _, s := range pieces {
		f.Add(s)
		f.Add("https://example.com/" + s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkForms(t, s) })
}

func FuzzPairs(f *testing.F) {
	f.Add("a b", "a  b", 3)
	f.Add("https://example.com/a?b=1", "HTTPS://Example.com/a?b=1&utm_source=x", 0)
	f.Add(sentence(60), sentence(60)[:50]+"…", 50)
	f.Fuzz(checkFuzzedPair)
}

func checkFuzzedPair(t *testing.T, a, b string, limit int) { checkPair(t, a, b, limit) }

var sink bool

func BenchmarkSameText(b *testing.B) {
	sent := sentence(800)
	for _, bm := range []struct{ name, got string }{
		{"equal", strings.Clone(sent)},
		{"rewritten", html.EscapeString(strings.ReplaceAll(sent, " ", "  "))},
		{"truncated", sent[:500]},
		{"differing", "Another " + sent[8:]},
		{"differing at the end", sent[:799] + "!"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = SameText(sent, bm.got, 800, 500)
			}
		})
	}
}

func BenchmarkResembles(b *testing.B) {
	sent := sentence(800)
	for _, bm := range []struct{ name, other string }{
		{"equal", strings.Clone(sent)},
		{"differing", "Another " + sent[8:]},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = Resembles(sent, bm.other)
			}
		})
	}
}
