package route

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// TestTrieWithEqualHashes drives what random hashes never reach: more equal
// hashes than a leaf holds, beside one that differs in the last bit alone.
func TestTrieWithEqualHashes(t *testing.T) {
	t.Parallel()
	for _, h := range []uint32{0, 1, ^uint32(0)} {
		const n = 2 * maxLeaf
		pool := func(host string, h uint32) (key, *Pool) {
			ek := endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443}}
			k := keyOf(ek)
			p := newPool(&Endpoint{Key: ek}, &k, h)
			return k, &p
		}
		var root node
		leads := func(h uint32, k *key, to *Pool) bool {
			p := root.find(h, k)
			return p != nil && p.Pick() == to.Pick()
		}
		farHash := h ^ 1<<31
		far, farPool := pool("far", farHash)
		root = root.put(0, &far, farPool)
		keys, pools := make([]key, n), make([]*Pool, n)
		for i := range keys {
			keys[i], pools[i] = pool(fmt.Sprint("host", i), h)
			root = root.put(0, &keys[i], pools[i])
		}
		_, pools[2] = pool("host2", h)
		root = root.put(0, &keys[2], pools[2])
		for i := range keys {
			if !leads(h, &keys[i], pools[i]) {
				t.Fatalf("hash %#x: key %d leads to the wrong pool", h, i)
			}
		}
		if !leads(farHash, &far, farPool) || root.find(h, &far) != nil {
			t.Fatalf("hash %#x: a near hash leads to the wrong pool", h)
		}
		for i := range keys {
			root = root.remove(h, 0, &keys[i])
			if root.find(h, &keys[i]) != nil {
				t.Fatalf("hash %#x: key %d is still there", h, i)
			}
			if i+1 < n && !leads(h, &keys[n-1], pools[n-1]) {
				t.Fatalf("hash %#x: removing key %d lost the last one", h, i)
			}
		}
		if !leads(farHash, &far, farPool) {
			t.Fatalf("hash %#x: removing the others lost the far one", h)
		}
		root = root.remove(farHash, 0, &far)
		root.walk(func(p *Pool) bool {
			t.Errorf("hash %#x: %v is left at the end", h, p.Key())
			return true
		})
	}
}

func TestPoolFitsACacheLine(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Pool{}); unsafe.Sizeof(uintptr(0)) == 8 && size != 64 {
		t.Errorf("a pool takes %d bytes, want 64", size)
	}
}

func TestLongHostsAreToldApart(t *testing.T) {
	t.Parallel()
	long := func(last string) endpoint.Key {
		host := fmt.Sprintf("%060d.%060d.%s.example", 1, 2, last)
		return endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443}}
	}
	same, other := keyOf(long("a")), keyOf(long("b"))
	p := newPool(&Endpoint{Key: long("a")}, &same, 1)
	if !p.is(&same, 1) || p.is(&other, 1) {
		t.Errorf("pool of a long host: is(same) = %t, is(other) = %t", p.is(&same, 1), p.is(&other, 1))
	}
}
