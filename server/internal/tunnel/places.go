package tunnel

import (
	"context"
	"sync"
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

// AwaitPlace waits until one more connection may be open, or ctx ends. Who
// accepts agents asks it before each connection: those that are not accepted
// cost no descriptor.
func (s *Server) AwaitPlace(ctx context.Context) {
	p := &s.places
	for {
		p.mu.Lock()
		if p.open < p.most {
			p.mu.Unlock()
			return
		}
		if p.freed == nil {
			p.freed = make(chan struct{})
		}
		freed := p.freed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return
		}
	}
}
