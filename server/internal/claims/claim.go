package claims

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// place is what endpoints compete for: a host and port, or for public tcp a port, with an empty host. Internal
// names are each account's own.
type place struct {
	account, host string
	port          uint16
}

func placeOf(account string, u endpoint.URL) place {
	switch {
	case BindingOf(u) == endpoint.Internal:
		return place{account: account, host: u.Host, port: u.Port}
	case u.Scheme == endpoint.TCP:
		return place{port: u.Port}
	}
	return place{host: u.Host, port: u.Port}
}

// site is a place that is taken: by one claim, or by several that are a pool.
type site struct {
	scheme  endpoint.Scheme
	members []*claim
	// busy is closed when the opening or closing of the site's port is over; nil when there is none. A busy
	// site changes only at the hands of who made it busy.
	busy chan struct{}
	// shut says that its port is not open yet, for stored endpoints that are known before the edge runs.
	shut bool
}

// claim is the hold of one agent or stored endpoint on one place. id, account, url, random and stored never
// change.
type claim struct {
	id, account string
	url         endpoint.URL
	random      bool // the server has chosen the URL
	stored      bool // it is a stored endpoint's, which has no session
	pooled      bool
	session     string      // of the agent that holds it, or held it last
	bound       *wire.Bound // does not change; nil until Reserve is about to return
	modules     []module    // of the bind; a patch of the policy leaves them as they are
	// A claim without an agent is in the list of held ones until its time is over.
	elem  *list.Element
	until time.Time
}

// What can keep a place from being had, besides the end of a context.
var (
	errTaken = errors.New("the place is taken")
	errBusy  = errors.New("another program has the port")
	errFails = errors.New("the port cannot be opened")
	errFull  = errors.New("too many endpoints are online")
	// errOthersAlone and errAlone are kinds of errTaken: those who have the place do not share it, or this one
	// would not.
	errOthersAlone = fmt.Errorf("%w, and not shared", errTaken)
	errAlone       = fmt.Errorf("%w, and shared by others", errTaken)
)

// place claims want.url for agent, or takes over the claim with the id of want if there is one, whatever its
// URL. With free set it fails unless nobody at all has the place.
func (b *Binder) place(ctx context.Context, agent wire.Agent, r request, want claim, free bool) (*claim, error) {
	for {
		c, opened, wait, closing, err := b.tryPlace(agent, r, want, free)
		b.close(closing)
		switch {
		case wait != nil:
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case err != nil:
			return nil, err
		case opened:
			return c, b.open(c)
		}
		return c, nil
	}
}

// listens reports whether an endpoint has a port of its own to be opened.
func (b *Binder) listens(u endpoint.URL) bool {
	return u.Scheme == endpoint.TCP && BindingOf(u) == endpoint.Public && b.cfg.Ports != nil
}

// tryPlace is one try of place under the lock. If opened is true the caller has to open the claim's port;
// if wait is not nil the try is to be repeated once it is closed.
func (b *Binder) tryPlace(agent wire.Agent, r request, want claim, free bool) (c *claim, opened bool, wait <-chan struct{}, closing []uint16, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	closing = b.expire(time.Now())
	at := want.url
	if !want.stored {
		if c = b.byID[want.id]; c != nil {
			at = c.url
		}
	}
	p := placeOf(want.account, at)
	s := b.sites[p]
	reserved := b.reservedFor(p, want.account, free)
	switch {
	case s != nil && s.busy != nil && free:
		return nil, false, nil, closing, errTaken
	case s != nil && s.busy != nil:
		return nil, false, s.busy, closing, nil
	case c != nil:
		return c, false, nil, closing, b.takeOver(c, s, agent, r)
	case s != nil && free, b.foreign(p, want.account):
		return nil, false, nil, closing, errTaken
	case reserved != nil:
		return nil, false, nil, closing, reserved
	case len(b.byID)-b.held.Len()+b.storedClaims >= b.limits.Load().Endpoints:
		return nil, false, nil, closing, errFull
	case r.most != nil && b.online[want.account] >= *r.most:
		return nil, false, nil, closing, &quotaError{*r.most}
	}
	if s == nil {
		s = &site{scheme: r.scheme}
		b.addSite(p, s)
		switch {
		case !b.listens(at):
		case want.stored && !b.running:
			s.shut = true
		default:
			s.busy, opened = make(chan struct{}), true
		}
	} else if err := b.admit(s, nil, agent.Account, r); err != nil {
		return nil, false, nil, closing, err
	}
	c = &want
	c.session, c.pooled = agent.SessionID, r.pooled
	if !c.random {
		b.choose(p, r.scheme)
	}
	s.scheme = r.scheme
	s.members = append(s.members, c)
	if c.stored {
		b.storedClaims++
	} else {
		b.byID[c.id] = c
	}
	b.count(c.account, 1)
	return c, opened, nil, closing, nil
}

// foreign reports whether another account has a place of the same public host, by another scheme or port: a name is
// one account's, or cookies and redirects of one would reach the other. b.mu is held.
func (b *Binder) foreign(p place, account string) bool {
	if p.account != "" || p.host == "" {
		return false
	}
	for q := range b.hosts.at(p.host) {
		for _, c := range b.sites[q].members {
			if c.account != account {
				return true
			}
		}
	}
	return false
}

// takeOver gives a claim to agent, who has proved by a token that it is its own. Its refusal is final: the
// claim is known, so no other place would do.
func (b *Binder) takeOver(c *claim, s *site, agent wire.Agent, r request) error {
	if c.account != agent.Account || s.scheme != r.scheme || b.admit(s, c, agent.Account, r) != nil {
		return fault.New(fault.URLTaken, b.Show(c.url))
	}
	if c.elem != nil {
		b.held.Remove(c.elem)
		c.elem = nil
		b.count(c.account, 1)
	}
	c.session, c.pooled = agent.SessionID, r.pooled
	return nil
}

// admit judges whether account may join the members of a site, of which self does not count (endpoints.md
// 9.1). Held claims of the same account make way if they have to.
func (b *Binder) admit(s *site, self *claim, account string, r request) error {
	fits := func(m *claim) bool {
		return m == self || m.account == account && s.scheme == r.scheme && m.pooled && r.pooled
	}
	for _, m := range s.members {
		switch {
		case fits(m) || m.elem != nil && m.account == account:
		case m.account != account || s.scheme != r.scheme || m.pooled == r.pooled:
			return errTaken
		case m.pooled:
			return errAlone
		default:
			return errOthersAlone
		}
	}
	for _, m := range slices.Clone(s.members) {
		if !fits(m) {
			b.forget(m, s)
		}
	}
	return nil
}

// forget removes a claim and leaves its site, which may be empty then, to the caller.
func (b *Binder) forget(c *claim, s *site) {
	if c.elem != nil {
		b.held.Remove(c.elem)
		c.elem = nil
	} else {
		b.count(c.account, -1)
	}
	if c.stored {
		b.storedClaims--
	} else {
		delete(b.byID, c.id)
	}
	s.members = slices.DeleteFunc(s.members, func(m *claim) bool { return m == c })
}

// drop removes a claim, and its site with the last one. It returns the port to close, if there is one.
func (b *Binder) drop(c *claim) (closing []uint16) {
	p := placeOf(c.account, c.url)
	s := b.sites[p]
	b.forget(c, s)
	switch {
	case len(s.members) > 0:
	case s.busy != nil: // who opens its port finds it empty
	case b.listens(c.url) && !s.shut:
		s.busy = make(chan struct{})
		return []uint16{p.port}
	default:
		b.deleteSite(p)
	}
	return nil
}

// hold keeps a claim for an agent that was lost. It returns ports to close.
func (b *Binder) hold(c *claim, until time.Time) (closing []uint16) {
	c.until = until
	c.elem = b.held.PushBack(c)
	b.count(c.account, -1)
	for b.held.Len() > b.limits.Load().Held {
		closing = append(closing, b.drop(b.held.Front().Value.(*claim))...) //nolint:forcetypeassert // of claims only
	}
	return closing
}

// expire drops held claims whose time is over. All are held equally long, so the oldest come first. It
// returns ports to close.
func (b *Binder) expire(now time.Time) (closing []uint16) {
	for e := b.held.Front(); e != nil; e = b.held.Front() {
		c := e.Value.(*claim) //nolint:forcetypeassert // of claims only
		if now.Before(c.until) {
			break
		}
		closing = append(closing, b.drop(c)...)
	}
	return closing
}

// open opens the port of a claim whose site is busy.
func (b *Binder) open(c *claim) error {
	err := b.cfg.Ports.Claim(c.url.Port)
	b.mu.Lock()
	defer b.mu.Unlock()
	p := placeOf(c.account, c.url)
	s := b.sites[p]
	close(s.busy)
	s.busy = nil
	if err != nil {
		b.forget(c, s)
		b.deleteSite(p)
		return openFailure(err)
	}
	return nil
}

// close closes ports whose sites are busy and empty, and frees the places.
func (b *Binder) close(ports []uint16) {
	for _, port := range ports {
		b.cfg.Ports.Release(port)
		b.mu.Lock()
		p := place{port: port}
		close(b.sites[p].busy)
		b.deleteSite(p)
		b.mu.Unlock()
	}
}

// refusal turns what kept a place from being had into what the agent is told.
func (b *Binder) refusal(err error, u endpoint.URL) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTaken):
		return fault.New(fault.URLTaken, b.Show(u))
	case errors.Is(err, errForeign):
		return fault.New(fault.AddressForeign, b.TCPAddress(u.Port))
	case errors.Is(err, errBusy):
		return fault.Wrap(err, fault.TCPPortBusy, u.Port)
	case errors.Is(err, errFails):
		return fault.Wrap(err, fault.TCPPortFailed, u.Port, why(err))
	case errors.Is(err, errFull):
		return fault.New(fault.TooManyEndpoints, b.limits.Load().Endpoints)
	}
	if q, ok := errors.AsType[*quotaError](err); ok {
		return q.fault(fault.TooManyEndpoints)
	}
	return err
}
