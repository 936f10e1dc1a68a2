package seam_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// A user's own resource: things of a shop.
type thing struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Note      string         `json:"note"`
	CreatedAt pinterest.Time `json:"created_time"`
}

type thingCreate struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

var (
	opThingsCreate  = pinterest.Operation{ID: "things/create", Method: "POST", Path: `/shops/{shop_id:\d+}/things`, Kind: pinterest.KindCreate, Category: "things_write"}
	opThingsImport  = pinterest.Operation{ID: "things/import", Method: "POST", Path: `/shops/{shop_id:\d+}/things/import`, Kind: pinterest.KindCreate, Category: "things_write"}
	opThingsList    = pinterest.Operation{ID: "things/list", Method: "GET", Path: `/shops/{shop_id:\d+}/things`, Kind: pinterest.KindRead, Category: "things_read"}
	opThingsGet     = pinterest.Operation{ID: "things/get", Method: "GET", Path: `/things/{thing_id:\d+}`, Kind: pinterest.KindRead, Category: "things_read"}
	opThingsUpdate  = pinterest.Operation{ID: "things/update", Method: "PATCH", Path: `/things/{thing_id:\d+}`, Kind: pinterest.KindWrite, Category: "things_write"}
	opThingsDelete  = pinterest.Operation{ID: "things/delete", Method: "DELETE", Path: `/things/{thing_id:\d+}`, Kind: pinterest.KindWrite, Category: "things_write", Removes: true, NoBody: true}
	opThingsArchive = pinterest.Operation{ID: "things/archive", Method: "POST", Path: `/things/{thing_id:\d+}/archive`, Kind: pinterest.KindWrite, Category: "things_write", NoBody: true}
)

type thingWant struct {
	Shop string `json:"shop"`
	Name string `json:"name"`
	Note string `json:"note"`
}

func (w thingWant) Validate() error {
	if w.Shop == "" {
		return errors.New("thingWant: no shop")
	}
	return nil
}

func (w thingWant) lookup() pinterest.Lookup[thing] {
	return pinterest.Lookup[thing]{
		Creates: []pinterest.Operation{opThingsCreate, opThingsImport},
		Want:    w,
		List:    opThingsList,
		In:      pinterest.Request{Path: []string{w.Shop}},
		Match:   func(x *thing) bool { return x.Name == w.Name && x.Note == w.Note },
		Made:    func(x *thing) (string, time.Time) { return x.ID, x.CreatedAt.Time },
		Key:     []string{w.Name},
	}
}

func thingRequest(name string) pinterest.Request {
	w := thingWant{Shop: "7", Name: name, Note: "n"}
	return pinterest.Request{Path: []string{"7"}, Body: thingCreate{Name: name, Note: "n"}, Lookup: w.lookup()}
}

// studio is the server of the things.
type studio struct {
	clock interface{ Now() time.Time }
	skew  time.Duration // of the server's clock

	mu       sync.Mutex
	next     int
	things   []thing // oldest first
	shown    []thing // what the list shows while it is frozen
	frozen   bool
	listDown bool
	pageSize int
	creates  int // requests
	lists    int
	deletes  int
	// create decides on the nth create request (from 1): it may answer by itself and returns true then.
	create func(n int, name string, commit func() thing, w http.ResponseWriter, r *http.Request) bool
	// remove decides on a delete.
	remove func(w http.ResponseWriter, r *http.Request) bool
}

func (s *studio) now() time.Time { return s.clock.Now().Add(s.skew) }

func (s *studio) add(name, note string) thing {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	x := thing{ID: strconv.Itoa(1000 + s.next), Name: name, Note: note, CreatedAt: pinterest.Time{Time: s.now().Truncate(time.Second).UTC()}}
	s.things = append(s.things, x)
	return x
}

func (s *studio) named(name string) []thing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []thing
	for _, x := range s.things {
		if x.Name == name {
			out = append(out, x)
		}
	}
	return out
}

func (s *studio) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen, s.shown = true, append([]thing(nil), s.things...)
}

func (s *studio) set(f func()) { s.mu.Lock(); f(); s.mu.Unlock() }

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (s *studio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	path := strings.TrimPrefix(r.URL.Path, "/v5")
	switch {
	case r.Method == "POST" && (strings.HasSuffix(path, "/things") || strings.HasSuffix(path, "/import")):
		var in thingCreate
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			reply(w, 400, `{"code":1,"message":"bad body"}`)
			return
		}
		s.mu.Lock()
		s.creates++
		n, hook := s.creates, s.create
		s.mu.Unlock()
		commit := func() thing { return s.add(in.Name, in.Note) }
		if hook != nil && hook(n, in.Name, commit, w, r) {
			return
		}
		reply(w, 201, mustJSON(commit()))
	case r.Method == "GET" && strings.HasSuffix(path, "/things"):
		s.mu.Lock()
		s.lists++
		down, list, size := s.listDown, s.things, s.pageSize
		if s.frozen {
			list = s.shown
		}
		list = append([]thing(nil), list...)
		s.mu.Unlock()
		if down {
			reply(w, 500, `{"code":0,"message":"list is down"}`)
			return
		}
		if size == 0 {
			size = 25
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("bookmark"))
		var items []thing
		for i := len(list) - 1 - from; i >= 0 && len(items) < size; i-- {
			items = append(items, list[i])
		}
		mark := "null"
		if from+size < len(list) {
			mark = fmt.Sprintf("%q", strconv.Itoa(from+size))
		}
		if items == nil {
			items = []thing{}
		}
		reply(w, 200, fmt.Sprintf(`{"items":%s,"bookmark":%s}`, mustJSON(items), mark))
	case r.Method == "DELETE":
		s.mu.Lock()
		s.deletes++
		hook := s.remove
		s.mu.Unlock()
		if hook != nil && hook(w, r) {
			return
		}
		id := path[strings.LastIndex(path, "/")+1:]
		s.mu.Lock()
		found := false
		for i, x := range s.things {
			if x.ID == id {
				s.things, found = append(s.things[:i:i], s.things[i+1:]...), true
				break
			}
		}
		s.mu.Unlock()
		if !found {
			reply(w, 404, `{"code":50,"message":"not found"}`)
			return
		}
		w.WriteHeader(204)
	default:
		reply(w, 404, `{"code":50,"message":"no such route"}`)
	}
}

// broken are ways in which the answer to a create is lost or useless. Each is used after and before the thing is made.
var broken = map[string]func(w http.ResponseWriter, r *http.Request){
	"reset":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"500":           func(w http.ResponseWriter, _ *http.Request) { reply(w, 500, `{"code":0,"message":"oops"}`) },
	"599":           func(w http.ResponseWriter, _ *http.Request) { reply(w, 599, `odd`) },
	"502 html":      func(w http.ResponseWriter, _ *http.Request) { reply(w, 502, `<html>bad gateway</html>`) },
	"408":           func(w http.ResponseWriter, _ *http.Request) { reply(w, 408, ``) },
	"425":           func(w http.ResponseWriter, _ *http.Request) { reply(w, 425, ``) },
	"2787":          func(w http.ResponseWriter, _ *http.Request) { reply(w, 400, `{"code":2787,"message":"Sorry!"}`) },
	"12":            func(w http.ResponseWriter, _ *http.Request) { reply(w, 400, `{"code":"12","message":"wrong"}`) },
	"201 {}":        func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{}`) },
	"201 null":      func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `null`) },
	"204":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	"200 []":        func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `[]`) },
	"200 empty":     func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, ``) },
	"200 spaces":    func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, "  \n") },
	"200 true":      func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `true`) },
	"200 string":    func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `"ok"`) },
	"201 id empty":  func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":"","name":"x"}`) },
	"201 id null":   func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":null,"name":"x"}`) },
	"201 id object": func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":{"a":1},"name":"x"}`) },
	"201 id list":   func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":["1"],"name":"x"}`) },
	"201 id bool":   func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":true}`) },
	"200 html": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "<html><body>Welcome</body></html>")
	},
	"201 truncated":  func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"id":"99","name":"x`) },
	"201 two values": func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, `{"name":"x"} {"id":"77"}`) },
	"202":            func(w http.ResponseWriter, _ *http.Request) { reply(w, 202, `{}`) },
	"201 short of length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "500")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"id":"99"`)
		panic(http.ErrAbortHandler)
	},
}
