package route

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// maxLabels is one more than the labels that a host of 253 characters can have.
const maxLabels = 128

// Table finds the pool for a name. It is immutable. Make the first one with
// NewTable and further ones with With and Without.
type Table struct {
	seed  maphash.Seed
	exact node
	wild  node
	// depths counts the wildcard pools by the number of labels of their
	// suffix, and depthBits tells which counts are not zero: only suffixes of
	// these lengths are looked up.
	depths    map[uint8]int
	depthBits [maxLabels / 64]uint64
	endpoints int
	// reserved are the names that no wildcard serves. It never changes.
	reserved map[string]bool
}

// NewTable returns an empty table. The reserved names, which have to be
// canonical, are the server's own: a public wildcard around one does not serve
// it (decisions.md 51). An endpoint of exactly that name does.
func NewTable(reserved ...string) *Table {
	t := &Table{seed: maphash.MakeSeed(), reserved: make(map[string]bool, len(reserved))}
	for _, name := range reserved {
		t.reserved[name] = true
	}
	return t
}

// Len returns the number of endpoints in the table.
func (t *Table) Len() int { return t.endpoints }

// Pools iterates over all pools, in no particular order.
func (t *Table) Pools() iter.Seq[*Pool] {
	return func(yield func(*Pool) bool) {
		if t.exact.walk(yield) {
			t.wild.walk(yield)
		}
	}
}

// Lookup returns the pool for a name on a port of a public binding, or nil. The
// host has to be canonical: lower case, A-labels, neither trailing dot nor
// port. For public tcp the port alone counts, and host is ignored. The exact name
// goes before wildcards, and of these the longest suffix wins. If the best
// match has another scheme the answer is nil: traffic for a name that a tls
// endpoint owns never falls to an https wildcard around it.
//
// For other bindings, whose names belong to an account, see LookupAccount.
func (t *Table) Lookup(b endpoint.Binding, scheme endpoint.Scheme, host string, port uint16) *Pool {
	return t.LookupAccount("", b, scheme, host, port)
}

// LookupAccount is Lookup within the names of one account. The account is
// ignored for the public binding.
func (t *Table) LookupAccount(account string, b endpoint.Binding, scheme endpoint.Scheme, host string, port uint16) *Pool {
	k := key{host: host, account: account, port: port, binding: bindingOf(b)}
	if scheme == endpoint.TCP && k.binding == public {
		k.host = ""
	} else if host == "" {
		return nil
	}
	if p := t.lookup(&k); p != nil && p.scheme == schemeOf(scheme) {
		return p
	}
	return nil
}

// LookupName returns the public pool for a name whatever its scheme, or nil.
// It decides for a TLS connection whether https or tls serves its server name.
func (t *Table) LookupName(host string, port uint16) *Pool {
	if host == "" {
		return nil
	}
	return t.lookup(&key{host: host, port: port})
}

func (t *Table) lookup(k *key) *Pool {
	if strings.HasPrefix(k.host, "*") {
		// A pattern is no name that a client can ask for.
		return nil
	}
	if p := t.exact.find(t.hash(k), k); p != nil {
		return p
	}
	if t.depthBits == [len(t.depthBits)]uint64{} || k.binding == public && t.reserved[k.host] {
		return nil
	}
	return t.lookupWild(k)
}

// lookupWild tries the suffixes of k's host, longest first.
func (t *Table) lookupWild(k *key) *Pool {
	suffix := *k
	labels := strings.Count(k.host, ".") + 1
	for {
		dot := strings.IndexByte(suffix.host, '.')
		if dot < 0 {
			return nil
		}
		suffix.host = suffix.host[dot+1:]
		labels--
		if labels >= maxLabels || t.depthBits[labels/64]&(1<<(labels%64)) == 0 {
			continue
		}
		if p := t.wild.find(t.hash(&suffix), &suffix); p != nil {
			return p
		}
	}
}

func (t *Table) hash(k *key) uint32 {
	h := maphash.String(t.seed, k.host)
	if k.binding != public {
		h ^= bits.RotateLeft64(maphash.String(t.seed, k.account), 1)
	}
	// The product spreads the port over all bits: tcp pools differ in nothing
	// else.
	h ^= (uint64(k.port)<<8 | uint64(k.binding) + 1) * 0x9e3779b97f4a7c15
	return uint32(h>>32) ^ uint32(h) //nolint:gosec // folded
}

// trie returns the trie that an endpoint with this key belongs to.
func (t *Table) trie(ek endpoint.Key) *node {
	if ek.URL.IsWildcard() {
		return &t.wild
	}
	return &t.exact
}

// At returns the pool that an endpoint with this key is or would be in: the
// pool of exactly this name or pattern, whatever its scheme. It returns nil if
// there is none.
func (t *Table) At(ek endpoint.Key) *Pool {
	k := keyOf(ek)
	return t.trie(ek).find(t.hash(&k), &k)
}

// With returns a table that also has e, joined to the pool of its key. A pool
// of another scheme at the same host and port is replaced. If e is in the
// table already the table itself is returned.
func (t *Table) With(e *Endpoint) *Table {
	k := keyOf(e.Key)
	hash := t.hash(&k)
	old := t.trie(e.Key).find(hash, &k)
	n := *t
	trie := n.trie(e.Key)
	if old == nil {
		p := newPool(e, &k, hash)
		*trie = trie.put(0, &k, &p)
		n.endpoints++
		n.count(trie, &k, 1)
		return &n
	}
	p, changed := old.with(e)
	if !changed {
		return t
	}
	*trie = trie.put(0, &k, &p)
	n.endpoints += len(p.Members()) - len(old.Members())
	return &n
}

// WithAll returns a table that has all of them too, as With does one by one. It is made anew: for very many
// endpoints, as at a start, that is much quicker than a changed table for each.
func (t *Table) WithAll(es []*Endpoint) *Table {
	n := &Table{seed: t.seed, reserved: t.reserved}
	pools := make(map[bulkKey]*Pool, t.endpoints+len(es))
	for p := range t.Pools() {
		ek := p.Key()
		same := *p
		pools[bulkKey{keyOf(ek), ek.URL.IsWildcard()}] = &same
		n.endpoints += len(p.Members())
	}
	for _, e := range es {
		k := bulkKey{keyOf(e.Key), e.Key.URL.IsWildcard()}
		p := newPool(e, &k.key, t.hash(&k.key))
		if old := pools[k]; old != nil {
			n.endpoints -= len(old.Members())
			p, _ = old.with(e)
		}
		pools[k] = &p
		n.endpoints += len(p.Members())
	}
	var exact, wild []*Pool
	for k, p := range pools {
		if k.wild {
			wild = append(wild, p)
			n.count(&n.wild, &k.key, 1)
			continue
		}
		exact = append(exact, p)
	}
	n.exact, n.wild = build(0, exact), build(0, wild)
	return n
}

// bulkKey is the key of a pool and the trie that it belongs to.
type bulkKey struct {
	key
	wild bool
}

// Without returns a table that does not have e. Another endpoint at the same
// address stays, even one with the same ID; if e is not in the table the table
// itself is returned.
func (t *Table) Without(e *Endpoint) *Table {
	k := keyOf(e.Key)
	hash := t.hash(&k)
	old := t.trie(e.Key).find(hash, &k)
	if old == nil {
		return t
	}
	p, changed := old.without(e)
	if !changed {
		return t
	}
	n := *t
	n.endpoints--
	trie := n.trie(e.Key)
	if !p.empty() {
		*trie = trie.put(0, &k, &p)
		return &n
	}
	*trie = trie.remove(hash, 0, &k)
	n.count(trie, &k, -1)
	return &n
}

// count notes that a pool came or went, if it is a wildcard's. It is called on
// a copy that nobody else has yet.
func (t *Table) count(trie *node, k *key, by int) {
	if trie != &t.wild {
		return
	}
	labels := strings.Count(k.host, ".") + 1
	depths := make(map[uint8]int, len(t.depths)+1)
	for d, n := range t.depths {
		depths[d] = n
	}
	depths[uint8(labels)] += by
	t.depths = depths
	if depths[uint8(labels)] == 0 {
		delete(depths, uint8(labels))
		t.depthBits[labels/64] &^= 1 << (labels % 64)
		return
	}
	t.depthBits[labels/64] |= 1 << (labels % 64)
}
