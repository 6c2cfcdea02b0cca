package claims_test

import (
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// Internal names need nothing reserved, take any port, and are shown without an advertised one.
func TestEndpoints06_InternalBinding(t *testing.T) {
	t.Parallel()
	tests := []struct {
		proto, url, binding string
		shown               string
		port                uint16
		code                fault.Code
	}{
		{proto: "https", url: "foo.internal", shown: "https://foo.internal", port: 443},
		{proto: "https", url: "https://foo.internal", binding: "internal", shown: "https://foo.internal", port: 443},
		{proto: "http", url: "http://foo.internal", shown: "http://foo.internal", port: 80},
		{proto: "tls", url: "tls://foo.internal", shown: "tls://foo.internal", port: 443},
		{proto: "https", url: "https://Foo.Internal.:9443", shown: "https://foo.internal:9443", port: 9443},
		{proto: "tcp", url: "tcp://db.internal:22", shown: "tcp://db.internal:22", port: 22},
		{proto: "https", url: "https://*.svc.internal", shown: "https://*.svc.internal", port: 443},
		{proto: "https", url: "https://api.internal", shown: "https://api.internal", port: 443},
		{proto: "https", url: "https://foo.internal", binding: "public", code: fault.PublicInternal},
		{proto: "https", url: "https://x.example.com", binding: "internal", code: fault.InternalSuffix},
		{proto: "https", url: "https://", binding: "internal", code: fault.InternalNoHost},
		{proto: "tcp", url: "tcp://", binding: "internal", code: fault.InternalNoHost},
		{proto: "tcp", url: "tcp://db.internal", code: fault.PortMissing},
		{proto: "tcp", url: "tcp://*.internal:22", code: fault.WildcardTCP},
		{proto: "http", url: "http://a.b", binding: "kubernetes", code: fault.BindingNotBuilt},
	}
	for _, tt := range tests {
		t.Run(tt.proto+" "+tt.url+" "+tt.binding, func(t *testing.T) {
			t.Parallel()
			b := newBinder(t, config(t))
			w := bind(tt.proto, tt.url)
			if tt.binding != "" {
				w.Extra.Bindings = []string{tt.binding}
			}
			if tt.code != "" {
				refused(t, b, agent("a"), w, tt.code)
				return
			}
			got := reserve(t, b, agent("a"), w)
			if got.URL != tt.shown || got.Binding != "internal" || got.Account != "ac" || got.Port != tt.port {
				t.Errorf("got %s, binding %s of %s, port %d; want %s, internal, port %d", got.URL, got.Binding, got.Account, got.Port, tt.shown, tt.port)
			}
		})
	}
}

func TestEndpoints07_DepthOfInternalNames(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	reserve(t, b, agent("a"), bind("https", "https://a.b.c.d.e.internal"))
	refused(t, b, agent("a"), bind("https", "https://a.b.c.d.e.f.internal"), fault.InternalDepth)
}

// Internal names are each account's own; within one they conflict and pool as public ones do.
func TestEndpoints08_InternalNamesPerAccount(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://api.internal", "http://api.internal", "tls://*.api.internal", "tcp://db.internal:20001"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			proto, _, _ := strings.Cut(url, ":")
			cfg := config(t)
			machine := newPorts()
			cfg.Ports = machine
			b := newBinder(t, cfg)
			own := reserve(t, b, agent("a"), bind(proto, url))
			theirs := reserve(t, b, agentOf("other", "b"), bind(proto, url))
			if own.Account == theirs.Account || own.URL != theirs.URL {
				t.Errorf("got %s of %s and %s of %s", own.URL, own.Account, theirs.URL, theirs.Account)
			}
			refused(t, b, agent("c"), bind(proto, url), fault.URLTaken)
			refused(t, b, agentOf("other", "c"), pooled(bind(proto, url)), fault.URLTaken)

			// Held for their owners, and back with them.
			release(b, agent("a"), own, false)
			if got := reserve(t, b, agent("d"), again(bind(proto, url), own)); got.TunnelID != own.TunnelID || got.Binding != "internal" {
				t.Errorf("came back as %s (%s), want %s", got.TunnelID, got.Binding, own.TunnelID)
			}
			release(b, agentOf("other", "b"), theirs, true)
			pool := reserve(t, b, agentOf("other", "b"), pooled(bind(proto, url)))
			if member := reserve(t, b, agentOf("other", "c"), pooled(bind(proto, url))); member.URL != pool.URL {
				t.Errorf("pool members %s and %s", pool.URL, member.URL)
			}
			if open := machine.Opened(t); len(open) > 0 {
				t.Errorf("ports %v are open for internal endpoints", open)
			}
		})
	}
	// Two names on one port of tcp are two endpoints, and no public port is theirs.
	b := newBinder(t, config(t))
	reserve(t, b, agent("a"), bind("tcp", "tcp://a.internal:20001"))
	reserve(t, b, agent("a"), bind("tcp", "tcp://b.internal:20001"))
	reserve(t, b, agent("a"), bind("tcp", "tcp://localhost:20001"))
}
