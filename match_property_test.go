package pinterest

import (
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pinterest-go/pinterest/internal/apiclock"
	"github.com/pinterest-go/pinterest/internal/canonical"
)

// The texts and ids of the properties: few, so that equal ones meet, and with
// what a normalisation could stumble over.
var (
	someTexts = []string{"", " ", "\t\n", "Oak kitchen", " Oak kitchen", "Oak kitchen\n", "oak kitchen", "Oak", " kitchen", "台所", "ku\u0308che", "küche", "a\u0000b", "\u00a0x"}
	someIDs   = []string{"1", "12", "2"}
	someLinks = []string{"", "https://shop.example/oak", "https://shop.example/oak?job=1", "https://shop.example/oak#job=1"}
)

func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(rapid.SampledFrom(someTexts), rapid.StringN(0, 10, -1)).Draw(t, label)
}

func drawOptionalID(t *rapid.T, label string) string {
	return rapid.SampledFrom(append([]string{""}, someIDs...)).Draw(t, label)
}

// drawCreate draws a pin that is made, or saved.
func drawCreate(t *rapid.T, label string) pinWant {
	board, section := rapid.SampledFrom(someIDs).Draw(t, label+" board"), drawOptionalID(t, label+" section")
	if rapid.IntRange(0, 4).Draw(t, label+" saved") == 0 {
		parent := rapid.SampledFrom(someIDs).Draw(t, label+" parent")
		return pinWant{BoardID: board, SectionID: section, ParentPinID: parent}
	}
	return PinCreate{
		BoardID: board, BoardSectionID: section, ParentPinID: drawOptionalID(t, label+" parent"),
		Title: drawText(t, label+" title"), Description: drawText(t, label+" description"),
		Link: rapid.SampledFrom(someLinks).Draw(t, label+" link"), AltText: drawText(t, label+" alt text"),
	}.want()
}

// echo is the pin that the API gives back for a create: as JSON, with a blank
// description as one space, other texts trimmed or not, times without a zone in
// whole seconds, and nulls. What a pin made from another was not given comes
// from the parent.
func echo(t *rapid.T, u, parent pinWant, created time.Time) *Pin {
	text := func(own, taken string) any {
		if u.ParentPinID != "" && strings.TrimSpace(own) == "" {
			own = taken
		}
		if rapid.Bool().Draw(t, "trimmed") {
			own = strings.TrimSpace(own)
		}
		if own == "" && rapid.Bool().Draw(t, "null") {
			return nil
		}
		return own
	}
	nullable := func(id string) any {
		if id == "" {
			return nil
		}
		return id
	}
	description := text(u.Description, parent.Description)
	if s, ok := description.(string); !ok || strings.TrimSpace(s) == "" {
		description = " "
	}
	data, err := json.Marshal(map[string]any{
		"id": "9", "board_id": u.BoardID, "board_section_id": nullable(u.SectionID), "parent_pin_id": nullable(u.ParentPinID),
		"title": text(u.Title, parent.Title), "description": description, "link": text(u.Link, parent.Link),
		"alt_text": text(u.AltText, parent.AltText), "created_at": created.UTC().Format("2006-01-02T15:04:05"),
	})
	if err != nil {
		t.Fatal(err)
	}
	pin := new(Pin)
	if err := json.Unmarshal(data, pin); err != nil {
		t.Fatal(err)
	}
	return pin
}

// matches reports whether a list of this pin alone gives it as the result.
func matches(t *rapid.T, u pinWant, p *Pin, in timeframe) bool {
	var all iter.Seq2[*Page[Pin], error] = func(yield func(*Page[Pin], error) bool) {
		yield(&Page[Pin]{Items: []Pin{*p}}, nil)
	}
	l := bound[Pin]{Lookup: u.lookup()}
	found, _, err := l.scan(all, in, timesRight, func([]*Pin) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return len(found.matches) == 1
}

// keyOf returns what equal creates have in common.
func keyOf(t *rapid.T, u pinWant) string {
	l, err := u.lookup().bind(&call{op: OpPinsCreate})
	if err != nil {
		t.Fatal(err)
	}
	return l.key
}

var (
	propertyTime = time.Date(2026, 7, 9, 9, 33, 55, 0, time.UTC)
	alwaysOpen   = timeframe{fixed: propertyTime.Add(-time.Hour), offset: &apiclock.Offset{}}
)

func drawTime(t *rapid.T, label string, around time.Time, from, to time.Duration) time.Time {
	return around.Add(time.Duration(rapid.Int64Range(int64(from), int64(to)).Draw(t, label)))
}

// A create is recognised by what the API makes of it.
func TestPropertyEchoMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawCreate(t, "create")
		in := timeframe{sent: drawTime(t, "sent", propertyTime, -time.Hour, time.Hour), offset: &apiclock.Offset{}}
		created := drawTime(t, "created", in.sent, 0, time.Minute)
		if pin := echo(t, u, drawCreate(t, "parent"), created); !matches(t, u, pin, in) {
			t.Fatalf("%+v\nis not recognised in\n%+v", u, pin)
		}
	})
}

// A pin that differs in one of the things that are compared is never taken for it.
func TestPropertyOtherPinsDoNotMatch(t *testing.T) {
	otherID := func(t *rapid.T, id string) string {
		return rapid.SampledFrom(append([]string{""}, someIDs...)).Filter(func(s string) bool { return s != id }).Draw(t, "other id")
	}
	otherText := func(t *rapid.T, u pinWant, text string) string {
		if u.ParentPinID != "" && canonical.Text(text) == "" {
			t.Skip("what comes from the parent may be anything")
		}
		return rapid.OneOf(rapid.SampledFrom(someTexts), rapid.String()).
			Filter(func(s string) bool { return canonical.Text(s) != canonical.Text(text) }).Draw(t, "other text")
	}
	for field, change := range map[string]func(*rapid.T, *pinWant){
		"board": func(t *rapid.T, u *pinWant) {
			if u.BoardID = otherID(t, u.BoardID); u.BoardID == "" {
				t.Skip("an item without a board is on the board of its list")
			}
		},
		"section":     func(t *rapid.T, u *pinWant) { u.SectionID = otherID(t, u.SectionID) },
		"parent":      func(t *rapid.T, u *pinWant) { u.ParentPinID = otherID(t, u.ParentPinID) },
		"title":       func(t *rapid.T, u *pinWant) { u.Title = otherText(t, *u, u.Title) },
		"description": func(t *rapid.T, u *pinWant) { u.Description = otherText(t, *u, u.Description) },
		"link":        func(t *rapid.T, u *pinWant) { u.Link = otherText(t, *u, u.Link) },
		"alt text": func(t *rapid.T, u *pinWant) {
			if u.AltText = otherText(t, *u, u.AltText); canonical.Text(u.AltText) == "" {
				t.Skip("the API has been seen to drop the alt text")
			}
		},
	} {
		t.Run(field, rapid.MakeCheck(func(t *rapid.T) {
			u := drawCreate(t, "create")
			other := u
			change(t, &other)
			if pin := echo(t, other, pinWant{Title: "of the parent"}, propertyTime); matches(t, u, pin, alwaysOpen) {
				t.Fatalf("%+v\nis recognised in\n%+v", u, pin)
			}
		}))
	}
	t.Run("time", rapid.MakeCheck(func(t *rapid.T) {
		u := drawCreate(t, "create")
		in := timeframe{fixed: drawTime(t, "since", propertyTime, -time.Hour, time.Hour), offset: &apiclock.Offset{}}
		before := in.since().Add(-time.Duration(rapid.Int64Range(1, int64(1000*time.Hour)).Draw(t, "before")))
		if pin := echo(t, u, u, before); matches(t, u, pin, in) {
			t.Fatalf("%v is within %v", pin.CreatedAt, in.since())
		}
	}))
}

// With a marker nothing else counts, and without that marker nothing does.
func TestPropertyMarkerDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marker, link := drawMarker(t, "marker"), drawLink(t)
		u := PinCreate{BoardID: "1", Title: "Oak kitchen", Link: link, Marker: marker}.marked().want()
		other := drawCreate(t, "other")
		other.BoardID = "1"
		pin := echo(t, other, pinWant{}, propertyTime)
		pin.Link = addMarker(link, marker)
		if !matches(t, u, pin, alwaysOpen) {
			t.Fatalf("%q is not recognised in %q", marker, pin.Link)
		}
		if pin.BoardID = "2"; matches(t, u, pin, alwaysOpen) {
			t.Fatal("a pin of another board is recognised")
		}
		pin.BoardID, pin.Link = "1", link
		if matches(t, u, pin, alwaysOpen) != hasMarker(link, marker) {
			t.Fatalf("the link %q without the marker %q", link, marker)
		}
		twin := u
		twin.Marker = rapid.SampledFrom([]string{"job=1", "job=2", marker + "0"}).Filter(func(m string) bool { return m != marker }).Draw(t, "other marker")
		if keyOf(t, twin) == keyOf(t, u) {
			t.Fatal("two markers have one key")
		}
	})
}

// Creates have one key where the pin of one could be taken for the other's, or
// they would not wait for one another and could both end with one pin. Of those
// without a parent only these have.
func TestPropertyKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawCreate(t, "a"), drawCreate(t, "b")
		if rapid.Bool().Draw(t, "alike") { // else they hardly ever are
			b.BoardID, b.SectionID, b.ParentPinID = a.BoardID, a.SectionID, a.ParentPinID
			for _, field := range []struct{ to, from *string }{{&b.Title, &a.Title}, {&b.Description, &a.Description}, {&b.Link, &a.Link}, {&b.AltText, &a.AltText}} {
				if rapid.Bool().Draw(t, "same") {
					*field.to = " " + *field.from
				}
			}
		}
		// The parent may have had whatever the other is looking for.
		confused := matches(t, b, echo(t, a, b, propertyTime), alwaysOpen) || matches(t, a, echo(t, b, a, propertyTime), alwaysOpen)
		switch same := keyOf(t, a) == keyOf(t, b); {
		case confused && !same:
			t.Fatalf("the pin of one could be taken for the other's, but their keys differ:\n%+v\n%+v", a, b)
		case same && !confused && a.ParentPinID == "" && b.ParentPinID == "" && canonical.Text(a.AltText) == canonical.Text(b.AltText):
			t.Fatalf("one key, although their pins are told apart:\n%+v\n%+v", a, b)
		}
	})
}

func drawMarker(t *rapid.T, label string) string {
	name := rapid.OneOf(rapid.SampledFrom([]string{"job", "a", "JOB", "job id", "&", "%41", "é"}), rapid.StringN(1, 8, -1)).
		Filter(func(s string) bool { return !strings.Contains(s, "=") })
	value := rapid.OneOf(rapid.SampledFrom([]string{"8841", "1", "a b", "a+b", "=", "%20", "&b=2", "#", ";"}), rapid.StringN(1, 8, -1))
	return name.Draw(t, label+" name") + "=" + value.Draw(t, label+" value")
}

// drawLink draws a link that a pin may have, with a query of any kind.
func drawLink(t *rapid.T) string {
	query := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{"a=1", "job=1", "job=8841", "job", "=", "", "a=%20", "b=%zz", "a;b=1", "a+b=c+d", "é=é", "job=1;job=2"}),
		rapid.StringMatching(`[a-z%=+;.~-]{0,8}`)), 0, 4)
	link := rapid.SampledFrom([]string{"https://shop.example", "http://shop.example:8080/", "https://shop.example/oak%2Fkitchen", "https://shop.example/台所/", "https://shop.example/a//b;c=d"}).Draw(t, "link")
	if q := query.Draw(t, "query"); len(q) > 0 {
		link += "?" + strings.Join(q, "&")
	}
	link += rapid.SampledFrom([]string{"", "#top", "#job=8841", "#a%20b", "#?job=1"}).Draw(t, "fragment")
	var c Check
	if c.Link("link", link, maxLink); c.Err() != nil {
		t.Skip("not a link that Validate lets through")
	}
	return link
}

// A marker that was added is there, once, and all else of the link as it was.
func TestPropertyAddMarker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		link, marker := drawLink(t), drawMarker(t, "marker")
		marked := addMarker(link, marker)
		if !hasMarker(marked, marker) {
			t.Fatalf("%q with the marker %q is %q, which does not have it", link, marker, marked)
		}
		if again := addMarker(marked, marker); again != marked {
			t.Fatalf("%q was marked twice: %q", marked, again)
		}
		if hasMarker(link, marker) {
			if marked != link {
				t.Fatalf("%q had the marker %q, and is now %q", link, marker, marked)
			}
			return
		}
		was, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		is, err := url.Parse(marked)
		if err != nil {
			t.Fatalf("%q became %q: %v", link, marked, err)
		}
		if is.Scheme != was.Scheme || is.Host != was.Host || is.EscapedPath() != was.EscapedPath() || is.EscapedFragment() != was.EscapedFragment() {
			t.Fatalf("%q became %q", link, marked)
		}
		if !strings.HasPrefix(is.RawQuery, was.RawQuery) {
			t.Fatalf("the query %q became %q", was.RawQuery, is.RawQuery)
		}
		name, value, _ := strings.Cut(marker, "=")
		want := was.Query()
		want.Add(name, value)
		if is.Query().Encode() != want.Encode() {
			t.Fatalf("the parameters %v became %v", was.Query(), is.Query())
		}
	})
}

// Another marker of the same name is another marker, and both can stand in one link.
func TestPropertyTwoMarkers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		link, one := drawLink(t), drawMarker(t, "one")
		name, _, _ := strings.Cut(one, "=")
		two := name + "=" + rapid.StringN(1, 8, -1).Filter(func(s string) bool { return name+"="+s != one }).Draw(t, "two")
		both := addMarker(addMarker(link, one), two)
		if !hasMarker(both, one) || !hasMarker(both, two) {
			t.Fatalf("%q and %q in %q: %q", one, two, link, both)
		}
		if marked := addMarker(link, one); !hasMarker(link, two) && hasMarker(marked, two) {
			t.Fatalf("%q has %q", marked, two)
		}
	})
}

// However wrong the client's clock is: what was made at the first attempt or
// after it is within the window, and what was made well before it is not.
func TestPropertyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ahead := time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(48*time.Hour)).Draw(t, "the API's clock is ahead by"))
		sent := drawTime(t, "first attempt", propertyTime, -time.Hour, time.Hour)
		learned := &apiclock.Offset{}
		for range rapid.IntRange(1, 5).Draw(t, "answers") {
			took := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "answer took"))
			stamped := time.Duration(rapid.Int64Range(0, int64(took)).Draw(t, "stamped after"))
			asked := drawTime(t, "asked", sent, -30*time.Minute, 30*time.Minute)
			date := asked.Add(stamped + ahead).UTC().Format(http.TimeFormat)
			learned.Observe(http.Header{"Date": {date}}, asked, asked.Add(took))
		}

		windows := map[string]timeframe{"of the call": {sent: sent, offset: learned}}
		stored := Uncertain{Version: uncertainVersion, Since: windows["of the call"].since()}
		local := Uncertain{Version: uncertainVersion, Since: sent, Local: true}
		for name, u := range map[string]Uncertain{"stored": stored, "stored by the client's clock": local} {
			data, err := json.Marshal(u)
			if err != nil {
				t.Fatal(err)
			}
			var back Uncertain
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			windows[name] = back.timeframe(learned)
		}
		made := drawTime(t, "made", sent.Add(ahead), 0, 10*time.Minute).Truncate(time.Second) // as the API says it
		early := sent.Add(ahead - 5*time.Second - time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "earlier"))).Truncate(time.Second)
		for name, in := range windows {
			if !in.contains(made) {
				t.Fatalf("the window %s, from %v, lacks what was made at %v, after the first attempt at %v", name, in.since(), made, sent.Add(ahead))
			}
			if in.contains(early) {
				t.Fatalf("the window %s, from %v, contains what was made at %v, long before the first attempt at %v", name, in.since(), early, sent.Add(ahead))
			}
		}
	})
}

// A Date that is missing or cannot be read teaches nothing.
func TestPropertyNoDate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		learned := &apiclock.Offset{}
		h := http.Header{}
		if rapid.Bool().Draw(t, "with a Date") {
			h.Set("Date", rapid.OneOf(rapid.SampledFrom([]string{"", "now", "0", "2026-07-09T09:33:55Z"}), rapid.String()).
				Filter(func(s string) bool { _, err := http.ParseTime(s); return err != nil }).Draw(t, "date"))
		}
		learned.Observe(h, propertyTime, propertyTime.Add(time.Second))
		if lower, upper := learned.Bounds(); learned.Known() || lower != 0 || upper != 0 {
			t.Fatalf("an offset of %v was learned from %q", lower, h)
		}
	})
}
