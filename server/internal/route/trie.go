package route

// The table's pools lie in two tries over the hashes of their keys. Each level
// spends levelBits bits of the hash to choose among 64 nodes; at the end of
// the way lies a leaf, which is a small hash table of its own, with the pools
// themselves in it. Changing a key copies the nodes on its path and one leaf,
// and shares the rest.
//
// The branches are few and stay in the caches, so a lookup among very many
// names misses them once: at the slot that it is for. At a million names the
// branches take 128 KiB, and a change copies a leaf of 250 pools.
const (
	levelBits = 6
	fanOut    = 1 << levelBits
	// maxShift is where branching ends. It leaves bits of the hash to the
	// leaves, which use the upper ones.
	maxShift = 3 * levelBits
	// maxLeaf is how many pools a leaf takes before it becomes a branch: it
	// bounds what a change copies.
	maxLeaf = 512
)

// node is a branch if kids is not nil, else a leaf, possibly empty.
type node struct {
	kids *[fanOut]node
	// slots is a hash table with linear probing. It is at most 5/8 full, so
	// there always is an empty slot to end a search at.
	slots []Pool
}

// empty reports whether p is an empty slot.
func (p *Pool) empty() bool { return p.first[0] == nil }

// find returns the pool at k, which has the hash h, or nil.
func (n *node) find(h uint32, k *key) *Pool {
	for rest := h; n.kids != nil; rest >>= levelBits {
		n = &n.kids[rest%fanOut]
	}
	if len(n.slots) == 0 {
		return nil
	}
	if p := &n.slots[n.search(h, k)]; !p.empty() {
		return p
	}
	return nil
}

// search returns the slot of k in a leaf, or the empty one where it belongs.
func (n *node) search(h uint32, k *key) int {
	i := home(h, len(n.slots))
	for !n.slots[i].empty() && !n.slots[i].is(k, h) {
		if i++; i == len(n.slots) {
			i = 0
		}
	}
	return i
}

// home returns the first slot to look at among n.
func home(h uint32, n int) int { return int(uint64(h) * uint64(n) >> 32) } //nolint:gosec // n is small and not negative

// put returns n with p at its key k. The shift is that of n's level.
func (n *node) put(shift int, k *key, p *Pool) node {
	if n.kids != nil {
		kids := *n.kids
		kid := &kids[p.hash>>shift%fanOut]
		*kid = kid.put(shift+levelBits, k, p)
		return node{kids: &kids}
	}
	used := n.used()
	if used > 0 {
		if i := n.search(p.hash, k); !n.slots[i].empty() {
			slots := append([]Pool(nil), n.slots...)
			slots[i] = *p
			return node{slots: slots}
		}
	}
	if used == maxLeaf && shift < maxShift {
		b := n.branch(shift)
		kid := &b.kids[p.hash>>shift%fanOut]
		*kid = kid.put(shift+levelBits, k, p)
		return b
	}
	size := len(n.slots)
	if (used+1)*8 > size*5 {
		size = 2 * (used + 1)
	}
	l := n.sized(size)
	l.add(p)
	return l
}

// remove returns n without the pool at k, which has to be there. Leaves are
// not joined again: what was crowded once may become so again.
func (n *node) remove(h uint32, shift int, k *key) node {
	if n.kids != nil {
		kids := *n.kids
		kid := &kids[h>>shift%fanOut]
		*kid = kid.remove(h, shift+levelBits, k)
		return node{kids: &kids}
	}
	rest := node{slots: make([]Pool, len(n.slots))}
	gone := n.search(h, k)
	used := 0
	for i := range n.slots {
		if i != gone && !n.slots[i].empty() {
			rest.add(&n.slots[i])
			used++
		}
	}
	if used*4 < len(rest.slots) {
		return rest.sized(2 * used)
	}
	return rest
}

// sized returns a leaf with the pools of n in so many slots.
func (n *node) sized(size int) node {
	l := node{slots: make([]Pool, size)}
	if size == len(n.slots) {
		copy(l.slots, n.slots)
		return l
	}
	for i := range n.slots {
		if !n.slots[i].empty() {
			l.add(&n.slots[i])
		}
	}
	return l
}

// add puts a pool into a leaf that nobody else has yet, and that has neither
// its key nor too few slots.
func (n *node) add(p *Pool) {
	i := home(p.hash, len(n.slots))
	for !n.slots[i].empty() {
		if i++; i == len(n.slots) {
			i = 0
		}
	}
	n.slots[i] = *p
}

// branch returns the pools of a leaf spread over the nodes of a branch.
func (n *node) branch(shift int) node {
	var counts [fanOut]int
	for i := range n.slots {
		if p := &n.slots[i]; !p.empty() {
			counts[p.hash>>shift%fanOut]++
		}
	}
	b := node{kids: new([fanOut]node)}
	for i, count := range counts {
		b.kids[i].slots = make([]Pool, 2*count)
	}
	for i := range n.slots {
		if p := &n.slots[i]; !p.empty() {
			b.kids[p.hash>>shift%fanOut].add(p)
		}
	}
	return b
}

// build returns a node with many pools, each with a key of its own. The shift is that of the node's level.
func build(shift int, pools []*Pool) node {
	if len(pools) <= maxLeaf || shift >= maxShift {
		l := node{slots: make([]Pool, 2*len(pools))}
		for _, p := range pools {
			l.add(p)
		}
		return l
	}
	var parts [fanOut][]*Pool
	for _, p := range pools {
		i := p.hash >> shift % fanOut
		parts[i] = append(parts[i], p)
	}
	b := node{kids: new([fanOut]node)}
	for i, part := range parts {
		b.kids[i] = build(shift+levelBits, part)
	}
	return b
}

// used returns how many pools a leaf has.
func (n *node) used() int {
	used := 0
	for i := range n.slots {
		if !n.slots[i].empty() {
			used++
		}
	}
	return used
}

// walk calls yield for each pool until it returns false.
func (n *node) walk(yield func(*Pool) bool) bool {
	for i := range n.slots {
		if !n.slots[i].empty() && !yield(&n.slots[i]) {
			return false
		}
	}
	if n.kids == nil {
		return true
	}
	for i := range n.kids {
		if !n.kids[i].walk(yield) {
			return false
		}
	}
	return true
}
