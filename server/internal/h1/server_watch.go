package h1

import (
	"errors"
	"os"
	"sync"
	"time"
)

// clientWatch notices that the client of an exchange has gone, by reading on:
// a client that waits for its answer sends at most its next request, and is not
// watched when it has. Reading begins only when the exchange has lasted for a
// while and its body was read.
type clientWatch struct {
	timer *time.Timer

	mu     sync.Mutex
	active *incomingBody // of the exchange under way, nil if there is none
	ended  chan struct{} // closed when the read has returned; nil while there is none

	// got is what the read returned, once ended is closed.
	got  [1]byte
	n    int
	gone bool
}

// begin starts to watch.
func (w *clientWatch) begin(c *serverConn, body *incomingBody) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active = body
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, func() { w.look(c) })
		return
	}
	w.timer.Reset(watchAfter)
}

// look reads, unless the exchange is over. It runs on the timer's goroutine.
func (w *clientWatch) look(c *serverConn) {
	w.mu.Lock()
	switch {
	case w.active == nil, w.ended != nil:
		w.mu.Unlock()
		return
	case !w.active.done.Load():
		w.timer.Reset(watchAfter)
		w.mu.Unlock()
		return
	case c.r < c.w: // its next request: an end behind that is for later
		w.mu.Unlock()
		return
	}
	w.ended = make(chan struct{})
	defer close(w.ended)
	err := c.unbind()
	w.mu.Unlock()
	if err == nil {
		w.n, err = c.nc.Read(w.got[:])
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.gone = true
		c.cancel()
	}
}

// end stops watching. What was read goes where the next head is read from.
func (w *clientWatch) end(c *serverConn) {
	w.timer.Stop()
	w.mu.Lock()
	w.active = nil
	ended := w.ended
	w.mu.Unlock()
	if ended == nil {
		return
	}
	_ = c.nc.SetReadDeadline(aLongTimeAgo) // if it fails the read does too
	<-ended
	_ = c.nc.SetReadDeadline(time.Time{})
	w.ended = nil
	if w.n == 0 {
		return
	}
	c.room(len(c.buf) + 1) // a head was taken out of it
	c.w += copy(c.buf[c.w:], w.got[:w.n])
	w.n = 0
}
