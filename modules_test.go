package culvert_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// Modules travel as the bind options that the server knows (agent-protocol.md 9).
func TestModulesTravel(t *testing.T) {
	t.Parallel()
	binds := make(chan wire.Bind, 1)
	w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
		binds <- req
		return nil
	}})
	a := w.agent()
	share := 0.0
	all := culvert.Modules{
		AllowCIDRs: []string{"0.0.0.0/0"}, DenyCIDRs: []string{"10.0.0.0/8"},
		AllowUserAgents: []string{"^x"}, DenyUserAgents: []string{"y$"},
		BasicAuth: []string{"u:pass:word", "v:password"}, CircuitBreaker: &share, Compression: true,
		RequestHeaders:  culvert.HeaderChanges{Add: []string{"a:b"}},
		ResponseHeaders: culvert.HeaderChanges{Remove: []string{"c"}},
	}
	const addresses = `"IPRestriction":{"allow_cidrs":["0.0.0.0/0"],"deny_cidrs":["10.0.0.0/8"]}`
	const web = addresses + `,"UserAgentFilter":{"allow":["^x"],"deny":["y$"]},` +
		`"BasicAuth":{"credentials":[{"username":"u","cleartext_password":"pass:word"},{"username":"v","cleartext_password":"password"}]},` +
		`"CircuitBreaker":{},"Compression":{},"RequestHeaders":{"add":["a:b"]},"ResponseHeaders":{"remove":["c"]}`
	tests := []struct {
		url     string
		modules culvert.Modules
		want    string
	}{
		{"https://a.example", all, web},
		{"http://a.example", all, web},
		{"tcp://", culvert.Modules{AllowCIDRs: all.AllowCIDRs, DenyCIDRs: all.DenyCIDRs}, addresses},
		{"tls://a.example", culvert.Modules{AllowCIDRs: all.AllowCIDRs, DenyCIDRs: all.DenyCIDRs}, addresses},
	}
	for _, tt := range tests {
		w.listenOn(a, culvert.WithURL(tt.url), culvert.WithModules(tt.modules))
		var got, want map[string]any
		if err := json.Unmarshal((<-binds).Opts, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte("{"+tt.want+"}"), &want); err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"URL", "Domain", "Hostname", "Subdomain", "Auth", "HostHeaderRewrite", "ProxyProto", "TrafficPolicy", "Addr", "MutualTLSAtAgent"} {
			delete(got, other)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: options\ngot  %v\nwant %v", tt.url, got, want)
		}
	}
}

// What a tcp or tls endpoint cannot have is refused, never lost.
func TestModulesOfStreams(t *testing.T) {
	t.Parallel()
	a, err := culvert.NewAgent()
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"tcp://", "tls://a.example"} {
		for _, m := range []culvert.Modules{
			{BasicAuth: []string{"u:password"}}, {Compression: true}, {DenyUserAgents: []string{"x"}}, {ResponseHeaders: culvert.HeaderChanges{Add: []string{"a:b"}}},
		} {
			if _, err := a.Listen(t.Context(), culvert.WithURL(url), culvert.WithModules(m)); !fault.Has(err, fault.ValueInvalid) {
				t.Errorf("%s with %+v: %v, want %s", url, m, err, fault.ValueInvalid)
			}
		}
	}
}
