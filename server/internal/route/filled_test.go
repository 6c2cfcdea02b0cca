package route_test

import (
	"fmt"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

// filled returns a table with n exact names, and n/100 wildcards of their own.
func filled(n int) *route.Table {
	tab := route.NewTable()
	add := func(host string) {
		u := endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443}
		tab = tab.With(&route.Endpoint{ID: host, Key: endpoint.Key{Binding: endpoint.Public, URL: u}})
	}
	for i := range n {
		add(fmt.Sprintf("%012x.culvert.example", i))
	}
	for i := range n / 100 {
		add(fmt.Sprintf("*.w%d.culvert.example", i))
	}
	return tab
}

func TestLookupDoesNotAllocate(t *testing.T) {
	tab := filled(10_000)
	r := route.NewRouter()
	r.Expect(endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: "*.x.example", Port: 443}}, farAway())
	lookups := map[string]func(){
		"exact":    func() { tab.Lookup(endpoint.Public, endpoint.HTTPS, "000000000101.culvert.example", 443) },
		"wildcard": func() { tab.Lookup(endpoint.Public, endpoint.HTTPS, "a.b.w17.culvert.example", 443) },
		"miss":     func() { tab.Lookup(endpoint.Public, endpoint.HTTPS, "a.b.c.d.example.org", 443) },
		"pick":     func() { tab.LookupName("000000000101.culvert.example", 443).Pick() },
		"expected": func() { r.Expected(endpoint.HTTPS, "a.b.c.d.example.org", 443) },
	}
	for name, f := range lookups {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations for each call, want 0", name, n)
		}
	}
}
