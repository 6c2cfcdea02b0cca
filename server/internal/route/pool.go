package route

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// Pool is the set of endpoints that share a binding, host and port. It has at
// least one member and never changes.
//
// It is a slot of the table as well, and made to fit a cache line: a lookup
// among very many names costs what its cache misses cost, and this is the one
// that cannot be avoided. A host of usual length and a single member lie
// here, the rest behind more.
type Pool struct {
	hash    uint32
	port    uint16
	binding binding
	scheme  scheme
	n       uint8 // length of short; longHost if the host is too long for it
	short   [39]byte
	// first is nil in an empty slot of the table.
	first [1]*Endpoint
	more  *members // nil while there is one member
}

const longHost = 0xff

// members are those of a pool that has several.
type members struct {
	list []*Endpoint
	// next counts picks. The pools that follow each other at one address
	// share it, so that a change of members does not restart the turn.
	next *atomic.Uint32
}

// newPool returns the pool of e alone, for the key k of e with the given hash.
func newPool(e *Endpoint, k *key, hash uint32) Pool {
	p := Pool{hash: hash, port: k.port, binding: k.binding, scheme: schemeOf(e.Key.URL.Scheme), n: longHost}
	p.first[0] = e
	if len(k.host) <= len(p.short) {
		p.n = uint8(copy(p.short[:], k.host))
	}
	return p
}

// is reports whether p is the pool of k, which has the given hash.
func (p *Pool) is(k *key, hash uint32) bool {
	if p.hash != hash || p.port != k.port || p.binding != k.binding {
		return false
	}
	if p.n == longHost || k.binding != public {
		own := keyOf(p.first[0].Key)
		return own.host == k.host && own.account == k.account
	}
	return string(p.short[:p.n]) == k.host
}

// Key returns the key that the members share. For a public pool the account is
// that of the first member.
func (p *Pool) Key() endpoint.Key { return p.first[0].Key }

// Scheme returns the scheme of all members.
func (p *Pool) Scheme() endpoint.Scheme { return schemes[p.scheme] }

// Members returns the endpoints in the order in which they came. The caller
// must not change the slice.
func (p *Pool) Members() []*Endpoint {
	if p.more == nil {
		return p.first[:]
	}
	return p.more.list
}

// Pick chooses the member for the next connection or request: in turn, from a
// random start (decision 33).
func (p *Pool) Pick() *Endpoint {
	if p.more == nil {
		return p.first[0]
	}
	return p.more.list[p.more.turn()]
}

// Next returns the member that the next Pick will choose, and leaves it its
// turn. It is for a TLS handshake, whose first request takes the turn: if both
// took one, every connection with a single request would end up with the same
// member of two.
func (p *Pool) Next() *Endpoint {
	if p.more == nil {
		return p.first[0]
	}
	m := p.more
	return m.list[int(m.next.Load()+1)%len(m.list)]
}

// turn returns the index of the member whose turn it is.
func (m *members) turn() int { return int(m.next.Add(1)) % len(m.list) }

// PickTLS chooses like Pick among the members whose TLS settings have the
// given ID. It returns nil if there is none.
func (p *Pool) PickTLS(id string) *Endpoint {
	all := p.Members()
	at := 0
	if p.more != nil {
		at = p.more.turn()
	}
	for i := range all {
		if e := all[(at+i)%len(all)]; e.TLSID() == id {
			return e
		}
	}
	return nil
}

// with returns the pool with e as a further member, and whether that is
// another one. A member of another scheme cannot stay beside it and is
// dropped: the newest binding owns the address.
func (p *Pool) with(e *Endpoint) (Pool, bool) {
	all := p.Members()
	switch {
	case slices.Contains(all, e):
		return *p, false
	case p.scheme != schemeOf(e.Key.URL.Scheme):
		k := keyOf(e.Key)
		return newPool(e, &k, p.hash), true
	}
	n := *p
	n.more = &members{list: append(slices.Clip(all), e)}
	if p.more != nil {
		n.more.next = p.more.next
		return n, true
	}
	n.more.next = new(atomic.Uint32)
	n.more.next.Store(rand.Uint32()) //nolint:gosec // where the turn starts is no secret
	return n, true
}

// without returns the pool without e, empty if nobody is left, and whether
// that is another one.
func (p *Pool) without(e *Endpoint) (Pool, bool) {
	all := p.Members()
	i := slices.Index(all, e)
	if i < 0 {
		return *p, false
	}
	rest := slices.Concat(all[:i], all[i+1:])
	if len(rest) == 0 {
		return Pool{}, true
	}
	n := *p
	n.first[0], n.more = rest[0], nil
	if len(rest) > 1 {
		n.more = &members{list: rest, next: p.more.next}
	}
	return n, true
}
