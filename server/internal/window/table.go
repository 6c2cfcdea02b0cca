package window

import (
	"sync"
	"time"
)

// Slot is the step in which windows move.
const Slot = 10 * time.Second

// Bounds of a Table.
const (
	// DefaultKeys is how many keys a table holds unless told otherwise
	// (reliability-security.md T33).
	DefaultKeys = 100_000
	// slotsPerKey is how many slots there may be for each key of the bound, on
	// average over a shard.
	slotsPerKey = 64

	shards = 32
	// lookBack bounds the search for an entry that nobody asked for.
	lookBack = 16
)

// Table counts by key. Make it with New.
type Table struct {
	slots  uint32 // in a window
	start  time.Time
	shards [shards]shard
}

// shard is the part of the keys that one lock guards.
type shard struct {
	mu      sync.Mutex
	max     int // keys
	entries map[Key]*entry
	used    list
	slots   int    // of all entries
	latest  uint32 // slot that counted something
}

// entry is the window of one key.
type entry struct {
	key        Key
	prev, next *entry
	counts     []count // by rising slot
	sum        uint32
	seen       uint32 // the slot up to which expired counts are gone
	asked      bool   // since it was last at the front
	// space is where the counts of a short window are: a minute's need no other
	// memory, and lie beside the rest.
	space [6]count
}

// count is what one slot counted.
type count struct{ slot, n uint32 }

// New returns a table of windows of a length, which is rounded up to whole
// slots, for at most a number of keys, 0 for DefaultKeys.
func New(length time.Duration, keys int) *Table {
	if keys <= 0 {
		keys = DefaultKeys
	}
	t := &Table{slots: uint32((length + Slot - 1) / Slot), start: time.Now()} //nolint:gosec // some thousand
	for i := range t.shards {
		t.shards[i].max = (keys + shards - 1) / shards
	}
	return t
}

// Take counts one under a key if the window holds less than capacity. If not,
// it counts nothing and returns how long it takes until one will be free.
func (t *Table) Take(k Key, capacity uint32) (ok bool, wait time.Duration) {
	return t.ask(k, capacity, true)
}

// Look says what Take would, and counts nothing.
func (t *Table) Look(k Key, capacity uint32) (ok bool, wait time.Duration) {
	return t.ask(k, capacity, false)
}

func (t *Table) ask(k Key, capacity uint32, take bool) (ok bool, wait time.Duration) {
	since := time.Since(t.start)
	// Slots count from 1 window on, so that "now less a window" is never
	// negative.
	now := t.slots + uint32(since/Slot) //nolint:gosec // 2^32 slots are 1 300 years
	s := &t.shards[k[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[k]
	if e == nil {
		if !take {
			return true, 0
		}
		e = s.add(k, now, now-t.slots)
	} else {
		e.asked = true
		if e.seen != now {
			e.seen = now
			s.slots -= e.expire(now - t.slots)
		}
	}
	if e.sum >= capacity {
		return false, t.free(e, capacity, since)
	}
	if take {
		s.slots += e.add(now)
		s.latest = now
		s.trim(e)
	}
	return true, 0
}

// free returns how long it takes until fewer than capacity are in the window.
func (t *Table) free(e *entry, capacity uint32, since time.Duration) time.Duration {
	left := e.sum
	for _, c := range e.counts {
		if left -= c.n; left < capacity {
			return time.Duration(c.slot)*Slot - since // the slot's number is a window ahead
		}
	}
	return 0
}

// Len returns how many keys the table holds.
func (t *Table) Len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// Idle reports whether all windows are empty.
func (t *Table) Idle() bool {
	now := t.slots + uint32(time.Since(t.start)/Slot) //nolint:gosec // see ask
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		live := s.latest > now-t.slots
		s.mu.Unlock()
		if live {
			return false
		}
	}
	return true
}

// add makes an entry. It looks at two others, and drops them if they have
// expired, so that dead ones never outnumber the live by much.
func (s *shard) add(k Key, now, gone uint32) *entry {
	if s.entries == nil {
		s.entries = make(map[Key]*entry)
	}
	for range 2 {
		switch last := s.used.last; {
		case last == nil:
		case last.dead(gone):
			s.drop(last)
		case last.asked:
			last.asked = false
			s.used.front(last)
		}
	}
	if len(s.entries) >= s.max {
		s.drop(s.oldest())
	}
	e := &entry{key: k, seen: now}
	e.counts = e.space[:0]
	s.entries[k] = e
	s.used.push(e)
	return e
}

// oldest returns the entry to drop. One that was asked for since it was at the
// front goes back there: moving entries only here keeps a lookup from touching
// its neighbours.
func (s *shard) oldest() *entry {
	for range lookBack {
		e := s.used.last
		if !e.asked {
			break
		}
		e.asked = false
		s.used.front(e)
	}
	return s.used.last
}

// trim drops entries other than keep until the slots are within their bound.
func (s *shard) trim(keep *entry) {
	for s.slots > s.max*slotsPerKey && len(s.entries) > 1 {
		keep.asked = true
		s.used.front(keep)
		s.drop(s.oldest())
	}
}

func (s *shard) drop(e *entry) {
	delete(s.entries, e.key)
	s.used.remove(e)
	s.slots -= len(e.counts)
}

// dead reports whether nothing is left when slots up to gone are.
func (e *entry) dead(gone uint32) bool {
	return len(e.counts) == 0 || e.counts[len(e.counts)-1].slot <= gone
}

// expire forgets the slots up to gone and returns how many there were.
func (e *entry) expire(gone uint32) int {
	i := 0
	for ; i < len(e.counts) && e.counts[i].slot <= gone; i++ {
		e.sum -= e.counts[i].n
	}
	if i > 0 {
		e.counts = e.counts[:copy(e.counts, e.counts[i:])]
	}
	return i
}

// add counts one and returns how many slots that added.
func (e *entry) add(now uint32) int {
	e.sum++
	if n := len(e.counts); n > 0 && e.counts[n-1].slot == now {
		e.counts[n-1].n++
		return 0
	}
	e.counts = append(e.counts, count{now, 1})
	return 1
}
