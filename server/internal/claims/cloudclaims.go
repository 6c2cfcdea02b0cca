package claims

import (
	"context"
	"errors"
	"slices"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/store"
)

// standing is what a stored endpoint holds: the place that it is stored with, and those that updates under way
// would give it. It is guarded by Binder.mu.
type standing struct {
	claims []*claim
	// pending is how many updates are under way.
	pending int
	// revision, at and pooled are as stored; gone is set when the endpoint was deleted.
	revision store.Revision
	at       endpoint.URL
	pooled   bool
	gone     bool
}

// Stand claims the place of a stored endpoint for an update that is under way, beside the place that it has.
// Settle has to be called at the end of the update. Errors are *fault.Error, or the end of ctx.
func (b *Binder) Stand(ctx context.Context, want *Standing) error {
	return b.stand(ctx, want, limitOf(b.cfg.MostEndpoints, want.Account))
}

// stand is Stand with the limit of the account's endpoints, nil for none.
func (b *Binder) stand(ctx context.Context, want *Standing, most *int64) error {
	b.mu.Lock()
	s := b.standing[want.ID]
	if s == nil {
		s = &standing{}
		b.standing[want.ID] = s
	}
	s.pending++
	if c := s.holds(want.URL); c != nil {
		err := b.repool(c, want.Pooled)
		b.mu.Unlock()
		if err != nil {
			b.Settle(want, 0)
		}
		return err
	}
	if len(s.claims) > 0 {
		most = nil // it is to move
	}
	b.mu.Unlock()
	agent, r := wire.Agent{Account: want.Account}, request{scheme: want.URL.Scheme, pooled: want.Pooled, most: most}
	c, err := b.place(ctx, agent, r, claim{id: want.ID, account: want.Account, url: want.URL, stored: true}, false)
	if err != nil {
		b.Settle(want, 0)
		return b.storedRefusal(err, want.URL)
	}
	b.mu.Lock()
	s.claims = append(s.claims, c)
	b.mu.Unlock()
	return nil
}

// repool judges whether a claim may share its place, or not share it. Until the update is stored the stricter
// of both is in force. b.mu is held.
func (b *Binder) repool(c *claim, pooled bool) error {
	if pooled || !c.pooled {
		return nil
	}
	if s := b.sites[placeOf(c.account, c.url)]; len(s.members) > 1 {
		return fault.New(fault.EndpointAlone, b.Show(c.url))
	}
	c.pooled = false
	return nil
}

// holds returns the claim of a place.
func (s *standing) holds(u endpoint.URL) *claim {
	for _, c := range s.claims {
		if c.url == u {
			return c
		}
	}
	return nil
}

// Settle ends an update that Stand has begun: with its revision if it was stored, else with 0. With the last
// one all places are given up but that which is stored. The order of the calls does not matter.
func (b *Binder) Settle(want *Standing, stored store.Revision) {
	b.mu.Lock()
	s := b.standing[want.ID]
	s.pending--
	if stored > s.revision {
		s.revision, s.at, s.pooled = stored, want.URL, want.Pooled
	}
	closing := b.reconcile(want.ID, s)
	b.mu.Unlock()
	b.close(closing)
}

// reconcile gives up what a stored endpoint does not hold any more, unless an update is under way. It returns
// ports to close. b.mu is held.
func (b *Binder) reconcile(id string, s *standing) (closing []uint16) {
	if s.pending > 0 {
		return nil
	}
	s.claims = slices.DeleteFunc(s.claims, func(c *claim) bool {
		if !s.gone && s.revision > 0 && c.url == s.at {
			c.pooled = s.pooled
			return false
		}
		closing = append(closing, b.drop(c)...)
		return true
	})
	if len(s.claims) == 0 {
		delete(b.standing, id)
	}
	return closing
}

// storedRefusal turns what kept a place from being had into what the API says.
func (b *Binder) storedRefusal(err error, u endpoint.URL) error {
	switch {
	case errors.Is(err, errOthersAlone):
		return fault.New(fault.EndpointOtherAlone, b.Show(u))
	case errors.Is(err, errAlone):
		return fault.New(fault.EndpointAlone, b.Show(u))
	case errors.Is(err, errTaken):
		return fault.New(fault.EndpointTaken, b.Show(u))
	case errors.Is(err, errForeign):
		f := fault.New(fault.AddressForeign, b.TCPAddress(u.Port))
		return b.urlRefusal(f, b.Show(u), u)
	case errors.Is(err, errFull):
		return fault.New(fault.EndpointsTooMany, b.limits.Load().Endpoints)
	}
	if q, ok := errors.AsType[*quotaError](err); ok {
		return q.fault(fault.EndpointsTooMany)
	}
	return b.refusal(err, u)
}

// OpenPorts opens the ports of stored endpoints that are not open yet. It is to be called once the edge runs,
// and [Binder.Run] does so again from time to time. What cannot be opened is logged.
func (b *Binder) OpenPorts() {
	b.mu.Lock()
	b.running = true
	opening := map[place]endpoint.URL{}
	for p, s := range b.sites {
		if s.shut && s.busy == nil {
			s.busy = make(chan struct{})
			opening[p] = s.members[0].url
		}
	}
	b.mu.Unlock()
	for p, u := range opening {
		err := b.cfg.Ports.Claim(p.port)
		b.close(b.opened(p, err == nil))
		if err != nil && b.cfg.Logger != nil {
			b.cfg.Logger.Error("the port of a stored endpoint cannot be opened", "url", b.Show(u), "err", b.refusal(openFailure(err), u))
		}
	}
}

// opened ends the opening of the port of a stored endpoint. It returns the port if it is to be closed again,
// because nobody wants it any more.
func (b *Binder) opened(p place, ok bool) (closing []uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sites[p]
	s.shut = !ok
	switch {
	case len(s.members) > 0:
	case ok:
		return []uint16{p.port}
	default:
		b.deleteSite(p)
	}
	close(s.busy)
	s.busy = nil
	return nil
}

// Follow gives a stored endpoint the place that it is stored with. One that comes by the API has it already,
// or is about to; this is for those that were there before, or come otherwise. It fails if that cannot be had now.
func (b *Binder) Follow(want *Standing) error {
	b.mu.Lock()
	s := b.standing[want.ID]
	known := s != nil && (s.pending > 0 || s.revision >= want.Revision)
	holds := known && s.holds(want.URL) != nil
	if holds && want.Revision > s.revision {
		// The update under way may never hear that it was stored.
		s.revision, s.at, s.pooled = want.Revision, want.URL, want.Pooled
	}
	b.mu.Unlock()
	switch {
	case holds:
		return nil
	case known:
		return b.storedRefusal(errTaken, want.URL)
	}
	if err := b.stand(context.Background(), want, nil); err != nil { // it is stored: limits come too late
		return err
	}
	b.Settle(want, want.Revision)
	return nil
}

// Forget gives up the places of a stored endpoint that was deleted.
func (b *Binder) Forget(id string) {
	b.mu.Lock()
	var closing []uint16
	if s := b.standing[id]; s != nil {
		s.gone = true
		closing = b.reconcile(id, s)
	}
	b.mu.Unlock()
	b.close(closing)
}
