package route

import (
	"fmt"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// TestTrieWithEqualHashes drives what random hashes never reach: more equal
// hashes than a bucket holds, beside one that differs in the last bit alone.
func TestTrieWithEqualHashes(t *testing.T) {
	t.Parallel()
	for _, h := range []uint64{0, 1, ^uint64(0)} {
		const n = 2 * maxBucket
		pool := func(host string) (key, *Pool) {
			ek := endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443}}
			return keyOf(ek), newPool(&Endpoint{Key: ek})
		}
		var root node
		far, farPool := pool("far")
		root = root.put(h^1<<63, 0, &far, farPool)
		keys, pools := make([]key, n), make([]*Pool, n)
		for i := range keys {
			keys[i], pools[i] = pool(fmt.Sprint("host", i))
			root = root.put(h, 0, &keys[i], pools[i])
		}
		_, pools[2] = pool("host2")
		root = root.put(h, 0, &keys[2], pools[2])
		for i := range keys {
			if got := root.find(h, &keys[i]); got != pools[i] {
				t.Fatalf("hash %#x: key %d leads to the wrong pool", h, i)
			}
		}
		if root.find(h^1<<63, &far) != farPool || root.find(h, &far) != nil {
			t.Fatalf("hash %#x: a near hash leads to the wrong pool", h)
		}
		for i := range keys {
			root = root.remove(h, 0, &keys[i])
			if root.find(h, &keys[i]) != nil {
				t.Fatalf("hash %#x: key %d is still there", h, i)
			}
			if i+1 < n && root.find(h, &keys[n-1]) != pools[n-1] {
				t.Fatalf("hash %#x: removing key %d lost the last one", h, i)
			}
		}
		if root.find(h^1<<63, &far) != farPool {
			t.Fatalf("hash %#x: removing the others lost the far one", h)
		}
		root = root.remove(h^1<<63, 0, &far)
		if root.kids != nil || len(root.bucket) != 0 {
			t.Errorf("hash %#x: not empty at the end", h)
		}
	}
}

func TestLongHostsAreToldApart(t *testing.T) {
	t.Parallel()
	long := func(last string) endpoint.Key {
		host := fmt.Sprintf("%060d.%060d.%s.example", 1, 2, last)
		return endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443}}
	}
	p, same, other := placeOf(long("a")), keyOf(long("a")), keyOf(long("b"))
	if !p.is(&same) || p.is(&other) {
		t.Errorf("place of a long host: is(same) = %t, is(other) = %t", p.is(&same), p.is(&other))
	}
}
