package waitqueue

// list is a doubly linked list of waiters in the order in which they go: by
// priority, and within a priority by the time since when they wait.
type list struct {
	first, last *Waiter
	n           int
	levels      [4]level // by priority, the lowest first
}

// level counts the waiters of one priority.
type level struct{ n, cost int }

// insert puts w behind those who go before it.
func (l *list) insert(w *Waiter) {
	after := l.last
	for after != nil && w.goesBefore(after) {
		after = after.prev
	}
	w.prev = after
	if after == nil {
		w.next, l.first = l.first, w
	} else {
		w.next, after.next = after.next, w
	}
	if w.next == nil {
		l.last = w
	} else {
		w.next.prev = w
	}
	l.count(w, 1)
}

func (l *list) remove(w *Waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.count(w, -1)
}

func (l *list) count(w *Waiter, n int) {
	l.n += n
	level := &l.levels[w.level()]
	level.n += n
	level.cost += n * w.Cost
}

// before returns the number and the cost of the waiters of w's priority and of
// higher ones.
func (l *list) before(w *Waiter) (cost, n int) {
	for _, level := range l.levels[w.level():] {
		cost += level.cost
		n += level.n
	}
	return cost, n
}

func (w *Waiter) goesBefore(o *Waiter) bool {
	if w.Priority != o.Priority {
		return w.Priority > o.Priority
	}
	return w.Since.Before(o.Since)
}

// level is the index of the waiter's priority in list.levels.
func (w *Waiter) level() int { return min(max(int(w.Priority)+1, 0), 3) }
