package route

import (
	"math/bits"
	"slices"
)

// The table's pools lie in two hash array mapped tries. Each level spends
// levelBits bits of a key's hash to choose among up to 32 nodes, of which only
// the occupied ones are stored; at the end of the way lies a bucket. Changing
// a key copies the nodes on its path and shares the rest.
//
// A lookup among very many names costs what its cache misses cost. Buckets
// keep the tree flat, and hold the hashes beside each other, so that with a
// million pools two places are touched that caches do not hold: the bucket and
// the pool.
const (
	levelBits = 5
	levelMask = 1<<levelBits - 1
	maxShift  = 64
	maxBucket = 32
)

// node is a branch if kids is not nil, else a bucket, possibly empty.
type node struct {
	// bits tells which children a branch has.
	bits   uint32
	kids   []node
	bucket []leaf
}

// leaf is one pool and the hash of its key.
type leaf struct {
	hash uint64
	pool *Pool
}

// find returns the pool at k whose hash is h, or nil.
func (n *node) find(h uint64, k *key) *Pool {
	for shift := 0; n.kids != nil; shift += levelBits {
		bit := uint32(1) << (h >> shift & levelMask)
		if n.bits&bit == 0 {
			return nil
		}
		n = &n.kids[bits.OnesCount32(n.bits&(bit-1))]
	}
	if i := n.index(h, k); i >= 0 {
		return n.bucket[i].pool
	}
	return nil
}

// index returns where k lies in a bucket, or -1.
func (n *node) index(h uint64, k *key) int {
	for i := range n.bucket {
		if n.bucket[i].hash == h && n.bucket[i].pool.at.is(k) {
			return i
		}
	}
	return -1
}

// put returns n with the pool p at k. The hash is k's; shift is the level of n.
func (n *node) put(h uint64, shift int, k *key, p *Pool) node {
	l := leaf{hash: h, pool: p}
	if n.kids == nil {
		if i := n.index(h, k); i >= 0 {
			bucket := slices.Clone(n.bucket)
			bucket[i] = l
			return node{bucket: bucket}
		}
		bucket := slices.Concat(n.bucket, []leaf{l})
		// Keys of equal hash stay together however many they are.
		if len(bucket) <= maxBucket || shift >= maxShift {
			return node{bucket: bucket}
		}
		return split(bucket, shift)
	}
	bit := uint32(1) << (h >> shift & levelMask)
	i := bits.OnesCount32(n.bits & (bit - 1))
	if n.bits&bit == 0 {
		return node{bits: n.bits | bit, kids: slices.Concat(n.kids[:i], []node{{bucket: []leaf{l}}}, n.kids[i:])}
	}
	kids := slices.Clone(n.kids)
	kids[i] = n.kids[i].put(h, shift+levelBits, k, p)
	return node{bits: n.bits, kids: kids}
}

// split makes a branch of the leaves of a bucket.
func split(bucket []leaf, shift int) node {
	var parts [1 << levelBits][]leaf
	for _, l := range bucket {
		i := l.hash >> shift & levelMask
		parts[i] = append(parts[i], l)
	}
	var n node
	for i, part := range parts {
		if part == nil {
			continue
		}
		n.bits |= 1 << i
		kid := node{bucket: part}
		if len(part) > maxBucket && shift+levelBits < maxShift {
			kid = split(part, shift+levelBits)
		}
		n.kids = append(n.kids, kid)
	}
	n.kids = slices.Clip(n.kids)
	return n
}

// remove returns n without the pool at k, which has to be there. Buckets are
// not joined again: what was crowded once may become so again.
func (n *node) remove(h uint64, shift int, k *key) node {
	if n.kids == nil {
		i := n.index(h, k)
		return node{bucket: slices.Concat(n.bucket[:i], n.bucket[i+1:])}
	}
	bit := uint32(1) << (h >> shift & levelMask)
	i := bits.OnesCount32(n.bits & (bit - 1))
	kid := n.kids[i].remove(h, shift+levelBits, k)
	if kid.kids != nil || len(kid.bucket) > 0 {
		kids := slices.Clone(n.kids)
		kids[i] = kid
		return node{bits: n.bits, kids: kids}
	}
	if len(n.kids) == 1 {
		return node{}
	}
	return node{bits: n.bits &^ bit, kids: slices.Concat(n.kids[:i], n.kids[i+1:])}
}

// walk calls yield for each pool until it returns false.
func (n *node) walk(yield func(*Pool) bool) bool {
	for i := range n.bucket {
		if !yield(n.bucket[i].pool) {
			return false
		}
	}
	for i := range n.kids {
		if !n.kids[i].walk(yield) {
			return false
		}
	}
	return true
}
