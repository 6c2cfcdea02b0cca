package edge

import (
	"sync"
	"sync/atomic"
	"time"
)

// idleLooks is how often in an idle time a connection is looked at. It ends one
// look late, so that what watches an exchange by itself can still answer.
const idleLooks = 8

// idleWatch ends a public connection with requests under way when no byte has
// moved on it, in either direction, for the idle time and up to a quarter more
// (endpoints.md 16). It counts below TLS and HTTP/2, so that a PING is a sign
// of life. While no request is under way net/http's server watches by itself.
// The zero value is ready.
type idleWatch struct {
	moved atomic.Int64 // bytes, both ways

	mu     sync.Mutex
	active int         // requests under way
	total  int         // requests so far
	timer  *time.Timer // nil while nobody looks
	seen   int64
	quiet  int // looks since something moved
}

// begin notes a request and returns how many there were with it. If nothing
// moves for so long end is called, once.
func (w *idleWatch) begin(idle time.Duration, end func()) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active++
	w.total++
	if w.timer == nil && idle > 0 {
		w.seen, w.quiet = w.moved.Load(), 0
		w.timer = time.AfterFunc(idle/idleLooks, func() { w.look(idle, end) })
	}
	return w.total
}

// done notes the end of a request.
func (w *idleWatch) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active--
}

func (w *idleWatch) look(idle time.Duration, end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	moved := w.moved.Load()
	switch {
	case w.active == 0:
		w.timer = nil
		return
	case moved != w.seen:
		w.seen, w.quiet = moved, 0
	default:
		w.quiet++
	}
	if w.quiet > idleLooks {
		w.timer = nil
		go end() // closing may wait
		return
	}
	w.timer.Reset(idle / idleLooks)
}
