package tunnel

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
)

// places counts the open connections of agents, so that they leave descriptors
// for the rest of the server (reliability-security.md T73).
type places struct {
	most int

	mu    sync.Mutex
	open  int           // guarded by mu, as is freed
	freed chan struct{} // closed when a place gets free; nil while nobody waits
}

// take takes a place if there is one.
func (p *places) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= p.most {
		return false
	}
	p.open++
	return true
}

// give gives a place back.
func (p *places) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
}

// await takes a place, waiting for one until ctx ends. It reports whether it
// has.
func (p *places) await(ctx context.Context) bool {
	for {
		p.mu.Lock()
		if p.open < p.most {
			p.open++
			p.mu.Unlock()
			return true
		}
		if p.freed == nil {
			p.freed = make(chan struct{})
		}
		freed := p.freed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// Accepting rests after it has failed, for longer from failure to failure.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Serve accepts agents from ln until it is closed or ctx ends, and returns when
// the handshakes that it began are over. A connection has its place before it
// is accepted: those that have to wait cost no descriptor.
func (s *Server) Serve(ctx context.Context, ln net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wait := acceptPauseMin
	for s.places.await(ctx) {
		conn, err := ln.Accept()
		if err == nil {
			wait = acceptPauseMin
			wg.Go(func() { s.serve(ctx, conn, s.tls) })
			continue
		}
		s.places.give()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of descriptors, most likely: others give theirs back.
		s.log.Warn("accept agent", "err", err, "retry_in", wait)
		if !backoff.Sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, acceptPauseMax)
	}
}
