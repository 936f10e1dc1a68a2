package creates_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Row 14.
func TestWhatIsForeignOrOfAnotherMediaTypeIsNoMatch(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]pin{
		"of someone else":              {media: "image"},
		"a video":                      {media: "video", owner: true},
		"a carousel":                   {media: "multiple_images", owner: true},
		"a carousel with videos":       {media: "multiple_mixed", owner: true},
		"of someone else, and a video": {media: "video"},
	} {
		for _, commit := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, committed %v", name, commit), func(t *testing.T) {
				t.Parallel()
				r := &record{name: fmt.Sprintf("row 14, %s, committed %v", name, commit)}
				for seed := range 10 {
					w := newWorld(t, seed)
					client := w.client()
					if seed%2 == 0 {
						w.warm(client)
					}
					p := w.pin(fmt.Sprint("foreign-", seed))
					f := ambiguous[seed%len(ambiguous)]
					f.commit = commit
					beside(w, p, other, &f)
					_ = w.create(r, client, p, fmt.Sprintf("%s, seed %d", faultName(f), seed))
				}
				r.report(t, 0)
			})
		}
	}
}

// beside puts a pin with the texts of p on the board at the moment of the first
// create, which fails. Texts that other has are its own.
func beside(w *world, p pinterest.PinCreate, other pin, f *fault) (id *string) {
	id = new(string)
	w.onCreate = func(_ string, n int) *fault {
		if n > 1 {
			return nil
		}
		o := other
		o.board, o.image = w.board, fmt.Sprintf("https://elsewhere.example/%d.jpg", w.seed)
		if o.title+o.description+o.link+o.alt == "" {
			o.title, o.description, o.link, o.alt = p.Title, p.Description, p.Link, p.AltText
		}
		*id = w.byHand(o).id
		return f
	}
	return id
}

// near are new pins that agree with an intent in one thing alone.
var near = map[string]func(p pinterest.PinCreate) pin{
	"title": func(p pinterest.PinCreate) pin {
		return pin{title: p.Title, description: "Other", link: "https://o.example/1", alt: "Other"}
	},
	"description": func(p pinterest.PinCreate) pin {
		return pin{title: "Other", description: p.Description, link: "https://o.example/1", alt: "Other"}
	},
	"alt text": func(p pinterest.PinCreate) pin {
		return pin{title: "Other", description: "Other", link: "https://o.example/1", alt: p.AltText}
	},
	"link": func(p pinterest.PinCreate) pin {
		return pin{title: "Other", description: "Other", link: p.Link, alt: "Other"}
	},
	"target of the link": func(p pinterest.PinCreate) pin {
		target, _, _ := strings.Cut(p.Link, "?")
		return pin{title: "Other", description: "Other", link: target + "?variant=77", alt: "Other"}
	},
	"title, in another form": func(p pinterest.PinCreate) pin {
		return pin{title: strings.ReplaceAll(p.Title, " ", "  "), link: "https://o.example/1"}
	},
	"all but the link": func(p pinterest.PinCreate) pin {
		return pin{title: p.Title, description: p.Description, alt: p.AltText, link: "https://o.example/1"}
	},
	"all but the title": func(p pinterest.PinCreate) pin {
		return pin{title: "Other", description: p.Description, alt: p.AltText, link: p.Link}
	},
}

// A near match is not absence.
func TestANearMatchIsNeverFollowedByAResend(t *testing.T) {
	t.Parallel()
	for name, like := range near {
		for _, once := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, with a key %v", name, once), func(t *testing.T) {
				t.Parallel()
				r := &record{name: fmt.Sprintf("near match in %s, with a key %v", name, once)}
				for seed := range 8 {
					nearMatch(t, r, seed, like, once)
				}
				r.report(t, 1)
			})
		}
	}
}

func nearMatch(t *testing.T, r *record, seed int, like func(pinterest.PinCreate) pin, once bool) {
	w := newWorld(t, seed)
	client := w.client(pinterest.WithLedger(pinterest.NewMemoryLedger()))
	if seed%2 == 0 {
		w.warm(client)
	}
	p := w.pin(fmt.Sprint("near-", seed))
	f := ambiguous[seed%len(ambiguous)]
	candidate := beside(w, p, like(p), uncommitted(f))
	note := fmt.Sprintf("%s, seed %d", faultName(f), seed)
	var err error
	if once {
		err = w.createOnce(r, client, "key-near", p, note)
	} else {
		err = w.create(r, client, p, note)
	}
	if n := w.sent(image(p)); n > 1 {
		r.wrong("%s: sent %d times", note, n)
	}
	if !errors.Is(err, pinterest.ErrUncertain) {
		r.wrong("%s: want uncertain, got %v", note, err)
		return
	}
	var failure *pinterest.Error
	_ = errors.As(err, &failure)
	stored, _ := json.Marshal(failure.Uncertain)
	if !strings.Contains(err.Error()+string(stored), *candidate) {
		r.wrong("%s: the candidate %s is not named: %v", note, *candidate, err)
	}
}

// Of a near match and the result itself, the result is adopted.
func TestANearMatchBesideTheResultIsNeverAdopted(t *testing.T) {
	t.Parallel()
	for name, like := range near {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "near match in " + name + " beside the result"}
			for seed := range 6 {
				w := newWorld(t, seed)
				p := w.pin(fmt.Sprint("beside-", seed))
				f := ambiguous[seed%len(ambiguous)]
				beside(w, p, like(p), committed(f))
				_ = w.create(r, w.client(), p, fmt.Sprintf("%s, seed %d", faultName(f), seed))
			}
			r.report(t, 0)
		})
	}
}

// What somebody accounts for blocks nobody, however near it is.
func TestANearPinThatIsAccountedForDoesNotBlock(t *testing.T) {
	t.Parallel()
	for name, like := range near {
		for _, maker := range []string{"the same client", "another key", "another process's key"} {
			t.Run(name+", made by "+maker, func(t *testing.T) {
				t.Parallel()
				r := &record{name: fmt.Sprintf("near pin in %s, made by %s", name, maker)}
				for seed := range 5 {
					w := newWorld(t, seed)
					ledger := pinterest.NewMemoryLedger()
					client := w.client(pinterest.WithLedger(ledger))
					p := w.pin(fmt.Sprint("new-", seed))
					l := like(p)
					earlier := pinterest.PinCreate{
						BoardID: w.board, Title: l.title, Description: l.description, Link: l.link, AltText: l.alt,
						MediaSource: pinterest.ImageURL(w.image(fmt.Sprint("earlier-", seed))),
					}
					note := fmt.Sprintf("seed %d", seed)
					f := ambiguous[seed%len(ambiguous)]
					w.onCreate = failOnly(image(p), uncommitted(f))
					switch maker {
					case "the same client":
						_ = w.create(r, client, earlier, note+", the earlier one")
						w.clock.Advance(time.Duration(seed) * time.Second)
						_ = w.create(r, client, p, note)
					case "another key":
						_ = w.createOnce(r, client, "key-1", earlier, note+", the earlier one")
						_ = w.createOnce(r, client, "key-2", p, note)
					default:
						_ = w.createOnce(r, w.client(pinterest.WithLedger(ledger)), "key-1", earlier, note+", the earlier one")
						_ = w.createOnce(r, client, "key-2", p, note)
					}
				}
				r.report(t, 0)
			})
		}
	}
}

// Foreign pins, other media and pins that agree in nothing block nobody.
func TestWhatIsNoNearMatchDoesNotBlock(t *testing.T) {
	t.Parallel()
	nothing := pin{title: "Something else", description: "Nothing in common", link: "https://o.example/2"}
	old := func(p pinterest.PinCreate) pin {
		return pin{title: p.Title, description: p.Description, link: p.Link, alt: p.AltText, created: epoch.Add(-50 * time.Hour)}
	}
	cases := map[string]func(p pinterest.PinCreate) pin{
		"agrees in nothing":              func(pinterest.PinCreate) pin { return nothing },
		"agrees in what is empty":        func(pinterest.PinCreate) pin { return pin{title: "Something else"} },
		"equal, of two days ago":         old,
		"near in title, of two days ago": func(p pinterest.PinCreate) pin { return pin{title: p.Title, created: epoch.Add(-50 * time.Hour)} },
	}
	for field, like := range near {
		cases["near in "+field+", of someone else"] = func(p pinterest.PinCreate) pin { o := like(p); o.media = "image"; return o }
		cases["near in "+field+", a video"] = func(p pinterest.PinCreate) pin { o := like(p); o.media, o.owner = "video", true; return o }
	}
	for name, like := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: name}
			for seed := range 5 {
				w := newWorld(t, seed)
				p := w.pin(fmt.Sprint("free-", seed))
				if name == "agrees in what is empty" {
					p.Description, p.AltText, p.Link = "", "", ""
				}
				f := ambiguous[seed%len(ambiguous)]
				beside(w, p, like(p), uncommitted(f))
				_ = w.create(r, w.client(), p, fmt.Sprintf("%s, seed %d", faultName(f), seed))
			}
			r.report(t, 0)
		})
	}
}
