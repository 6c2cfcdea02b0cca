package claims_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
)

// Names, ports and how they are shown. Scenario 5 of endpoints.md 21 is among them.
func TestEndpoints05_ReserveChosen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, proto, url string
		shown            string
		host             string
		port             uint16
	}{
		{"no port", "https", "https://app.culvert.localhost", "https://app.culvert.localhost:9443", "app.culvert.localhost", 443},
		{"advertised port", "https", "https://app.culvert.localhost:9443", "https://app.culvert.localhost:9443", "app.culvert.localhost", 443},
		{"standard port", "https", "https://app.culvert.localhost:443", "https://app.culvert.localhost:9443", "app.culvert.localhost", 443},
		{"no scheme", "https", "app.culvert.localhost", "https://app.culvert.localhost:9443", "app.culvert.localhost", 443},
		{"protocol decides", "http", "https://app.culvert.localhost", "http://app.culvert.localhost:9080", "app.culvert.localhost", 80},
		{"http", "http", "http://app.culvert.localhost:80", "http://app.culvert.localhost:9080", "app.culvert.localhost", 80},
		{"http, advertised", "http", "http://app.culvert.localhost:9080", "http://app.culvert.localhost:9080", "app.culvert.localhost", 80},
		{"tls follows https", "tls", "tls://app.culvert.localhost", "tls://app.culvert.localhost:9443", "app.culvert.localhost", 443},
		{"extra listener", "https", "https://app.culvert.localhost:8443", "https://app.culvert.localhost:8443", "app.culvert.localhost", 8443},
		{"extra tls listener", "tls", "tls://app.culvert.localhost:5671", "tls://app.culvert.localhost:5671", "app.culvert.localhost", 5671},
		{"deep", "https", "https://a.b.c.culvert.localhost", "https://a.b.c.culvert.localhost:9443", "a.b.c.culvert.localhost", 443},
		{"wildcard", "https", "https://*.culvert.localhost", "https://*.culvert.localhost:9443", "*.culvert.localhost", 443},
		{"deep wildcard", "https", "https://*.b.culvert.localhost", "https://*.b.culvert.localhost:9443", "*.b.culvert.localhost", 443},
		{"base domain itself", "https", "https://culvert.localhost", "https://culvert.localhost:9443", "culvert.localhost", 443},
		{"second base domain", "https", "https://App.Example.COM.", "https://app.example.com:9443", "app.example.com", 443},
		{"international", "https", "https://bücher.example.com", "https://xn--bcher-kva.example.com:9443", "xn--bcher-kva.example.com", 443},
		{"kept label, deeper", "https", "https://connect.a.example.com", "https://connect.a.example.com:9443", "connect.a.example.com", 443},
		{"tcp", "tcp", "tcp://localhost:20003", "tcp://localhost:20003", "localhost", 20003},
		{"tcp, base domain", "tcp", "tcp://culvert.localhost:20003", "tcp://localhost:20003", "localhost", 20003},
		{"tcp, second base domain", "tcp", "example.com:20003", "tcp://localhost:20003", "localhost", 20003},
		{"tcp, extra port", "tcp", "tcp://localhost:5432", "tcp://localhost:5432", "localhost", 5432},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBinder(t, config(t))
			got := reserve(t, b, agent("a"), bind(tt.proto, tt.url))
			if got.URL != tt.shown || got.Host != tt.host || got.Port != tt.port || got.Scheme != tt.proto || got.Proto != tt.proto {
				t.Errorf("Reserve(%s %s) = %s, stored %s %s %d, want %s, stored %s %s %d",
					tt.proto, tt.url, got.URL, got.Scheme, got.Host, got.Port, tt.shown, tt.proto, tt.host, tt.port)
			}
			if got.Binding != "public" || got.Account != "ac" || got.ID != "b1" || !strings.HasPrefix(got.TunnelID, "ep_") || got.Token == "" {
				t.Errorf("Reserve = %+v, want binding, account, ids and token", got)
			}
		})
	}
}

func TestEndpoints04_ReserveRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, proto, url string
		code             fault.Code
		says             string
	}{
		{"http port", "http", "http://h.example.com:81", fault.PortRefused, "9080"},
		{"https port", "https", "https://h.example.com:8444", fault.PortRefused, "9443, 8443"},
		{"another scheme's extra port", "tls", "tls://h.example.com:8443", fault.PortRefused, "9443, 5671"},
		{"another scheme's advertised port", "http", "http://h.example.com:9443", fault.PortRefused, "9080"},
		{"tcp without port", "tcp", "tcp://h.example.com", fault.PortMissing, "port"},
		{"trailing slash", "https", "https://h.example.com/", fault.URLTrailingSlash, "Did you mean https://h.example.com?"},
		{"user info", "https", "https://user@h.example.com", fault.URLExtraPart, "user information"},
		{"foreign name", "https", "https://app.example.org", fault.NameNotReserved, "app.culvert.localhost"},
		{"foreign name that ends alike", "https", "https://notexample.com", fault.NameNotReserved, "culvert.localhost, example.com"},
		{"foreign wildcard", "https", "https://*.com", fault.NameNotReserved, ""},
		{"no dot", "https", "https://app", fault.NameNotReserved, ""},
		{"connect", "https", "https://connect.culvert.localhost", fault.NameKept, "connect.culvert.localhost"},
		{"api", "https", "https://api.example.com", fault.NameKept, ""},
		{"idp", "http", "http://idp.example.com", fault.NameKept, ""},
		{"console", "tls", "tls://console.example.com", fault.NameKept, ""},
		{"internal, too deep", "https", "https://a.b.c.d.e.f.internal", fault.InternalDepth, ""},
		{"scheme and protocol differ", "tls", "https://h.example.com", fault.SchemeMismatch, ""},
		{"tcp and https differ", "https", "tcp://localhost:20000", fault.SchemeMismatch, ""},
		{"unknown scheme", "https", "ftp://h.example.com", fault.SchemeRefused, ""},
		{"unknown protocol", "udp", "", fault.ProtoUnknown, "http, https, tcp and tls"},
		{"ssh", "ssh", "", fault.ProtoUnknown, ""},
		{"no protocol", "", "", fault.ProtoUnknown, ""},
		{"tcp foreign host", "tcp", "tcp://app.example.org:20000", fault.TCPAddressUnknown, "tcp://localhost:20000"},
		{"tcp below base", "tcp", "tcp://app.example.com:20000", fault.TCPAddressUnknown, ""},
		{"tcp below range", "tcp", "tcp://localhost:19999", fault.TCPAddressUnknown, "20000-20009"},
		{"tcp above range", "tcp", "tcp://localhost:20010", fault.TCPAddressUnknown, ""},
		{"tcp wildcard", "tcp", "tcp://*.example.com:20000", fault.WildcardTCP, ""},
	}
	b := newBinder(t, config(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := b.Reserve(t.Context(), agent("a"), bind(tt.proto, tt.url))
			if !fault.Has(err, tt.code) {
				t.Fatalf("Reserve(%s %s) = %v, want code %s", tt.proto, tt.url, err, tt.code)
			}
			if text := fault.From(err).Wire(); !strings.Contains(text, tt.says) {
				t.Errorf("refusal = %q, want it to mention %q", text, tt.says)
			}
		})
	}
}

func TestReserveBindings(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	for _, tt := range []struct {
		bindings []string
		url      string
		code     fault.Code
	}{
		{nil, "", ""},
		{[]string{}, "", ""},
		{[]string{"public"}, "", ""},
		{[]string{"internal"}, "https://a.internal", ""},
		{[]string{"kubernetes"}, "", fault.KubernetesNoHost},
		{[]string{"internal"}, "", fault.InternalNoHost},
		{[]string{"internal"}, "https://a.example.com", fault.InternalSuffix},
		{[]string{"public"}, "https://a.internal", fault.PublicInternal},
		{[]string{"kubernetes"}, "https://a.b", fault.KubernetesScheme},
		{[]string{"global"}, "", fault.BindingInvalid},
		{[]string{"public", "public"}, "", fault.BindingRepeated},
	} {
		w := bind("https", tt.url)
		w.Extra.Bindings = tt.bindings
		if _, err := b.Reserve(t.Context(), agent("a"), w); tt.code == "" && err != nil || tt.code != "" && !fault.Has(err, tt.code) {
			t.Errorf("Reserve(%q, bindings %q) = %v, want code %q", tt.url, tt.bindings, err, tt.code)
		}
	}
}

// Scenario 1: an empty URL gives https and 12 hexadecimal digits under the first base domain.
func TestEndpoints01_ReserveRandom(t *testing.T) {
	t.Parallel()
	tests := []struct{ proto, url, want string }{
		{"https", "", `^https://[0-9a-f]{12}\.culvert\.localhost:9443$`},
		{"https", "https://", `^https://[0-9a-f]{12}\.culvert\.localhost:9443$`},
		{"http", "http://", `^http://[0-9a-f]{12}\.culvert\.localhost:9080$`},
		{"tls", "tls://", `^tls://[0-9a-f]{12}\.culvert\.localhost:9443$`},
		{"tcp", "", `^tcp://localhost:2000[0-9]$`},
		{"tcp", "tcp://", `^tcp://localhost:2000[0-9]$`},
	}
	for _, tt := range tests {
		t.Run(tt.proto+" "+tt.url, func(t *testing.T) {
			t.Parallel()
			b := newBinder(t, config(t))
			first, second := reserve(t, b, agent("a"), bind(tt.proto, tt.url)), reserve(t, b, agent("a"), bind(tt.proto, tt.url))
			if form := regexp.MustCompile(tt.want); !form.MatchString(first.URL) {
				t.Errorf("URL = %s, want the form %s", first.URL, form)
			}
			if first.URL == second.URL || first.TunnelID == second.TunnelID {
				t.Errorf("two random binds got %s %s and %s %s, want different ones", first.URL, first.TunnelID, second.URL, second.TunnelID)
			}
		})
	}
}

func TestStandardPortsAreNotShown(t *testing.T) {
	t.Parallel()
	b := newBinder(t, claims.Config{Sealer: newVault(t), Domains: []string{"example.com"}, TCPFirst: 1000, TCPLast: 1001})
	for _, tt := range []struct{ proto, url, want string }{
		{"https", "https://a.example.com", "https://a.example.com"},
		{"http", "http://a.example.com:80", "http://a.example.com"},
		{"tls", "b.example.com", "tls://b.example.com"},
		{"tcp", "tcp://example.com:1000", "tcp://example.com:1000"},
	} {
		if got := reserve(t, b, agent("a"), bind(tt.proto, tt.url)).URL; got != tt.want {
			t.Errorf("Reserve(%s %s) = %s, want %s", tt.proto, tt.url, got, tt.want)
		}
	}
	// Without a .localhost domain, localhost is no address of the server.
	refused(t, b, agent("a"), bind("tcp", "tcp://localhost:1001"), fault.TCPAddressUnknown)
}

// Each client names the wanted address in its own key (agent-protocol.md 7).
func TestWantedAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, proto, opts, want string
	}{
		{"Go v2", "https", `{"URL":"https://a.example.com"}`, "https://a.example.com:9443"},
		{"Rust 0.17", "https", `{"Domain":"a.example.com"}`, "https://a.example.com:9443"},
		{"older", "http", `{"Hostname":"a.example.com"}`, "http://a.example.com:9080"},
		{"oldest", "https", `{"Subdomain":"a"}`, "https://a.culvert.localhost:9443"},
		{"order", "https", `{"Subdomain":"s","Hostname":"h.example.com","Domain":"d.example.com","URL":"u.example.com"}`, "https://u.example.com:9443"},
		{"Domain before Hostname", "tls", `{"Hostname":"h.example.com","Domain":"d.example.com","URL":""}`, "tls://d.example.com:9443"},
		{"lower-case key", "https", `{"url":"a.example.com"}`, "https://a.example.com:9443"},
		{"tcp URL", "tcp", `{"URL":"tcp://localhost:20001","Addr":"localhost:20002"}`, "tcp://localhost:20001"},
		{"tcp Addr", "tcp", `{"Addr":"localhost:20002"}`, "tcp://localhost:20002"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := reserve(t, newBinder(t, config(t)), agent("a"), wire.Bind{Proto: tt.proto, Opts: json.RawMessage(tt.opts)})
			if got.URL != tt.want {
				t.Errorf("Reserve(%s) = %s, want %s", tt.opts, got.URL, tt.want)
			}
		})
	}
	for _, opts := range []string{"", "null", "{}"} {
		if got := reserve(t, newBinder(t, config(t)), agent("a"), wire.Bind{Proto: "https", Opts: json.RawMessage(opts)}); got.URL == "" {
			t.Errorf("Reserve with options %q got no URL", opts)
		}
	}
}

// The answer's options hold what strict clients need, and lead back to the same address when all else is lost.
func TestOptsEcho(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, proto, opts string
		want              map[string]string // keys that must be there, as JSON
	}{
		{"Rust http", "https", `{"Domain":"a.example.com","Compression":null}`, map[string]string{
			"Hostname": `"a.example.com"`, "Domain": `"a.example.com"`, "Auth": `""`, "Subdomain": `""`, "HostHeaderRewrite": `false`, "ProxyProto": `0`,
		}},
		{"Go random", "https", `{"URL":"https://","Hostname":"","ProxyProto":2}`, map[string]string{"ProxyProto": `2`}},
		{"extra listener", "https", `{"URL":"https://a.example.com:8443"}`, map[string]string{"Hostname": `"a.example.com:8443"`, "URL": `"https://a.example.com:8443"`}},
		{"no options", "https", ``, map[string]string{"Auth": `""`, "Subdomain": `""`, "HostHeaderRewrite": `false`, "ProxyProto": `0`}},
		{"tcp", "tcp", `{"Addr":"localhost:20001"}`, map[string]string{"Addr": `"localhost:20001"`, "ProxyProto": `0`}},
		{"tcp random", "tcp", `{"URL":"tcp://"}`, map[string]string{"ProxyProto": `0`}},
		{"tls", "tls", `{"Domain":"a.example.com"}`, map[string]string{
			"Hostname": `"a.example.com"`, "Subdomain": `""`, "ProxyProto": `0`, "MutualTLSAtAgent": `false`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			got := reserve(t, newBinder(t, cfg), agent("a"), wire.Bind{Proto: tt.proto, Opts: json.RawMessage(tt.opts)})
			var m map[string]json.RawMessage
			if err := json.Unmarshal(got.Opts, &m); err != nil {
				t.Fatal(err)
			}
			for key, want := range tt.want {
				if string(m[key]) != want {
					t.Errorf("Opts[%s] = %s, want %s", key, m[key], want)
				}
			}
			// A fresh server that shares no key with the first one: only the options are left.
			cfg.Sealer, cfg.Ports = newVault(t), newPorts()
			back := reserve(t, newBinder(t, cfg), agent("a"), again(wire.Bind{Proto: tt.proto}, got))
			if back.URL != got.URL {
				t.Errorf("from its options alone the endpoint comes back as %s, want %s", back.URL, got.URL)
			}
		})
	}
}
