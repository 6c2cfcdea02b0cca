package tunnel

import (
	"container/list"
	"context"
	"net/netip"
	"sync"

	"github.com/culvert-project/culvert/internal/netx"
)

// admission bounds the connections that are not authenticated yet. Beyond the
// bound they queue: after a restart all agents come back at once, and some of
// them wait for minutes once they have been turned away (agent-protocol.md
// 12.2).
type admission struct {
	all, perSource, queue int // limits

	mu      sync.Mutex
	pending int                  // guarded by mu, as is all below
	sources map[netip.Prefix]int // pending and waiting ones
	waiting list.List            // of chan struct{}, closed when its turn has come
	shut    chan struct{}        // closed when nobody is to wait any more
}

func newAdmission(l Limits) *admission {
	return &admission{all: l.Pending, perSource: l.PendingPerSource, queue: l.Queue, sources: map[netip.Prefix]int{}, shut: make(chan struct{})}
}

// close sends away who waits.
func (a *admission) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.shut:
	default:
		close(a.shut)
	}
}

// enter takes a place for a connection from addr, waiting for one no longer than
// ctx. It returns nil if there is none; else a function that gives the place
// back, to be called at least once.
func (a *admission) enter(ctx context.Context, addr netip.Addr) func() {
	src := netx.Source(addr)
	a.mu.Lock()
	if src.IsValid() && a.sources[src] >= a.perSource || a.pending >= a.all && a.waiting.Len() >= a.queue {
		a.mu.Unlock()
		return nil
	}
	if src.IsValid() {
		a.sources[src]++
	}
	leave := sync.OnceFunc(func() { a.leave(src) })
	if a.pending < a.all {
		a.pending++
		a.mu.Unlock()
		return leave
	}
	turn := make(chan struct{})
	e := a.waiting.PushBack(turn)
	a.mu.Unlock()
	select {
	case <-turn:
		return leave
	case <-a.shut:
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-turn: // at the last moment
		return leave
	default:
		a.waiting.Remove(e)
		a.forget(src)
		return nil
	}
}

// leave hands a place to whoever has waited longest, or gives it back.
func (a *admission) leave(src netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(src)
	if first := a.waiting.Front(); first != nil {
		close(a.waiting.Remove(first).(chan struct{}))
		return
	}
	a.pending--
}

// forget counts one connection of a source less. a.mu is held.
func (a *admission) forget(src netip.Prefix) {
	if !src.IsValid() {
		return
	}
	if a.sources[src]--; a.sources[src] <= 0 {
		delete(a.sources, src)
	}
}
