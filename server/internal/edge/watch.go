package edge

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// idleLooks is how often in an idle time a connection is looked at. It ends
	// one look late, so that what watches an exchange by itself can still
	// answer.
	idleLooks = 8
	// rateTime is how much longer than its rate allows a transfer may take, and
	// rateCredit how much of the time that it was ahead counts for it. rateLook
	// is how often it is looked at.
	rateTime   = time.Minute
	rateCredit = 5 * time.Minute
	rateLook   = rateTime / 4
)

// watch looks after the requests under way on a public connection. It ends the
// connection when no byte has moved on it, in either direction, for the idle
// time and up to a quarter more (endpoints.md 16), and an exchange whose client
// sends or takes its body more slowly than the limits say
// (reliability-security.md 9.1). Bytes are counted below TLS and HTTP/2, so
// that a PING is a sign of life. While no request is under way net/http's
// server watches by itself. The zero value is ready.
type watch struct {
	in, out atomic.Int64 // bytes from and to the client
	open    atomic.Int32 // requests under way

	mu     sync.Mutex
	active []*exchange
	total  int         // requests so far
	timer  *time.Timer // nil while nobody looks
	at     time.Time   // of the last look
	seen   int64
	quiet  time.Duration // since something moved
}

// moved is how many bytes have moved, both ways.
func (w *watch) moved() int64 { return w.in.Load() + w.out.Load() }

// begin notes a request and returns how many there were with it.
func (w *watch) begin(x *exchange) int {
	l := &x.h.limits
	w.open.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active = append(w.active, x)
	w.total++
	if every := l.lookEvery(); w.timer == nil && every > 0 {
		w.seen, w.quiet, w.at = w.moved(), 0, time.Now()
		w.timer = time.AfterFunc(every, func() { w.look(l, x.cc) })
	}
	return w.total
}

// done notes the end of a request.
func (w *watch) done(x *exchange) {
	w.open.Add(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.active, x); i >= 0 {
		last := len(w.active) - 1
		w.active[i], w.active[last] = w.active[last], nil
		w.active = w.active[:last]
	}
}

// lookEvery is how often requests under way are looked at, 0 for never.
func (l *Limits) lookEvery() time.Duration {
	every := max(0, l.IdleTimeout/idleLooks)
	if (l.BodyRate > 0 || l.WriteRate > 0) && (every == 0 || every > rateLook) {
		return rateLook
	}
	return every
}

func (w *watch) look(l *Limits, cc *clientConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.active) == 0 {
		w.timer = nil
		return
	}
	now := time.Now()
	elapsed := now.Sub(w.at)
	w.at = now
	if moved := w.moved(); moved != w.seen {
		w.seen, w.quiet = moved, 0
	} else {
		w.quiet += elapsed
	}
	if l.IdleTimeout > 0 && w.quiet > l.IdleTimeout {
		w.timer = nil
		go cc.breakOff() // closing may wait
		return
	}
	for _, x := range w.active {
		x.tooSlow(elapsed) // w.mu keeps it from ending
	}
	w.timer.Reset(l.lookEvery())
}

// tooSlow ends what the client sends or takes too slowly.
func (x *exchange) tooSlow(elapsed time.Duration) {
	l := &x.h.limits
	if b := x.judged.Load(); b != nil && b.pace.slow(elapsed, l.BodyRate) {
		b.slow.Store(true)
		b.stop()
	}
	if !x.out.slow(elapsed, l.WriteRate) {
		return
	}
	if x.r.ProtoMajor == 1 {
		go x.cc.breakOff()
		return
	}
	// The other streams of the connection go on.
	_ = http.NewResponseController(x.w).SetWriteDeadline(longAgo) // it may have ended
}

// cut ends an exchange whose endpoint is gone.
func (x *exchange) cut() {
	w := &x.cc.watch
	w.mu.Lock() // keeps it from ending
	defer w.mu.Unlock()
	switch {
	case !slices.Contains(w.active, x): // it has ended or is a socket
	case x.r.ProtoMajor == 1:
		go x.cc.breakOff()
	default:
		_ = http.NewResponseController(x.w).SetWriteDeadline(longAgo) // as in tooSlow
	}
}

// pace tells whether somebody moves bytes fast enough while they are waited
// for. A transfer gets further into debt the longer it is waited for, and every
// byte pays a part of it back; ahead of its rate it gathers credit.
type pace struct {
	waiting atomic.Bool
	bytes   atomic.Int64

	// The rest belongs to the watch.
	waited  bool // at the last look
	counted int64
	debt    time.Duration
}

// slow looks at the transfer again, elapsed after the last look, and reports
// whether it is too slow for a rate in bytes a second. A rate of 0 is always
// met.
func (p *pace) slow(elapsed time.Duration, rate int) bool {
	if rate <= 0 {
		return false
	}
	n := p.bytes.Load()
	paid := min(n-p.counted, int64(rate)*int64((rateCredit+rateTime)/time.Second))
	p.counted = n
	p.debt = max(p.debt-time.Duration(paid)*time.Second/time.Duration(rate), -rateCredit)
	waiting := p.waiting.Load()
	if waiting && p.waited {
		p.debt += elapsed
	}
	p.waited = waiting
	return p.debt >= rateTime
}
