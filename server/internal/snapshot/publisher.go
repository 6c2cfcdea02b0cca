package snapshot

import (
	"context"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/route"
)

// Returning is how long the agent of a lost name is expected back
// (reliability-security.md 7, D5).
const Returning = 15 * time.Second

// Tunnel is an endpoint that leads to a client: to an agent, or to a plain SSH
// client. It is compared by identity.
type Tunnel interface {
	route.Upstream
	// ID returns the endpoint's id.
	ID() string
	// Bound returns what was reserved for the endpoint.
	Bound() *wire.Bound
	// Agent returns the session that bound it.
	Agent() wire.Agent
	// BoundAt returns when that was, and Region where the client is connected.
	BoundAt() time.Time
	Region() string
}

// Of is a publisher for tunnels of one type, as the packages that have them ask
// for it.
type Of[T Tunnel] struct{ *Publisher }

// Publish is [Publisher.Publish].
func (p Of[T]) Publish(ctx context.Context, t T) error { return p.Publisher.Publish(ctx, t) }

// Withdraw is [Publisher.Withdraw].
func (p Of[T]) Withdraw(t T, clean bool) { p.Publisher.Withdraw(t, clean) }

// Publisher keeps a router's table in step with the tunnels that are online.
type Publisher struct {
	router *route.Router
	meters *meter.Meters

	mu     sync.Mutex
	online map[Tunnel]*route.Endpoint // guarded by mu, as is all below
	// byID and byAccount find the tunnels that are online; the second key of byAccount is the tunnel's id.
	byID      map[string]Tunnel
	byAccount map[string]map[string]Tunnel
	waiting   []*change
	applying  bool
}

// change is one step from a table to the next.
type change struct {
	drop, add *route.Endpoint
	// done, if not nil, is closed when a table with the change is current.
	done chan struct{}
}

// New returns a publisher for router. Only it may change the router's table. What
// the endpoints do is counted by meters, nil for nobody.
func New(router *route.Router, meters *meter.Meters) *Publisher {
	return &Publisher{
		router: router, meters: meters, online: map[Tunnel]*route.Endpoint{},
		byID: map[string]Tunnel{}, byAccount: map[string]map[string]Tunnel{},
	}
}

// Publish makes t reachable, or puts its changed form in the place of the one
// published before. It does not fail.
func (p *Publisher) Publish(_ context.Context, t Tunnel) error {
	e := Endpoint(t.Bound(), t.Agent(), t.BoundAt(), t, p.meters)
	p.mu.Lock()
	c := &change{drop: p.online[t], add: e}
	p.online[t] = e
	p.note(t, e.Account)
	p.apply(c)
	return nil
}

// Withdraw takes t out of reach. If it was not lost cleanly its agent is
// expected back for [Returning], and connections for its name wait a moment. A
// tunnel that is not published is left alone.
func (p *Publisher) Withdraw(t Tunnel, clean bool) {
	p.mu.Lock()
	e := p.online[t]
	if e == nil {
		p.mu.Unlock()
		return
	}
	delete(p.online, t)
	p.unnote(t, e.Account)
	c := &change{drop: e}
	if !clean {
		p.router.Expect(e.Key, time.Now().Add(Returning))
	}
	p.apply(c)
}

// apply returns once the changes are in one table together. It is called with p.mu
// held and releases it. Whoever finds nobody applying does so for all who wait,
// and leaves those who come meanwhile to somebody else.
func (p *Publisher) apply(cs ...*change) {
	done := make(chan struct{})
	cs[len(cs)-1].done = done
	p.waiting = append(p.waiting, cs...)
	if p.applying {
		p.mu.Unlock()
		<-done
		return
	}
	p.applying = true
	if p.applyWaiting() {
		go func() {
			p.mu.Lock()
			for p.applyWaiting() {
				p.mu.Lock()
			}
		}()
	}
}

// applyWaiting applies what waits, and reports whether more has come meanwhile; otherwise nobody applies any
// more. It is called with p.mu held and releases it.
func (p *Publisher) applyWaiting() (more bool) {
	batch := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	p.router.Update(func(t *route.Table) *route.Table { return changed(t, batch) })
	for _, c := range batch {
		if c.done != nil {
			close(c.done)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applying = len(p.waiting) > 0
	return p.applying
}

// manyNew is how many endpoints that only come, in proportion to those there are, make a table anew.
const manyNew = 4

// changed returns a table with the changes in their order.
func changed(t *route.Table, batch []*change) *route.Table {
	added := make([]*route.Endpoint, 0, len(batch))
	for _, c := range batch {
		if c.drop == nil && c.add != nil {
			added = append(added, c.add)
		}
	}
	if len(added) == len(batch) && len(added)*manyNew > t.Len() {
		return t.WithAll(added)
	}
	for _, c := range batch {
		if c.drop != nil {
			t = t.Without(c.drop)
		}
		if c.add != nil {
			t = t.With(c.add)
		}
	}
	return t
}
