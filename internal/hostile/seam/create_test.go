package seam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

func newStudio(t *testing.T, proto string, opts ...pinterest.Option) (*studio, *pinterest.Client, *jump, []pinterest.Option) {
	t.Helper()
	clock := &jump{}
	s := &studio{clock: clock}
	base, more := serve(t, proto, s)
	all := append(append([]pinterest.Option{pinterest.WithClock(clock), pinterest.WithBaseURL(base + "/v5")}, more...), opts...)
	return s, client(t, base, all...), clock, all
}

// Promise: a user's own create, whose answer was lost after it took effect, is adopted: one thing, and its id is learned.
func TestOwnCreateIsAdopted(t *testing.T) {
	for _, proto := range protos {
		for name, breaks := range broken {
			t.Run(proto+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, c, _, _ := newStudio(t, proto)
				s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, r *http.Request) bool {
					if n == 1 {
						commit()
						breaks(w, r)
						return true
					}
					return false
				}
				var res pinterest.Response
				got, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"), pinterest.ResponseTo(&res))
				made := s.named("oak")
				if err != nil || len(made) != 1 || got == nil || got.ID != made[0].ID || res.Origin != pinterest.OriginLookup {
					t.Fatalf("got %+v err %v origin %v, made %+v", got, err, res.Origin, made)
				}
			})
		}
	}
}

// Promise: what is shown absent is sent again, once.
func TestOwnCreateAbsentIsSentAgain(t *testing.T) {
	for _, proto := range protos {
		for name, breaks := range broken {
			t.Run(proto+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, c, _, _ := newStudio(t, proto)
				s.add("oak", "n") // an older one of another process: never adopted
				s.set(func() { s.things[0].CreatedAt.Time = s.things[0].CreatedAt.Add(-61 * time.Minute) })
				s.create = func(n int, _ string, _ func() thing, w http.ResponseWriter, r *http.Request) bool {
					if n == 1 {
						breaks(w, r)
						return true
					}
					return false
				}
				got, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
				made := s.named("oak")
				if err != nil || len(made) != 2 || got.ID != made[1].ID {
					t.Fatalf("got %+v err %v, made %+v", got, err, made)
				}
			})
		}
	}
}

// Promise: the same through Do, with a result that knows no Completer; and with out nil a create is not taken for made by "{}".
func TestDoHasTheSameCare(t *testing.T) {
	for name, breaks := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, _, _ := newStudio(t, "h1")
			s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					commit()
					breaks(w, r)
					return true
				}
				return false
			}
			var out thing
			err := c.Do(context.Background(), opThingsCreate, thingRequest("oak"), &out)
			if made := s.named("oak"); err != nil || len(made) != 1 || out.ID != made[0].ID {
				t.Fatalf("out %+v err %v, made %+v", out, err, made)
			}
		})
	}
}

// Promise: a create whose result was not asked for (out nil) still has the whole care: lost before it took effect, it is sent again.
func TestDoWithoutResult(t *testing.T) {
	for _, name := range []string{"reset", "500", "2787", "200 html", "201 truncated"} {
		for _, after := range []bool{true, false} {
			t.Run(fmt.Sprint(name, after), func(t *testing.T) {
				t.Parallel()
				s, c, _, _ := newStudio(t, "h1")
				s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, r *http.Request) bool {
					if n == 1 {
						if after {
							commit()
						}
						broken[name](w, r)
						return true
					}
					return false
				}
				err := c.Do(context.Background(), opThingsCreate, thingRequest("oak"), nil)
				if made := s.named("oak"); err != nil || len(made) != 1 {
					t.Fatalf("err %v, made %+v", err, made)
				}
			})
		}
	}
}

// Promise: a create without a Lookup is never sent again after an ambiguous failure and ends uncertain.
func TestOwnCreateWithoutLookup(t *testing.T) {
	for name, breaks := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, _, _ := newStudio(t, "h1")
			s.create = func(_ int, _ string, commit func() thing, w http.ResponseWriter, r *http.Request) bool {
				commit()
				breaks(w, r)
				return true
			}
			_, err := pinterest.Call[whole](context.Background(), c, opThingsCreate, pinterest.Request{Path: []string{"7"}, Body: thingCreate{Name: "oak"}})
			if !errors.Is(err, pinterest.ErrUncertain) || len(s.named("oak")) != 1 {
				t.Fatalf("err %v, made %v", err, s.named("oak"))
			}
			words(t, err)
		})
	}
}

// Promise: a GET list page that is itself broken never counts as absence.
func TestBrokenListIsNoAbsence(t *testing.T) {
	for _, body := range []string{`{}`, `null`, `[]`, `{"items":null}`, `{"items":{}}`, `{"items":[{}]}`, `{"items":[null]}`, `<html>`, ``, `{"items":[],"bookmark":"x"`, `{"items":"none"}`, `{"items":[{"id":5,"name":7}]}`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			clock := &jump{}
			var posts int
			var mu sync.Mutex
			base, more := serve(t, "h1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					reply(w, 200, body)
					return
				}
				mu.Lock()
				posts++
				mu.Unlock()
				reply(w, 500, `{}`) // it was made, each time
			}))
			c := client(t, base, append(more, pinterest.WithClock(clock))...)
			_, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
			mu.Lock()
			defer mu.Unlock()
			if posts != 1 || !errors.Is(err, pinterest.ErrUncertain) {
				t.Fatalf("posts %d err %v", posts, err)
			}
			words(t, err)
		})
	}
}

// Promise: uncertain comes with an Uncertain that can be stored as JSON and resolved, typed, in another process.
func TestUncertainIsResolvedElsewhere(t *testing.T) {
	for _, made := range []bool{true, false} {
		for _, skew := range []time.Duration{0, time.Hour, -time.Hour, 90 * time.Second} {
			t.Run(fmt.Sprint(made, skew), func(t *testing.T) {
				t.Parallel()
				s, c, _, opts := newStudio(t, "h1")
				s.skew = skew
				s.listDown = true
				s.create = func(_ int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
					if made {
						commit()
					}
					reply(w, 500, `{"message":"x"}`)
					return true
				}
				_, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
				e := failure(t, err)
				words(t, err)
				if e.Disposition != pinterest.DispositionUncertain || e.Uncertain == nil {
					t.Fatalf("want uncertain with an Uncertain: %v", err)
				}
				stored, jerr := json.Marshal(e.Uncertain)
				if jerr != nil {
					t.Fatal(jerr)
				}
				var u pinterest.Uncertain
				if jerr := json.Unmarshal(stored, &u); jerr != nil {
					t.Fatalf("%v: %s", jerr, stored)
				}
				s.set(func() { s.listDown = false })
				// somebody else makes more, later
				for range 30 {
					s.add("other", "n")
				}
				other, nerr := pinterest.New(append([]pinterest.Option{pinterest.WithAccessToken(token)}, opts...)...)
				if nerr != nil {
					t.Fatal(nerr)
				}
				res, rerr := pinterest.Resolve(context.Background(), other, u, thingWant.lookup)
				if rerr != nil || res == nil {
					t.Fatalf("Resolve: %+v %v (%s)", res, rerr, stored)
				}
				if made && (res.Outcome != pinterest.OutcomeCreated || res.Result == nil || res.Result.ID != s.named("oak")[0].ID) {
					t.Fatalf("want created: %+v", res)
				}
				if !made && (res.Outcome != pinterest.OutcomeAbsent || res.Result != nil) {
					t.Fatalf("want absent: %+v", res)
				}
			})
		}
	}
}

// Promise: what is known to be others' travels with Uncertain: the thing that this client made before is not taken for the uncertain one.
func TestUncertainKnowsOthers(t *testing.T) {
	s, c, _, opts := newStudio(t, "h1")
	first, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
	if err != nil {
		t.Fatal(err)
	}
	s.listDown = true
	s.create = func(_ int, _ string, _ func() thing, w http.ResponseWriter, _ *http.Request) bool {
		reply(w, 500, `{"message":"x"}`)
		return true
	}
	_, err = pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
	e := failure(t, err)
	stored, _ := json.Marshal(e.Uncertain)
	var u pinterest.Uncertain
	if err := json.Unmarshal(stored, &u); err != nil {
		t.Fatal(err)
	}
	s.listDown = false
	other, _ := pinterest.New(append([]pinterest.Option{pinterest.WithAccessToken(token)}, opts...)...)
	res, err := pinterest.Resolve(context.Background(), other, u, thingWant.lookup)
	if res != nil && res.Outcome == pinterest.OutcomeCreated {
		t.Fatalf("took %s, which the first create made (%s), for the second: %+v", first.ID, stored, res)
	}
	t.Logf("res %+v err %v", res, err)
}

// Promise: two equal creates that both ended uncertain, one of which took effect, are never both resolved to the one thing.
func TestTwoUncertainAreNotOneThing(t *testing.T) {
	s, c, _, opts := newStudio(t, "h1")
	s.listDown = true
	s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			commit()
		}
		reply(w, 500, `{"message":"x"}`)
		return true
	}
	var us []pinterest.Uncertain
	for range 2 {
		_, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
		e := failure(t, err)
		if e.Uncertain == nil {
			t.Fatalf("no Uncertain: %v", err)
		}
		stored, _ := json.Marshal(e.Uncertain)
		var u pinterest.Uncertain
		if err := json.Unmarshal(stored, &u); err != nil {
			t.Fatal(err)
		}
		us = append(us, u)
	}
	s.listDown = false
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		other, _ := pinterest.New(append([]pinterest.Option{pinterest.WithAccessToken(token)}, opts...)...)
		ids := map[string]int{}
		for _, i := range order {
			res, err := pinterest.Resolve(context.Background(), other, us[i], thingWant.lookup)
			t.Logf("order %v, %d: %+v %v", order, i, res, err)
			if res != nil && res.Result != nil {
				ids[res.Result.ID]++
			}
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("order %v: both resolved to %s, and one of the two does not exist", order, id)
			}
		}
	}
}

// Promise: old or strange stored forms are refused with a clear error, and nothing is sent; another operation's lookup, too.
func TestResolveRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"version 0":  `{"operation":"things/create","want":{"shop":"7","name":"oak"},"since":"2026-01-01T00:00:00Z"}`,
		"version 99": `{"version":99,"operation":"things/create","want":{"shop":"7"},"since":"2026-01-01T00:00:00Z"}`,
	} {
		var u pinterest.Uncertain
		if err := json.Unmarshal([]byte(in), &u); err == nil {
			t.Errorf("%s: accepted as %+v", name, u)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	s, c, _, _ := newStudio(t, "h1")
	for name, u := range map[string]pinterest.Uncertain{
		"zero":            {},
		"other operation": {Version: 1, Operation: "pins/create", Want: json.RawMessage(`{"shop":"7","name":"oak"}`), Since: time.Now()},
		"want of no shop": {Version: 1, Operation: "things/create", Want: json.RawMessage(`{"name":"oak"}`), Since: time.Now()},
		"want null":       {Version: 1, Operation: "things/create", Want: json.RawMessage(`null`), Since: time.Now()},
		"want nil":        {Version: 1, Operation: "things/create", Since: time.Now()},
		"want list":       {Version: 1, Operation: "things/create", Want: json.RawMessage(`[1]`), Since: time.Now()},
		"no since":        {Version: 1, Operation: "things/create", Want: json.RawMessage(`{"shop":"7","name":"oak"}`)},
	} {
		res, err := pinterest.Resolve(context.Background(), c, u, thingWant.lookup)
		if err == nil {
			t.Errorf("%s: no error, %+v", name, res)
		} else {
			words(t, err)
		}
	}
	if s.lists != 0 {
		t.Errorf("%d lists were read", s.lists)
	}
}

// Promise: equal creates in flight at once never adopt the same resource: each learns an id of its own or is uncertain, and there are no duplicates.
func TestEqualCreatesAtOnce(t *testing.T) {
	for _, proto := range protos {
		for _, mode := range []string{"after", "before", "mixed"} {
			t.Run(proto+mode, func(t *testing.T) {
				t.Parallel()
				s, c, _, opts := newStudio(t, proto)
				s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, r *http.Request) bool {
					if n > 10 {
						return false
					}
					if mode == "after" || mode == "mixed" && n%2 == 0 {
						commit()
					}
					if n%3 == 0 {
						panic(http.ErrAbortHandler)
					}
					reply(w, 500, `{"message":"x"}`)
					return true
				}
				_ = opts
				var wg sync.WaitGroup
				var mu sync.Mutex
				ids := map[string]int{}
				var uncertain int
				for i := range 12 {
					wg.Add(1)
					go func() {
						defer wg.Done()
						op, req := opThingsCreate, thingRequest("oak")
						if i%3 == 1 {
							op = opThingsImport // another create into the same list
						}
						var id string
						var err error
						if i%2 == 0 {
							var x *thing
							if x, err = pinterest.Call[thing](context.Background(), c, op, req, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 15})); err == nil {
								id = x.ID
							}
						} else {
							var x thing
							err = c.Do(context.Background(), op, req, &x, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 15}))
							id = x.ID
						}
						mu.Lock()
						defer mu.Unlock()
						switch {
						case errors.Is(err, pinterest.ErrUncertain):
							uncertain++
						case err != nil:
							t.Errorf("failed: %v", err)
						default:
							ids[id]++
						}
					}()
				}
				wg.Wait()
				for id, n := range ids {
					if n > 1 {
						t.Errorf("%s was given to %d callers", id, n)
					}
				}
				if made := len(s.named("oak")); made > 12 || made < len(ids) {
					t.Errorf("made %d, ids %d, uncertain %d", made, len(ids), uncertain)
				}
				t.Logf("ids %d uncertain %d made %d", len(ids), uncertain, len(s.named("oak")))
			})
		}
	}
}

// Promise: two App.Clients of one account share the creates under way.
func TestEqualCreatesOfTwoClients(t *testing.T) {
	clock := &jump{}
	s := &studio{clock: clock}
	base, more := serve(t, "h1", s)
	store := pinterest.NewMemoryTokenStore()
	if _, err := store.Save(context.Background(), "a", &pinterest.Token{AccessToken: token, Expiry: time.Now().Add(100 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	app, err := pinterest.NewApp(append(more, pinterest.WithClock(clock), pinterest.WithTokenStore(store), pinterest.WithBaseURL(base+"/v5"), pinterest.WithoutPacing())...)
	if err != nil {
		t.Fatal(err)
	}
	s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		if n%2 == 1 {
			if n%4 == 1 {
				commit()
			}
			reply(w, 500, `{"message":"x"}`)
			return true
		}
		return false
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]int{}
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			x, err := pinterest.Call[thing](context.Background(), app.Client("a"), opThingsCreate, thingRequest("oak"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if !errors.Is(err, pinterest.ErrUncertain) {
					t.Error(err)
				}
				return
			}
			ids[x.ID]++
		}()
	}
	wg.Wait()
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s given %d times", id, n)
		}
	}
	if made := len(s.named("oak")); made > 8 {
		t.Errorf("made %d for 8 creates", made)
	}
}

// Promise: a success of an operation that Removes is told to the reconcile: another create of that list is not held up by it.
func TestDeleteIsForgotten(t *testing.T) {
	s, c, clock, _ := newStudio(t, "h1")
	ctx := context.Background()
	for i := range 3 {
		x, err := pinterest.Call[thing](ctx, c, opThingsCreate, thingRequest(fmt.Sprint("gone", i)))
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			_, err = pinterest.Call[struct{}](ctx, c, opThingsDelete, pinterest.Request{Path: []string{x.ID}})
		} else {
			err = c.Do(ctx, opThingsDelete, pinterest.Request{Path: []string{x.ID}}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.create = func(n int, _ string, _ func() thing, w http.ResponseWriter, _ *http.Request) bool {
		if n == 4 {
			reply(w, 500, `{"message":"x"}`)
			return true
		}
		return false
	}
	before := clock.Slept()
	x, err := pinterest.Call[thing](ctx, c, opThingsCreate, thingRequest("oak"))
	if err != nil || len(s.named("oak")) != 1 || x.ID != s.named("oak")[0].ID {
		t.Fatalf("%v %v", x, err)
	}
	if d := clock.Slept() - before; d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}

// Promise: dry runs and failed deletes are not booked: a list that lacks what they named proves nothing.
func TestFailedDeleteIsNotForgotten(t *testing.T) {
	for name, del := range map[string]func(ctx context.Context, s *studio, c *pinterest.Client, id string) error{
		"dry run": func(ctx context.Context, _ *studio, c *pinterest.Client, id string) error {
			var d pinterest.DryRun
			return c.Do(ctx, opThingsDelete, pinterest.Request{Path: []string{id}}, nil, pinterest.DryRunTo(&d))
		},
		"403": func(ctx context.Context, s *studio, c *pinterest.Client, id string) error {
			s.remove = func(w http.ResponseWriter, _ *http.Request) bool {
				reply(w, 403, `{"code":29,"message":"no"}`)
				return true
			}
			if err := c.Do(ctx, opThingsDelete, pinterest.Request{Path: []string{id}}, nil); err == nil {
				return errors.New("want an error")
			}
			return nil
		},
		"500": func(ctx context.Context, s *studio, c *pinterest.Client, id string) error {
			s.remove = func(w http.ResponseWriter, _ *http.Request) bool {
				reply(w, 500, `{"code":0,"message":"no"}`)
				return true
			}
			if err := c.Do(ctx, opThingsDelete, pinterest.Request{Path: []string{id}}, nil); err == nil {
				return errors.New("want an error")
			}
			return nil
		},
		"refused before sending": func(ctx context.Context, _ *studio, c *pinterest.Client, id string) error {
			if err := c.Do(ctx, opThingsDelete, pinterest.Request{Path: []string{id}, Options: badOptions{}}, nil); err == nil {
				return errors.New("want an error")
			}
			return nil
		},
		"canceled": func(ctx context.Context, _ *studio, c *pinterest.Client, id string) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			if err := c.Do(ctx, opThingsDelete, pinterest.Request{Path: []string{id}}, nil); err == nil {
				return errors.New("want an error")
			}
			return nil
		},
		"not removing (archive)": func(ctx context.Context, _ *studio, c *pinterest.Client, id string) error {
			_ = c.Do(ctx, opThingsArchive, pinterest.Request{Path: []string{id}}, nil)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, _, _ := newStudio(t, "h1")
			s.freeze() // the list lags for good
			x, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("first"))
			if err != nil {
				t.Fatal(err)
			}
			if err := del(context.Background(), s, c, x.ID); err != nil {
				t.Fatal(err)
			}
			s.create = func(_ int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
				commit()
				reply(w, 500, `{"message":"x"}`)
				return true
			}
			_, err = pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
			if n := len(s.named("oak")); n != 1 || !errors.Is(err, pinterest.ErrUncertain) {
				t.Fatalf("made %d, err %v", n, err)
			}
		})
	}
}

// Promise: the list is read back to the time of the first attempt, over as many pages as that takes.
func TestAdoptedFromALaterPage(t *testing.T) {
	s, c, _, _ := newStudio(t, "h1")
	s.pageSize = 3
	s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		commit()
		for i := range 40 {
			s.add(fmt.Sprint("other", i), "")
		}
		reply(w, 503, ``)
		return n == 1
	}
	x, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
	if err != nil || len(s.named("oak")) != 1 || x.ID != s.named("oak")[0].ID {
		t.Fatalf("%+v %v made %d", x, err, len(s.named("oak")))
	}
}

// Promise: the clock of the API may differ from the client's by hours.
func TestSkewedClock(t *testing.T) {
	for _, skew := range []time.Duration{-3 * time.Hour, 3 * time.Hour, -time.Minute, time.Minute} {
		for _, known := range []bool{false, true} {
			for _, made := range []bool{false, true} {
				t.Run(fmt.Sprint(skew, known, made), func(t *testing.T) {
					t.Parallel()
					s, c, _, _ := newStudio(t, "h1")
					s.skew = skew
					if known {
						if _, err := pinterest.List[thing](context.Background(), c, opThingsList, pinterest.Request{Path: []string{"7"}}); err != nil {
							t.Fatal(err)
						}
					}
					s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
						if n == 1 {
							if made {
								commit()
							}
							panic(http.ErrAbortHandler)
						}
						return false
					}
					x, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
					if err != nil || len(s.named("oak")) != 1 || x.ID != s.named("oak")[0].ID {
						t.Fatalf("%+v %v made %d", x, err, len(s.named("oak")))
					}
				})
			}
		}
	}
}

// Promise: CreateOnce makes at most one thing for a key, for any operation.
func TestOwnCreateOnce(t *testing.T) {
	ledger := pinterest.NewMemoryLedger()
	rec := &recorder{}
	s, c, _, opts := newStudio(t, "h1", append(rec.options(), pinterest.WithLedger(ledger))...)
	ctx := context.Background()
	a, err := pinterest.CreateOnce[thing](ctx, c, "job-1", opThingsCreate, thingRequest("oak"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := pinterest.CreateOnce[thing](ctx, c, "job-1", opThingsCreate, thingRequest("oak"))
	if err != nil || a.ID != b.ID || a.Name != b.Name || s.creates != 1 {
		t.Fatalf("%+v %+v %v, requests %d", a, b, err, s.creates)
	}
	if _, err := pinterest.CreateOnce[thing](ctx, c, "job-1", opThingsCreate, thingRequest("birch")); err == nil {
		t.Error("other content under the same key was accepted")
	} else {
		words(t, err)
	}
	if _, err := pinterest.CreateOnce[thing](ctx, c, "job-1", opThingsImport, thingRequest("oak")); err == nil {
		t.Error("another operation under the same key was accepted")
	}
	if _, err := pinterest.CreateOnce[thing](ctx, c, "job-2", opThingsCreate, pinterest.Request{Path: []string{"7"}, Body: thingCreate{Name: "x"}}); err == nil {
		t.Error("a create without a lookup was accepted")
	} else {
		words(t, err)
	}
	if _, err := pinterest.CreateOnce[thing](ctx, c, "", opThingsCreate, thingRequest("oak")); err == nil {
		t.Error("an empty key was accepted")
	}
	// the answer is lost and the list is down; then another process comes with the key
	s.set(func() {
		s.listDown = true
		s.create = func(_ int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
			commit()
			reply(w, 500, `{"message":"x"}`)
			return true
		}
	})
	if _, err := pinterest.CreateOnce[thing](ctx, c, "job-3", opThingsCreate, thingRequest("elm")); !errors.Is(err, pinterest.ErrUncertain) {
		t.Fatalf("want uncertain: %v", err)
	}
	s.set(func() { s.listDown, s.create = false, nil })
	other, err := pinterest.New(append([]pinterest.Option{pinterest.WithAccessToken(token)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	e, err := pinterest.CreateOnce[thing](ctx, other, "job-3", opThingsCreate, thingRequest("elm"))
	if made := s.named("elm"); err != nil || len(made) != 1 || made[0].ID != e.ID {
		t.Fatalf("%+v %v made %v", e, err, s.named("elm"))
	}
	var keyed int
	for _, ev := range rec.all() {
		if ev.JobKey == "job-3" {
			keyed++
		}
	}
	if keyed == 0 {
		t.Error("no event has the job's key")
	}
}

// Promise: sixteen callers with one key make one thing.
func TestCreateOnceAtOnce(t *testing.T) {
	ledger := pinterest.NewMemoryLedger()
	s, c, _, _ := newStudio(t, "h1", pinterest.WithLedger(ledger))
	s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			commit()
			panic(http.ErrAbortHandler)
		}
		return false
	}
	var wg sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		wg.Add(1)
		go func() {
			defer wg.Done()
			x, err := pinterest.CreateOnce[thing](context.Background(), c, "k", opThingsCreate, thingRequest("oak"))
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = x.ID
		}()
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("ids differ: %v", ids)
		}
	}
	if len(s.named("oak")) != 1 {
		t.Errorf("made %d", len(s.named("oak")))
	}
}

// Promise: a lookup is refused for a create that is not one of its own, and a result type that is not its own, before anything is sent.
func TestLookupOfAnother(t *testing.T) {
	s, c, _, _ := newStudio(t, "h1")
	op := opThingsCreate
	op.ID = "gadgets/create"
	if _, err := pinterest.Call[thing](context.Background(), c, op, thingRequest("oak")); err == nil {
		t.Error("the lookup of another operation was accepted")
	}
	if _, err := pinterest.Call[pinterest.Pin](context.Background(), c, opThingsCreate, thingRequest("oak")); err == nil {
		t.Error("a result of another type than the lookup's was accepted")
	}
	for name, change := range map[string]func(*pinterest.Lookup[thing]){
		"no match": func(l *pinterest.Lookup[thing]) { l.Match = nil },
		"no made":  func(l *pinterest.Lookup[thing]) { l.Made = nil },
		"no list":  func(l *pinterest.Lookup[thing]) { l.List = pinterest.Operation{} },
		"bad list": func(l *pinterest.Lookup[thing]) { l.In.Path = nil },
		"bad want": func(l *pinterest.Lookup[thing]) { l.Want = make(chan int) },
	} {
		l := thingWant{Shop: "7", Name: "oak"}.lookup()
		change(&l)
		_, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, pinterest.Request{Path: []string{"7"}, Body: thingCreate{Name: "oak"}, Lookup: l})
		if err == nil {
			t.Errorf("%s was accepted", name)
		} else {
			words(t, err)
		}
	}
	if s.creates != 0 {
		t.Errorf("%d creates were sent", s.creates)
	}
}

// Promise: a cancelled create, made all the same, is adopted by one last look or uncertain; never a plain failure.
func TestCanceledCreate(t *testing.T) {
	for _, proto := range protos {
		t.Run(proto, func(t *testing.T) {
			s, c, _, _ := newStudio(t, proto)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s.create = func(_ int, _ string, commit func() thing, _ http.ResponseWriter, r *http.Request) bool {
				commit()
				cancel()
				<-r.Context().Done()
				return true
			}
			x, err := pinterest.Call[thing](ctx, c, opThingsCreate, thingRequest("oak"))
			made := s.named("oak")
			if len(made) != 1 || (err == nil && x.ID != made[0].ID) || (err != nil && !errors.Is(err, pinterest.ErrUncertain)) {
				t.Fatalf("%+v %v made %v", x, err, made)
			}
		})
	}
}

// Promise: a match that cannot be told (no id, no time, a time in no known format) is never absence: it ends uncertain.
func TestMatchWithoutTimeIsNoAbsence(t *testing.T) {
	for _, item := range []string{
		`{"id":"5","name":"oak","note":"n"}`, `{"id":"5","name":"oak","note":"n","created_time":null}`, `{"id":"5","name":"oak","note":"n","created_time":"yesterday"}`,
		`{"name":"oak","note":"n","created_time":"2999-01-01T00:00:00Z"}`, `{"id":5,"name":"oak","note":"n","created_time":"NOW"}`, `{"id":null,"name":"oak","note":"n","created_time":"NOW"}`,
	} {
		t.Run(item, func(t *testing.T) {
			t.Parallel()
			clock := &jump{}
			var posts int
			var mu sync.Mutex
			base, more := serve(t, "h1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					reply(w, 200, `{"items":[`+strings.ReplaceAll(item, "NOW", clock.Now().UTC().Format(time.RFC3339))+`],"bookmark":null}`)
					return
				}
				mu.Lock()
				posts++
				mu.Unlock()
				reply(w, 500, `{}`)
			}))
			c := client(t, base, append(more, pinterest.WithClock(clock))...)
			x, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
			mu.Lock()
			defer mu.Unlock()
			if posts != 1 || (err == nil && x.ID == "") || (err != nil && !errors.Is(err, pinterest.ErrUncertain)) {
				t.Fatalf("posts %d, %+v, err %v", posts, x, err)
			}
		})
	}
}

// Promise: a create whose lookup cannot be asked (its list lacks a path value) is not sent twice, whatever else.
func TestLookupThatCannotBeAsked(t *testing.T) {
	s, c, _, _ := newStudio(t, "h1")
	s.create = func(_ int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		commit()
		reply(w, 500, `{}`)
		return true
	}
	l := thingWant{Shop: "7", Name: "oak"}.lookup()
	l.In.Path = nil
	_, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, pinterest.Request{Path: []string{"7"}, Body: thingCreate{Name: "oak"}, Lookup: l})
	if n := len(s.named("oak")); n > 1 || (n == 1 && !errors.Is(err, pinterest.ErrUncertain)) {
		t.Fatalf("made %d, err %v", n, err)
	}
	t.Log(err)
}

// Promise: deeper lag: the client's own recent thing is not in the list, so absence is not proved; once it shows, it is.
func TestLagThatEnds(t *testing.T) {
	s, c, clock, _ := newStudio(t, "h1")
	if _, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("first")); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.frozen, s.shown = true, nil })
	s.create = func(n int, _ string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		commit()
		until := clock.Slept() + 20*time.Second
		go func() {
			for clock.Slept() < until {
				time.Sleep(time.Millisecond)
			}
			s.set(func() { s.frozen = false })
		}()
		reply(w, 500, `{}`)
		return n >= 1
	}
	x, err := pinterest.Call[thing](context.Background(), c, opThingsCreate, thingRequest("oak"))
	if made := s.named("oak"); len(made) != 1 || (err == nil && x.ID != made[0].ID) || (err != nil && !errors.Is(err, pinterest.ErrUncertain)) {
		t.Fatalf("%+v %v made %v", x, err, made)
	}
}

type whole thing

func (w *whole) Complete() bool { return w.ID != "" }

type badOptions struct{}

func (badOptions) Query() url.Values { return nil }
func (badOptions) Validate() error {
	return errors.Join(pinterest.FieldError{Field: "opt_a", Problem: "is wrong"}, pinterest.FieldError{Field: "opt_b", Problem: "is wrong"})
}
