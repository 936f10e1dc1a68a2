package canonical

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "A quiet room", "A quiet room"},
		{"empty", "", ""},
		{"only space", " \t\r\n\u00A0\u200B", ""},
		{"trimmed", "  a b\n", "a b"},
		{"spaces", "a  b   c", "a b c"},
		{"tabs and lines", "a\tb\nc\r\nd\re\v\ff", "a b c d e f"},
		{"spaces of Unicode", "a\u00A0b\u2003c\u3000d\u2028e\u2029f\u0085g\u202Fh", "a b c d e f g h"},
		{"zero width", "\uFEFFa\u200Bb\u2060c\u00ADd", "abcd"},
		{"zero width among spaces", "a \u200B b", "a b"},
		{"zero width before an accent", "e\u200B\u0301", "é"},
		{"direction marks", "\u202Aabc\u202C\u200E", "abc"},
		{"control characters", "a\x00b\x1Fc\x7Fd\u0081e", "abcde"},
		{"NFD", norm.NFD.String("Café à Zürich, 한국어"), "Café à Zürich, 한국어"},
		{"compatibility forms stay", "ﬁ ² Ⅳ", "ﬁ ² Ⅳ"},
		{"variation selector", "❤\uFE0F", "❤"},
		{"joined emoji", "👩\u200D💻", "👩💻"},
		{"flags of countries stay", "🏴\U000E0067\U000E0062", "🏴\U000E0067\U000E0062"},
		{"invalid UTF-8", "a\xFFb", "a\uFFFDb"},
		{"invalid UTF-8, twice as in JSON", "a\xFF\xFEb", "a\uFFFD\uFFFDb"},

		{"named entities", "a &amp; b &lt;i&gt; &quot;c&quot; &eacute;", `a & b <i> "c" é`},
		{"numeric entities", "it&#39;s it&#x27;s it&#X27;s &#038; &#128512;", "it's it's it's & 😀"},
		{"no-break space", "a&nbsp;b&#160;&#xA0;c", "a b c"},
		{"escaped zero width", "a&#8203;b", "ab"},
		{"escaped accent", "e&#769;", "é"},
		{"escaped line end", "a&#13;&#10;b", "a b"},
		{"twice escaped", "a &amp;amp; b &amp;lt;", "a & b <"},
		{"semicolons", "a&semi;b&#59;c;", "a;b;c;"},
		{"more often than that", "a &amp;amp;amp; b", "a &amp;amp;amp; b"},
		{"made by what is dropped", "a &a\u200Bmp; b", "a & b"},
		{"made by NFC", "a &amp\u037E b", "a & b"},
		{"no entities", "R&D & AT&T; &; &#; &#x; &no; &notit; a&b;", "R&D & AT&T; &; &#; &#x; &no; &notit; a&b;"},
		{"without a semicolon", "?a=1&copy=2&para &amp", "?a=1&copy=2&para &amp"},
		{"longest name", "&CounterClockwiseContourIntegral;", "∳"},
		{"too long", "&" + strings.Repeat("a", 50) + ";", "&" + strings.Repeat("a", 50) + ";"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Text(tc.in)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, got, Text(got), "idempotent")
		})
	}
}

// pieces are strings that Text and Link rewrite, and their parts.
var pieces = []string{
	" ", "  ", "\t", "\r\n", "\r", "\n", "\u00A0", "\u2003", "\u200B", "\uFEFF", "\u200D", "\u00AD", "\x00", "\x7F", "\xFF", "\uFFFD",
	"&", "&amp;", "&amp;amp;", "amp;", "&lt;", "&nbsp;", "&#38;", "&#x26;", "&#8203;", "&#97;", "&#769;", "&#0;", "&#", "x26", ";", "\u037E", "&semi;",
	"e", "é", "\u0301", "\u0338", "=", "\u0327", "ß", "İ", "ſ", "\u1FEF", "\u212A", "한", "\u1100", "\u1161", "😀", "🏴\U000E0067",
	"http://", "HTTPS://", "https:", "example.com", "EXAMPLE.com.", "bücher", "。", "@", ":", ":80", ":443", ":0", "[::1]", "/", "//", "..", "?", "#",
	"a=1", "b=2", "utm_source=x", "UTM_a", "epik", "%", "%2", "%2f", "%2B", "%41", "%cc%81", "%C3%A9", "%26", "%3D", "%ff", "%CD%BE", "%3B", "+",
	"...", "…", "A", "word", ".", "-", "\u200E", "\uFE0F", "℀", "ℌ", "１",
}

// anyString draws strings of such pieces, and any others.
func anyString() *rapid.Generator[string] {
	ofPieces := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), "")
	})
	url := rapid.Custom(func(t *rapid.T) string { return "https://example.com/" + ofPieces.Draw(t, "rest") })
	return rapid.OneOf(ofPieces, url, rapid.String())
}

func TestIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyString().Draw(t, "s")
		checkForms(t, s)
	})
}

// checkForms checks what holds for the canonical forms of any string.
func checkForms(t assert.TestingT, s string) {
	text, link := Text(s), Link(s)
	assert.Equal(t, text, Text(text), "Text is idempotent")
	assert.Equal(t, link, Link(link), "Link is idempotent")
	assert.NotContains(t, text, "  ")
	assert.Equal(t, strings.TrimSpace(text), text)
	assert.True(t, SameText(s, text), "the canonical form is the same text")
	assert.True(t, SameLink(s, link), "the canonical form is the same link")
}

// Package norm breaks up long runs of combining characters.
func TestIdempotentForManyAccents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.SliceOfN(rapid.SampledFrom([]string{"\u0301", "\u0327", "\u0338", "\u0345", "\u3099", "\u05B0", "a"}), 25, 90)
		s := "e" + strings.Join(marks.Draw(t, "marks"), "")
		checkForms(t, s)
		checkForms(t, "https://example.com/"+s+"?"+s)
	})
}

func TestTextOfUnchangedTextAllocatesNothing(t *testing.T) {
	for _, s := range []string{"A quiet room, & all", "Ein ruhiger Raum für Bücher", "静かな部屋 😀"} {
		assert.Zero(t, testing.AllocsPerRun(100, func() { Text(s) }), s)
	}
}

// rewritings are what an API does to a text, by name.
var rewritings = map[string]func(string) string{
	"spaces collapsed":      func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"trimmed":               strings.TrimSpace,
	"HTML-escaped":          strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace,
	"escaped by a template": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#x22;", "'", "&#x27;", "/", "&#x2F;").Replace,
	"LF":                    strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace,
	"CRLF":                  func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n") },
	"one line":              strings.NewReplacer("\r\n", " ", "\n", " ").Replace,
	"NFD":                   norm.NFD.String,
	"NFC":                   norm.NFC.String,
	"no zero width":         strings.NewReplacer("\u200B", "", "\uFEFF", "").Replace,
	"no-break spaces":       strings.NewReplacer(" ", "\u00A0").Replace,
}

func TestRewrittenTextsAreTheSame(t *testing.T) {
	for _, s := range []string{
		"A quiet room",
		"  Tea & cake   <3  \"for two\"\r\n\r\nit's 10% off / today\n",
		"Café à Zürich\u200B\n한국어 e\u0301",
		"Salt&Pepper;  & more",
		"❤\uFE0F 👩\u200D💻",
	} {
		for name, rewrite := range rewritings {
			assert.True(t, SameText(s, rewrite(s)), "%s: %q, %q", name, s, rewrite(s))
			assert.True(t, SameText(rewrite(s), s), "%s, the other way: %q", name, s)
			assert.True(t, Resembles(s, rewrite(s)), "%s: %q", name, s)
			for other, again := range rewritings {
				assert.True(t, SameText(s, again(rewrite(s))), "%s, then %s: %q", name, other, s)
			}
		}
	}
}

func TestRewrittenTextsAreTheSameProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{
			"tea", "&", "<b>", "Zürich", "e\u0301", "'", "\r\n", "\n", "  ", " ", "\u200B", "\t", "10%", "한", "😀",
		}), 0, 20).Draw(t, "words")
		s := strings.Join(words, "")
		got := s
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{
			"spaces collapsed", "HTML-escaped", "CRLF", "LF", "NFD", "no zero width", "no-break spaces",
		}), 0, 3).Draw(t, "rewritings") {
			if name == "HTML-escaped" && strings.Contains(got, ";") {
				continue // once
			}
			got = rewritings[name](got)
		}
		assert.True(t, SameText(s, got), "%q, %q", s, got)
	})
}
