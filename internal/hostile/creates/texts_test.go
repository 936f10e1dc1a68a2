package creates_test

import (
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"sort"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/pinterest-go/pinterest"
)

// rewriting is a form in which texts come back.
type rewriting struct {
	name  string
	named bool // the issue names it: of these, one in ten may end uncertain
	item  func(item map[string]any, rnd *rand.Rand)
}

// eachText rewrites the texts of an item.
func eachText(f func(string) string) func(map[string]any, *rand.Rand) {
	return func(item map[string]any, _ *rand.Rand) {
		for _, field := range []string{"title", "description", "alt_text"} {
			if v, ok := item[field].(string); ok && v != " " {
				item[field] = f(v)
			}
		}
	}
}

// theLink rewrites the link of an item.
func theLink(f func(u *url.URL, rnd *rand.Rand)) func(map[string]any, *rand.Rand) {
	return func(item map[string]any, rnd *rand.Rand) {
		if v, ok := item["link"].(string); ok {
			if u, err := url.Parse(v); err == nil {
				f(u, rnd)
				item["link"] = u.String()
			}
		}
	}
}

func cut(v string, n int) string {
	if runes := []rune(v); len(runes) > n {
		return string(runes[:n])
	}
	return v
}

var rewritings = []rewriting{
	{"spaces collapsed", true, eachText(func(v string) string { return strings.Join(strings.Fields(v), " ") })},
	{"HTML-escaped", true, eachText(html.EscapeString)},
	{"host lower-cased", true, theLink(func(u *url.URL, _ *rand.Rand) { u.Host = strings.ToLower(u.Host) })},
	{"utm added", true, theLink(func(u *url.URL, rnd *rand.Rand) {
		added := []string{"utm_source=Pinterest", "utm_source=Pinterest&utm_medium=organic", "utm_medium=social&utm_campaign=x&utm_content=y&utm_term=z"}
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+added[rnd.IntN(len(added))], "&")
	})},
	{"query reordered", true, theLink(func(u *url.URL, _ *rand.Rand) {
		parts := strings.Split(u.RawQuery, "&")
		sort.Strings(parts)
		u.RawQuery = strings.Join(parts, "&")
	})},
	{"CRLF to LF", true, eachText(func(v string) string { return strings.ReplaceAll(v, "\r\n", "\n") })},
	{"NFD", true, eachText(norm.NFD.String)},
	{"truncated", true, func(item map[string]any, _ *rand.Rand) {
		if v, ok := item["description"].(string); ok {
			item["description"] = cut(v, 500) // the API's limit before 5.12
		}
	}},
	{"alt text null", true, func(item map[string]any, _ *rand.Rand) { item["alt_text"] = nil }},

	{"NFC", false, eachText(norm.NFC.String)},
	{"CRLF to spaces", false, eachText(func(v string) string { return strings.ReplaceAll(v, "\r\n", " ") })},
	{"escaped in decimal", false, eachText(func(v string) string {
		return strings.NewReplacer("&", "&#38;", `"`, "&#34;", "'", "&#39;", "<", "&#60;").Replace(v)
	})},
	{"escaped twice", false, eachText(func(v string) string { return html.EscapeString(html.EscapeString(v)) })},
	{"non-breaking spaces", false, eachText(func(v string) string { return strings.ReplaceAll(v, " ", "\u00a0") })},
	{"truncated with an ellipsis", false, func(item map[string]any, _ *rand.Rand) {
		if v, ok := item["description"].(string); ok && len(v) > 200 {
			item["description"] = cut(v, 197) + "..."
		}
	}},
	{"title truncated", false, func(item map[string]any, _ *rand.Rand) {
		if v, ok := item["title"].(string); ok {
			item["title"] = cut(v, 20)
		}
	}},
	{"title null", false, func(item map[string]any, _ *rand.Rand) { item["title"] = nil }},
	{"description blank", false, func(item map[string]any, _ *rand.Rand) { item["description"] = " " }},
	{"link null", false, func(item map[string]any, _ *rand.Rand) { item["link"] = nil }},
	{"slash added to the path", false, theLink(func(u *url.URL, _ *rand.Rand) { u.Path = strings.TrimSuffix(u.Path, "/") + "/" })},
	{"https for http", false, theLink(func(u *url.URL, _ *rand.Rand) { u.Scheme = "https" })},
	{"fragment dropped", false, theLink(func(u *url.URL, _ *rand.Rand) { u.Fragment = "" })},
	{"tags stripped, emoji dropped", false, eachText(func(v string) string {
		return strings.NewReplacer("<b>", "", "</b>", "", "🪵", "").Replace(v)
	})},
	{"title-cased", false, eachText(strings.ToUpper)},
}

// rich is an intent whose texts every rewriting changes.
func (w *world) rich(name string) pinterest.PinCreate {
	p := w.pin(name)
	p.Title = "Oak  kitchen <b>café</b> & bar " + name
	p.Description = "“Küche” of oak & steel,  number " + name + ":\r\n\r\n it's 3 < 4 metres long 🪵 " + strings.Repeat("and has a \"drawer\" more,\r\nfrom señor Peña; ", 13)
	p.Link = "http://Shop.Example/oak/" + name + "?size=2&colour=red&a=%20b#top"
	p.AltText = "A  kitchen of oak & steel,\r\nby Núñez " + name
	return p
}

// Row 9.
func TestTextsThatComeBackInAnotherFormMakeNoDuplicate(t *testing.T) {
	t.Parallel()
	all := &record{name: "row 9, all that the issue names"}
	t.Run("group", func(t *testing.T) {
		for i, rewriting := range rewritings {
			t.Run(rewriting.name, func(t *testing.T) {
				t.Parallel()
				r := &record{name: "row 9, " + rewriting.name}
				for seed := range 10 {
					comesBack(t, r, i*100+seed, rewriting, false)
				}
				r.report(t, 1)
				if rewriting.named {
					all.add(r)
				}
			})
		}
	})
	all.report(t, 0.1)
}

// Row 9: several at once.
func TestTextsThatComeBackInSeveralOtherFormsMakeNoDuplicate(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 9, several at once"}
	for seed := range 40 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 9))
		mixed := rewriting{item: func(map[string]any, *rand.Rand) {}}
		for range 2 + rnd.IntN(3) {
			next, before := rewritings[rnd.IntN(9)], mixed
			mixed = rewriting{name: strings.TrimPrefix(before.name+", "+next.name, ", "), item: func(item map[string]any, rnd *rand.Rand) {
				before.item(item, rnd)
				next.item(item, rnd)
			}}
		}
		comesBack(t, r, seed, mixed, false)
	}
	r.report(t, 0.1)
}

// Row 9: the list rewrites, an answer to a create does not, so that nothing can be
// learned from what was received.
func TestTextsRewrittenInListsAloneMakeNoDuplicate(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 9, in lists alone"}
	for i, rewriting := range rewritings {
		if rewriting.named {
			for seed := range 3 {
				comesBack(t, r, i*100+seed, rewriting, true)
			}
		}
	}
	r.report(t, 0.1)
}

func comesBack(t *testing.T, r *record, seed int, how rewriting, listsAlone bool) {
	w := newWorld(t, seed)
	show := func(_ *pin, item map[string]any) { how.item(item, w.rnd) }
	if w.render = show; listsAlone {
		w.render, w.listed = nil, show
	}
	client := w.client()
	if seed%2 == 0 {
		w.teach(client, w.rich("taught"))
	}
	w.lag = nil
	f := ambiguous[seed%len(ambiguous)]
	p := w.rich(fmt.Sprint("rewritten-", seed))
	w.onCreate = failOnly(image(p), committed(f))
	_ = w.create(r, client, p, fmt.Sprintf("%s, %s, seed %d", how.name, faultName(f), seed))
}

// Row 9: where nothing was made, nothing on the board stands in the way of a resend.
func TestTextsThatComeBackInAnotherFormDoNotBlockOthers(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 9, not committed"}
	for i, rewriting := range rewritings {
		for seed := range 3 {
			w := newWorld(t, i*10+seed)
			w.render = func(_ *pin, item map[string]any) { rewriting.item(item, w.rnd) }
			client := w.client()
			w.teach(client, w.rich("taught"))
			f := ambiguous[seed%len(ambiguous)]
			p := w.rich(fmt.Sprint("rewritten-", seed))
			w.onCreate = failOnly(image(p), uncommitted(f))
			_ = w.create(r, client, p, fmt.Sprintf("%s, %s, seed %d", rewriting.name, faultName(f), seed))
		}
	}
	r.report(t, 0)
}
