package pinteresttest

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
)

// script holds the faults that have not been applied yet.
type script struct {
	mu     sync.Mutex
	random *rand.Rand
	last   int         // the number of the last fault injected
	faults []*scripted // in order of their numbers
	decide func(*Request) *Fault
}

// A scripted fault is a fault with its position in the order of injection.
type scripted struct {
	Fault
	number  int
	skipped int  // matching requests that have passed
	struck  int  // requests that it was applied to
	cleared bool // by ClearFaults
}

func newScript(seed uint64) *script {
	return &script{random: rand.New(rand.NewPCG(seed, 'F'))}
}

// Inject adds faults to the script. For each request they are tried in the
// order in which they were injected, and the first that matches is applied.
func (s *Server) Inject(faults ...Fault) {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		f.Header = f.Header.Clone()
		s.script.last++
		s.script.faults = append(s.script.faults, &scripted{Fault: f, number: s.script.last})
	}
}

// InjectFunc calls decide for each request that no injected fault applies to, and
// applies the fault that it returns, if any. The fields of that fault that select
// requests are ignored. decide is called from many goroutines at once and must not
// change the request. A nil decide removes the function.
func (s *Server) InjectFunc(decide func(r *Request) *Fault) {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.decide = decide
}

// ClearFaults removes every pending fault and the function of InjectFunc.
func (s *Server) ClearFaults() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	for _, f := range s.script.faults {
		f.cleared = true
	}
	s.script.faults, s.script.decide = nil, nil
}

// PendingFaults returns the faults that have not been applied as often as they
// should be, in the order of injection, with the rest of their Skip and Times.
func (s *Server) PendingFaults() []Fault {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	var pending []Fault
	for _, f := range s.script.faults {
		left := f.Fault
		left.Skip -= f.skipped
		if left.Times != Forever {
			left.Times -= f.struck
		}
		pending = append(pending, left)
	}
	return pending
}

// pick returns the fault to apply to the request, or nil. The conditions are
// evaluated without the lock, because they are the test's own code. giveBack
// returns a fault that was not applied after all.
func (sc *script) pick(r *http.Request, req *Request) (f *Fault, giveBack func()) {
	sc.mu.Lock()
	faults, decide := slices.Clone(sc.faults), sc.decide
	sc.mu.Unlock()

	for _, f := range faults {
		if f.Operation != "" && f.Operation != req.Operation || f.Match != nil && !f.Match(r, req.Body) {
			continue
		}
		if sc.take(f) {
			fault := f.Fault
			return &fault, func() { sc.giveBack(f) }
		}
	}
	if decide != nil {
		copied := *req
		return decide(&copied), func() {}
	}
	return nil, func() {}
}

// take counts a request that matches the fault and reports whether to apply it.
func (sc *script) take(f *scripted) bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	switch {
	case f.cleared || f.Times != Forever && f.struck >= f.Times:
		return false
	case f.skipped < f.Skip:
		f.skipped++
		return false
	case f.Chance > 0 && sc.random.Float64() >= f.Chance:
		return false
	}
	f.struck++
	if f.struck == f.Times {
		if i, ok := sc.find(f); ok {
			sc.faults = slices.Delete(sc.faults, i, i+1)
		}
	}
	return true
}

// giveBack undoes a take.
func (sc *script) giveBack(f *scripted) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	f.struck--
	if i, ok := sc.find(f); !ok && !f.cleared {
		sc.faults = slices.Insert(sc.faults, i, f)
	}
}

func (sc *script) find(f *scripted) (int, bool) {
	return slices.BinarySearchFunc(sc.faults, f.number, func(f *scripted, number int) int {
		return cmp.Compare(f.number, number)
	})
}
