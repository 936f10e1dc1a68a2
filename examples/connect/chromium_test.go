package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chromium is a browser with one tab.
type chromium struct {
	t       *testing.T
	ctx     context.Context
	console iter.Seq2[chromedp.ConsoleMessage, error]
	shots   string // where screenshots go, if anywhere
	count   int
}

// newChromium starts the browser that PINTEREST_TEST_CHROMIUM names.
func newChromium(t *testing.T, options ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	path := os.Getenv("PINTEREST_TEST_CHROMIUM")
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("PINTEREST_TEST_CHROMIUM is not set")
		}
		t.Skip("PINTEREST_TEST_CHROMIUM is not set")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	opts = append(opts, options...)
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // root cannot have one
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return &chromium{t: t, ctx: ctx, console: chromedp.Console(ctx), shots: os.Getenv("PINTEREST_TEST_SCREENSHOTS")}
}

// said returns what the console has shown so far: of scripts, of policies, of
// what does not load.
func (b *chromium) said() []string {
	b.t.Helper()
	const end = "this is the end"
	b.do(chromedp.Evaluate[chromedp.Void](`console.log("` + end + `")`))
	var said []string
	for m, err := range b.console {
		require.NoError(b.t, err)
		if m.Text == end {
			break
		}
		said = append(said, m.String())
	}
	return said
}

func (b *chromium) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

func (b *chromium) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// history returns the addresses of the pages that Back leads to.
func (b *chromium) history() []string {
	b.t.Helper()
	history, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
	require.NoError(b.t, err)
	require.NotEmpty(b.t, history.Entries)
	var urls []string
	for _, entry := range history.Entries {
		urls = append(urls, entry.URL)
	}
	return urls
}

// eval evaluates a script in the page.
func eval[T any](b *chromium, script string) T {
	b.t.Helper()
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	require.NoError(b.t, err)
	return result
}

// focused is what a person without a mouse has before them.
type focused struct {
	Name    string  // of the control
	Outline float64 // width in pixels
	Visible float64 // contrast of the outline with what is around it
	Height  float64
}

func (b *chromium) focused() focused {
	b.t.Helper()
	return eval[focused](b, `(() => {`+colours+`
		const e = document.activeElement;
		if (e === document.body) return {Name: ""};
		const style = getComputedStyle(e), around = behind(e.parentElement);
		return {
			Name: (e.labels?.[0] ?? e).textContent.trim(), Height: (e.labels?.[0] ?? e).getBoundingClientRect().height,
			Outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
			Visible: contrast(over(parse(style.outlineColor), around), around),
		};
	})()`)
}

// tab presses Tab once for each of the names, and holds that the control of that
// name has the focus, visibly.
func (b *chromium) tab(names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.do(chromedp.KeyEvent(kb.Tab))
		f := b.focused()
		require.Equal(b.t, name, f.Name, "the next in the order of focus")
		assert.GreaterOrEqual(b.t, f.Outline, 2.0, "the focus on %s", name)
		assert.GreaterOrEqual(b.t, f.Visible, 3.0, "the focus on %s", name)
		assert.GreaterOrEqual(b.t, f.Height, 44.0, "the size of %s", name)
	}
}

// enter goes by Tab to the control that is named last, and presses Enter on it.
func (b *chromium) enter(names ...string) {
	b.t.Helper()
	b.tab(names...)
	b.leave()
}

// leave presses Enter and waits for the page that it leads to.
func (b *chromium) leave() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(kb.Enter))
	require.NoError(b.t, err, "Enter leads nowhere")
}

// look holds what is true of every page, in every size and scheme, and makes a
// picture of each.
func (b *chromium) look(name, heading string, texts ...string) {
	b.t.Helper()
	b.count++
	assert.Equal(b.t, heading, eval[string](b, `document.querySelector("h1").innerText`), name)
	text := eval[string](b, `document.body.innerText`)
	for _, part := range texts {
		assert.Contains(b.t, text, part, name)
	}
	assert.Equal(b.t, "en", eval[string](b, `document.documentElement.lang`), name)
	assert.Equal(b.t, 1, eval[int](b, `document.querySelectorAll("h1").length`), name)
	assert.NotEmpty(b.t, eval[string](b, `document.title`), name)
	for _, form := range []struct {
		name   string
		width  int64
		scheme string
	}{{"light", 1280, "light"}, {"dark", 1280, "dark"}, {"narrow", 320, "light"}, {"narrow-dark", 320, "dark"}} {
		where := name + ", " + form.name
		b.do(chromedp.EmulateViewport(form.width, 800))
		b.prefer(form.scheme)
		assert.LessOrEqual(b.t, eval[int64](b, `document.documentElement.scrollWidth`), form.width, "%s scrolls to the side", where)
		assert.Empty(b.t, eval[[]string](b, faint), "%s has text that is hard to read", where)
		b.shoot(fmt.Sprintf("%02d-%s-%s.png", b.count, name, form.name))
	}
	b.do(chromedp.EmulateViewport(1280, 800))
	b.prefer("light")
}

// prefer sets the colour scheme that the visitor likes.
func (b *chromium) prefer(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(b.t, err)
}

func (b *chromium) shoot(file string) {
	b.t.Helper()
	if b.shots == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(b.shots, 0o750))
	require.NoError(b.t, os.WriteFile(filepath.Join(b.shots, strings.ReplaceAll(file, " ", "-")), png, 0o600))
}

// colours are functions for the contrast of two colours, as WCAG 2 defines it.
const colours = `
	const parse = c => { const n = c.match(/[\d.]+/g).map(Number); return {rgb: n.slice(0, 3), a: n[3] ?? 1}; };
	const over = (top, ground) => top.rgb.map((v, i) => v * top.a + ground[i] * (1 - top.a));
	const behind = e => {
		if (!e) return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
		const c = parse(getComputedStyle(e).backgroundColor);
		return c.a === 1 ? c.rgb : over(c, behind(e.parentElement));
	};
	const light = rgb => rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
`

// faint lists the texts that have less contrast than 4.5 to 1.
const faint = `(() => {` + colours + `
	const found = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const text = walker.currentNode.textContent.trim(), e = walker.currentNode.parentElement;
		if (!text || !e.checkVisibility()) continue;
		const ground = behind(e), c = contrast(over(parse(getComputedStyle(e).color), ground), ground);
		if (c < 4.5) found.push(c.toFixed(2) + " " + text);
	}
	return found;
})()`
