package route

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// Pool is the set of endpoints that share a binding, host and port. It has at
// least one member and never changes.
type Pool struct {
	at      place
	members []*Endpoint
	key     endpoint.Key
	// next counts picks. The pools that follow each other at one address
	// share it, so that a change of members does not restart the turn.
	next *atomic.Uint32
}

func newPool(e *Endpoint) *Pool {
	p := &Pool{at: placeOf(e.Key), key: e.Key, members: []*Endpoint{e}, next: new(atomic.Uint32)}
	p.next.Store(rand.Uint32()) //nolint:gosec // where the turn starts is no secret
	return p
}

// Key returns the key that the members share. For a public pool the account is
// that of the first member.
func (p *Pool) Key() endpoint.Key { return p.key }

// Scheme returns the scheme of all members.
func (p *Pool) Scheme() endpoint.Scheme { return p.key.URL.Scheme }

// Members returns the endpoints in the order in which they came. The caller
// must not change the slice.
func (p *Pool) Members() []*Endpoint { return p.members }

// Pick chooses the member for the next connection or request: in turn, from a
// random start (decision 33).
func (p *Pool) Pick() *Endpoint {
	if len(p.members) == 1 {
		return p.members[0]
	}
	return p.members[int(p.next.Add(1))%len(p.members)]
}

// PickTLS chooses like Pick among the members whose TLS settings have the
// given ID. It returns nil if there is none.
func (p *Pool) PickTLS(id string) *Endpoint {
	n := len(p.members)
	at := 0
	if n > 1 {
		at = int(p.next.Add(1)) % n
	}
	for i := range n {
		if e := p.members[(at+i)%n]; e.TLSID() == id {
			return e
		}
	}
	return nil
}

// with returns the pool with e as a further member. A member of another
// scheme cannot stay beside it and is dropped: the newest binding owns the
// address.
func (p *Pool) with(e *Endpoint) *Pool {
	if slices.Contains(p.members, e) {
		return p
	}
	if p.Scheme() != e.Key.URL.Scheme {
		return newPool(e)
	}
	// A full slice expression: pools of different tables must not append
	// into the same array.
	n := len(p.members)
	return &Pool{at: p.at, key: p.key, members: append(p.members[:n:n], e), next: p.next}
}

// without returns the pool without e, itself if e is no member, and nil if
// nobody is left.
func (p *Pool) without(e *Endpoint) *Pool {
	i := slices.Index(p.members, e)
	if i < 0 {
		return p
	}
	if len(p.members) == 1 {
		return nil
	}
	rest := slices.Concat(p.members[:i], p.members[i+1:])
	return &Pool{at: p.at, key: rest[0].Key, members: rest, next: p.next}
}
