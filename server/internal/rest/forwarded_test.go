package rest_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/rest"
)

// TestAPI45_BehindAReverseProxy: uri and next_page_uri are at the name that the client used, as a trusted proxy
// tells it. Whoever is not trusted tells nothing.
func TestAPI45_BehindAReverseProxy(t *testing.T) {
	t.Parallel()
	forwarded := []string{"X-Forwarded-Host: api.example.com", "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.7"}
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprintf("trusted=%t", trusted), func(t *testing.T) {
			t.Parallel()
			var seen netip.Addr
			c := serveAs(t, func(cfg *rest.Config) {
				cfg.Admit = func(_ string, from netip.Addr) error { seen = from; return nil }
				if trusted {
					cfg.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			origin, from := c.url, "127.0.0.1"
			if trusted {
				origin, from = "https://api.example.com", "192.0.2.7"
			}
			for i := range 3 {
				_, made := c.do("POST", "/vaults", fmt.Sprintf(`{"name":"v%d"}`, i), forwarded...)
				if uri, _ := made["uri"].(string); !strings.HasPrefix(uri, origin+"/vaults/") {
					t.Errorf("uri = %q, want it at %s", uri, origin)
				}
			}
			_, list := c.do("GET", "/vaults?limit=2", "", forwarded...)
			if next, _ := list["next_page_uri"].(string); !strings.HasPrefix(next, origin+"/vaults?") {
				t.Errorf("next_page_uri = %q, want it at %s", next, origin)
			}
			if seen.String() != from {
				t.Errorf("the address is %s, want %s", seen, from)
			}
		})
	}
}

// TestT20_ForwardedFieldsOfStrangers: behind a trusted proxy the last address that is not a proxy's own counts, and a
// name or scheme that is none is not believed.
func TestT20_ForwardedFieldsOfStrangers(t *testing.T) {
	t.Parallel()
	var seen netip.Addr
	c := serveAs(t, func(cfg *rest.Config) {
		cfg.Admit = func(_ string, from netip.Addr) error { seen = from; return nil }
		cfg.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	for _, tt := range []struct{ list, want string }{
		{"", "127.0.0.1"},
		{"192.0.2.7", "192.0.2.7"},
		{"198.51.100.1, 192.0.2.7", "192.0.2.7"},
		{"198.51.100.1, 192.0.2.7, 10.1.1.1", "192.0.2.7"},
		{"10.1.1.1", "10.1.1.1"},
		{"192.0.2.7:4711", "192.0.2.7"},
		{"[2001:db8::1]:4711", "2001:db8::1"},
		{"2001:db8::1", "2001:db8::1"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"192.0.2.7, unknown", "127.0.0.1"},
		{"192.0.2.7, ", "127.0.0.1"},
		{"192.0.2.7, nobody, 10.1.1.1", "10.1.1.1"},
		{"192.0.2.7" + strings.Repeat(", 10.1.1.1", 20), "10.1.1.1"},
	} {
		c.do("GET", "/vaults", "", "X-Forwarded-For: "+tt.list)
		if seen.String() != tt.want {
			t.Errorf("X-Forwarded-For: %s: got %s, want %s", tt.list, seen, tt.want)
		}
	}
	for _, tt := range []struct{ field, want string }{
		{"X-Forwarded-Host: a.test, b.test", "http://b.test"},
		{"X-Forwarded-Host: API.test:8443", "http://API.test:8443"},
		{"X-Forwarded-Host: [2001:db8::1]:80", "http://[2001:db8::1]:80"},
		{"X-Forwarded-Host: a.test/path", c.url},
		{"X-Forwarded-Host: user@a.test", c.url},
		{"X-Forwarded-Host: ", c.url},
		{"X-Forwarded-Proto: HTTPS", "https" + strings.TrimPrefix(c.url, "http")},
		{"X-Forwarded-Proto: javascript", c.url},
	} {
		_, list := c.do("GET", "/vaults", "", tt.field)
		if got := list["uri"]; got != tt.want+"/vaults" {
			t.Errorf("%s: uri = %v, want %s/vaults", tt.field, got, tt.want)
		}
	}
}
