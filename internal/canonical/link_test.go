package canonical

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLink(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "https://example.com/a/b?id=1", "https://example.com/a/b?id=1"},
		{"scheme and host", "HTTPS://Example.COM/Path", "https://example.com/Path"},
		{"default ports", "http://example.com:80/a", "http://example.com/a"},
		{"default port of https", "https://example.com:443/a", "https://example.com/a"},
		{"empty port", "https://example.com:/a", "https://example.com/a"},
		{"other port", "https://example.com:8443/a", "https://example.com:8443/a"},
		{"port of the other scheme", "https://example.com:80/a", "https://example.com:80/a"},
		{"user", "https://Me:pa%73s@Example.com/", "https://Me:pass@example.com"},
		{"IPv6", "http://[2001:DB8::1]:80/", "http://[2001:db8::1]"},
		{"no path", "https://example.com", "https://example.com"},
		{"empty path", "https://example.com/", "https://example.com"},
		{"empty path with a query", "https://example.com/?a=1", "https://example.com?a=1"},
		{"slash at the end stays", "https://example.com/a/", "https://example.com/a/"},
		{"double slash stays", "https://example.com//a", "https://example.com//a"},
		{"white space around", " https://example.com/a\n\u200B", "https://example.com/a"},
		{"white space within", "https://example.com/a b", "https://example.com/a%20b"},

		{"hex digits", "https://example.com/%2f%c3%a9", "https://example.com/%2F%C3%A9"},
		{"unreserved", "https://example.com/%41%2d%7Ea", "https://example.com/A-~a"},
		{"raw letters", "https://example.com/café", "https://example.com/caf%C3%A9"},
		{"NFD", "https://example.com/cafe\u0301", "https://example.com/caf%C3%A9"},
		{"escaped NFD", "https://example.com/cafe%CC%81", "https://example.com/caf%C3%A9"},
		{"an accent after an escape", "https://example.com/%3D%CC%87", "https://example.com/=%CC%87"},
		{"delimiters", "https://example.com/a%2Cb%28c%29", "https://example.com/a,b(c)"},
		{"escaped slash is no slash", "https://example.com/a%2Fb", "https://example.com/a%2Fb"},
		{"escaped question mark", "https://example.com/a%3Fb%23c%25d", "https://example.com/a%3Fb%23c%25d"},
		{"no escape", "https://example.com/100%/%zz?a=5%", "https://example.com/100%25/%25zz?a=5%25"},
		{"plus in a path", "https://example.com/a+b%2Bc", "https://example.com/a+b+c"},
		{"ampersand in a path", "https://example.com/a&b", "https://example.com/a%26b"},

		{"order", "https://example.com/?b=2&a=1", "https://example.com?a=1&b=2"},
		{"order of one name", "https://example.com/?b=2&a=2&b=1", "https://example.com?a=2&b=2&b=1"},
		{"space in a query", "https://example.com/?q=a+b%20c", "https://example.com?q=a%20b%20c"},
		{"plus in a query", "https://example.com/?q=a%2Bb", "https://example.com?q=a%2Bb"},
		{"URL in a query", "https://example.com/?u=https://a.b/c?d=e", "https://example.com?u=https%3A%2F%2Fa.b%2Fc%3Fd%3De"},
		{"empty parts", "https://example.com/?&a=1&&b=&c&=&", "https://example.com?a=1&b&c"},
		{"no name", "https://example.com/?=1", "https://example.com?=1"},
		{"empty query", "https://example.com/a?", "https://example.com/a"},
		{"fragment", "https://example.com/a#part%41", "https://example.com/a#partA"},
		{"empty fragment", "https://example.com/a#", "https://example.com/a"},

		{"campaign", "https://example.com/a?utm_source=Pinterest&id=1&utm_medium=organic", "https://example.com/a?id=1"},
		{"only a campaign", "https://example.com/a?UTM_Source=x#b", "https://example.com/a#b"},
		{"clicks", "https://example.com/?epik=a&fbclid=b&gclid=c&msclkid=d&ttclid=e&_gl=f", "https://example.com"},
		{"escaped name", "https://example.com/?utm%5Fsource=a", "https://example.com"},
		{"pin_ stays", "https://example.com/?pin_id=1&pp=0&ref=a&source=b", "https://example.com?pin_id=1&pp=0&ref=a&source=b"},
		{"of the same beginning", "https://example.com/?utm=1&epikal=2", "https://example.com?epikal=2&utm=1"},

		{"escaped ampersand", "https://example.com/?a=1&amp;b=2&#38;c=3&#x26;d=4", "https://example.com?a=1&b=2&c=3&d=4"},
		{"twice", "https://example.com/?a=1&amp;amp;b=2", "https://example.com?a=1&b=2"},
		{"escaped by a template", "https:&#x2F;&#x2F;example.com&#x2F;a?b&#x3D;1", "https://example.com/a?b=1"},
		{"escaped as a whole", "https&colon;//example.com/a", "https://example.com/a"},
		{"quotes", "https://example.com/it&#39;s?q=&quot;a&quot;", "https://example.com/it's?q=%22a%22"},
		{"a parameter like an entity", "https://example.com/?a=1&copy=2&amp=3", "https://example.com?a=1&amp=3&copy=2"},

		{"letters in the host", "https://Bücher.example/", "https://xn--bcher-kva.example"},
		{"already in ASCII", "https://XN--bcher-KVA.example/", "https://xn--bcher-kva.example"},
		{"escaped in the host", "https://b%C3%BCcher.example/", "https://xn--bcher-kva.example"},
		{"NFD in the host", "https://bu\u0308cher.example/", "https://xn--bcher-kva.example"},
		{"full stop of another script", "https://例え。テスト/", "https://xn--r8jz45g.xn--zckzah"},
		{"full width", "https://ｅｘａｍｐｌｅ．com/", "https://example.com"},

		{"no URL", "  just   text ", "just text"},
		{"empty", "", ""},
		{"another scheme", "mailto:A@Example.com", "mailto:A@Example.com"},
		{"no scheme", "Example.com/a", "Example.com/a"},
		{"no host", "https:///a", "https:///a"},
		{"only stops", "https://../a", "https://../a"},
		{"not a port", "https://Example.com:x/", "https://Example.com:x/"},
		{"not a host", "https://Exa mple.com/", "https://Exa mple.com/"},
		{"not an address", "https://[Z]/", "https://[Z]/"},
		{"a host that would have a slash", "https://℀.example/", "https://℀.example/"},
		{"a host that is not UTF-8", "https://%FF/", "https://%FF/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Link(tc.in)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, got, Link(got), "idempotent")
			assert.True(t, SameLink(tc.in, got))
			assert.True(t, SameLink(got, tc.in))
		})
	}
}

func TestPunycode(t *testing.T) {
	for label, want := range map[string]string{
		"bücher":    "bcher-kva",
		"münchen":   "mnchen-3ya",
		"faß":       "fa-hia",
		"☃":         "n3h",
		"президент": "d1abbgf6aiiy",
		"他们为什么不说中文": "ihqwcrb4cv8a8dqg056pqjye",
		"почемужеонинеговорятпорусски":             "b1abfaaepdrnnbgefbadotcwatmq2g4l",
		"porquénopuedensimplementehablarenespañol": "porqunopuedensimplementehablarenespaol-fmd56a",
		"3年b組金八先生":                                 "3b-ww4c5e180e575a65lsy2b",
		"😀a":                                       "a-iv3s",
	} {
		assert.Equal(t, want, punycode([]rune(label)), label)
	}
	_, ok := asciiLabel(strings.Repeat("ü", maxLabel+1))
	assert.False(t, ok, "too long")
}

const sentLink = "https://example.com/Shop/it?id=1&color=red"

func TestRewrittenLinksAreTheSame(t *testing.T) {
	for name, got := range map[string]string{
		"host lower-cased":     "https://example.com/Shop/it?id=1&color=red",
		"host upper-cased":     "HTTPS://EXAMPLE.COM/Shop/it?id=1&color=red",
		"campaign added":       "https://example.com/Shop/it?id=1&color=red&utm_source=Pinterest&utm_medium=organic",
		"click added in front": "https://example.com/Shop/it?epik=dj0yJnU9&id=1&color=red",
		"query reordered":      "https://example.com/Shop/it?color=red&id=1",
		"HTML-escaped":         "https://example.com/Shop/it?id=1&amp;color=red",
		"escaped":              "https://example.com/Shop/%69t?id=%31&color=red",
		"port added":           "https://example.com:443/Shop/it?id=1&color=red",
		"empty fragment":       "https://example.com/Shop/it?id=1&color=red#",
		"spaces around":        " https://example.com/Shop/it?id=1&color=red\r\n",
		"all of it":            " HTTPS://Example.com:443/Sh%6fp/it?utm_source=x&amp;color=red&amp;id=1# ",
	} {
		assert.True(t, SameLink(sentLink, got), name)
		assert.True(t, SameLink(got, sentLink), name)
		assert.True(t, SameTarget(sentLink, got), name)
	}
}

func TestOtherLinksDiffer(t *testing.T) {
	for _, tc := range []struct {
		a, b   string
		target bool
	}{
		{"https://example.com/?id=1", "https://example.com/?id=2", true},
		{"https://example.com/?job=1", "https://example.com/", true},
		{"https://example.com/?job=1", "https://example.com/?job=1&job=1", true},
		{"https://example.com/?id=1", "https://example.com/?ID=1", true},
		{"https://example.com/?id=a", "https://example.com/?id=A", true},
		{"https://example.com/?a=1&a=2", "https://example.com/?a=2&a=1", true},
		{"https://example.com/?a=b%26c", "https://example.com/?a=b&c", true},
		{"https://example.com/?q=a%2Bb", "https://example.com/?q=a+b", true},
		{"https://example.com/?pin_id=1", "https://example.com/?pin_id=2", true},
		{"https://example.com/?ref=1", "https://example.com/", true},
		{"https://example.com/?utm_content=a", "https://example.com/?utm_content=b", true},
		{"https://example.com/?epik=a&utm_term=x", "https://example.com/?utm_term=y", true},
		{"https://example.com/a#1", "https://example.com/a#2", true},
		{"https://example.com/a#1", "https://example.com/a", true},
		{"https://example.com/a", "https://example.com/a/", true},
		{"https://example.com/a", "http://example.com/a", true},
		{"https://example.com/a", "https://www.example.com/a", true},
		{"https://me@example.com/a", "https://you@example.com/a", true},

		{"https://example.com/1", "https://example.com/2", false},
		{"https://example.com/a", "https://example.com/A", false},
		{"https://example.com/a/b", "https://example.com/a%2Fb", false},
		{"https://example.com/a/b", "https://example.com/a", false},
		{"https://example.com/a", "https://example.org/a", false},
		{"https://example.com/a", "https://shop.example.com/a", false},
		{"https://example.com/a", "https://example.com:8443/a", false},
		{"https://bücher.example/", "https://bucher.example/", false},
		{"https://example.com/a", "example.com/a", false},
		{"https://example.com/a", "", false},
		{"", "https://example.com/a", false},
		{"some text", "other text", false},
	} {
		assert.False(t, SameLink(tc.a, tc.b), "%q", tc)
		assert.False(t, SameLink(tc.b, tc.a), "%q", tc)
		assert.Equal(t, tc.target, SameTarget(tc.a, tc.b), "%q", tc)
		assert.Equal(t, tc.target, SameTarget(tc.b, tc.a), "%q", tc)
	}
}

func TestSameTargetOfNothing(t *testing.T) {
	assert.False(t, SameTarget("", ""))
	assert.False(t, SameTarget(" ", "\u200B"))
	assert.True(t, SameTarget("not  a link", "not a link "))
	assert.True(t, SameTarget("https://example.com", "https://example.com/?a=1"))
}

func TestTrackingParametersMayBeAddedOrDropped(t *testing.T) {
	const link = "https://example.com/?id=1"
	assert.True(t, SameLink(link, link+"&utm_source=a"))
	assert.True(t, SameLink(link+"&utm_source=a", link))
	assert.True(t, SameLink(link+"&utm_source=a", link+"&epik=x&utm_source=a"))
	assert.True(t, SameLink(link+"&epik=x", link+"&fbclid=y"), "one dropped, another added")
	assert.False(t, SameLink(link+"&utm_source=a", link+"&utm_source=b"))
	assert.False(t, SameLink(link+"&utm_source=a", link+"&utm_source=a&utm_source=b"))
}

func BenchmarkSameLink(b *testing.B) {
	for _, bm := range []struct{ name, got string }{
		{"equal", strings.Clone(sentLink)},
		{"rewritten", "https://EXAMPLE.com/Shop/it?color=red&amp;id=1&utm_source=x"},
		{"differing", "https://example.com/Shop/it?id=2&color=red"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = SameLink(sentLink, bm.got)
			}
		})
	}
}

func BenchmarkSameTarget(b *testing.B) {
	for _, bm := range []struct{ name, got string }{
		{"equal", strings.Clone(sentLink)},
		{"differing", "https://example.com/Shop/other?id=2&color=red"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = SameTarget(sentLink, bm.got)
			}
		})
	}
}
