package route

import (
	"sync"
	"sync/atomic"
)

// Router is the current table. Its zero value is not usable; make one with
// NewRouter.
type Router struct {
	table atomic.Pointer[Table]
	lost  expected

	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// NewRouter returns a router with an empty table. For the reserved names see
// [NewTable].
func NewRouter(reserved ...string) *Router {
	r := &Router{}
	r.table.Store(NewTable(reserved...))
	return r
}

// Table returns the current table. An exchange keeps the one it began with.
func (r *Router) Table() *Table { return r.table.Load() }

// Update replaces the table by what change makes of it, and returns the new
// one. Updates follow each other; change must not call the router. Many
// changes in one call cost their readers one wake-up.
func (r *Router) Update(change func(*Table) *Table) *Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.table.Load()
	t := change(old)
	if t == old {
		return t
	}
	r.table.Store(t)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return t
}

// Changed returns a channel that is closed when the table is replaced. To wait
// for a pool, take the channel first and look into the table afterwards.
func (r *Router) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}
