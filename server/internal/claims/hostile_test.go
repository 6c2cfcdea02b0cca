package claims_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// Names are one account's, however they are written, live or held.
func TestT62_NamesOfOthersCannotBeHad(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	name := reserve(t, b, agent("a"), bind("https", "https://bücher.example.com"))
	wild := reserve(t, b, agent("a"), bind("https", "https://*.w.example.com"))
	port := reserve(t, b, agent("a"), bind("tcp", "tcp://localhost:20001"))
	steal := func(when string) {
		t.Helper()
		for _, u := range []string{
			"https://bücher.example.com", "https://BÜCHER.EXAMPLE.com", "https://bu\u0308cher.example.com.", "https://xn--bcher-kva.example.com",
			"https://XN--BCHER-KVA.example.com.:443", "https://bücher.example.com:9443", "https://*.W.example.com.",
		} {
			for _, w := range []wire.Bind{bind("https", u), pooled(bind("https", u))} {
				_, err := b.Reserve(t.Context(), agentOf("other", "b"), w)
				if !fault.Has(err, fault.URLTaken) {
					t.Errorf("%s: %s: got %v, want %s", when, u, err, fault.URLTaken)
				}
			}
		}
		refused(t, b, agentOf("other", "b"), bind("tcp", "tcp://Example.com:20001"), fault.URLTaken)
		for _, own := range []*wire.Bound{name, wild, port} {
			// A token of another account is no token.
			refused(t, b, agentOf("other", "b"), again(bind(own.Proto, own.URL), own), fault.URLTaken)
			// Nor does giving back what is another's free it.
			release(b, agentOf("other", "a"), own, true)
			release(b, agentOf("other", "b"), own, true)
		}
	}
	steal("live")
	for _, own := range []*wire.Bound{name, wild, port} {
		release(b, agent("a"), own, false)
	}
	steal("held")
	for _, own := range []*wire.Bound{name, wild, port} {
		if got := reserve(t, b, agent("c"), again(bind(own.Proto, own.URL), own)); got.TunnelID != own.TunnelID {
			t.Errorf("%s came back as another endpoint", own.URL)
		}
	}
	steal("back")
}

// A pool takes members of its own account only, and only where all agree.
func TestT65_PoolsTakeNoStrangers(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://pool.example.com", "tls://pool.example.com", "tcp://localhost:20002"} {
		proto, _, _ := strings.Cut(url, ":")
		b := newBinder(t, config(t))
		first := reserve(t, b, agent("a"), pooled(bind(proto, url)))
		stranger := agentOf("other", "b")
		refused(t, b, stranger, pooled(bind(proto, url)), fault.URLTaken)
		refused(t, b, stranger, again(pooled(bind(proto, url)), first), fault.URLTaken)
		refused(t, b, agent("b"), bind(proto, url), fault.URLTaken)
		second := reserve(t, b, agent("b"), pooled(bind(proto, url)))
		if first.TunnelID == second.TunnelID {
			t.Errorf("%s: two members are one endpoint", url)
		}
		yes := true
		_, err := b.Patch(t.Context(), stranger, wire.PatchTunnelState{TunnelId: first.TunnelID, PoolingEnabled: &yes})
		if !fault.Has(err, fault.EndpointUnknown) {
			t.Errorf("%s: a stranger's patch: got %v", url, err)
		}
		release(b, agent("a"), first, false)
		release(b, agent("b"), second, false)
		refused(t, b, stranger, pooled(bind(proto, url)), fault.URLTaken)
	}
}

// Texts of a bind are bounded: those that are only shown are cut, others refused.
func TestLimit_EndpointTexts(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	x := func(n int) string { return strings.Repeat("x", n) }
	got := reserve(t, b, agent("a"), wire.Bind{
		Proto: "https", ForwardsTo: x(100_000),
		Extra: wire.BindExtra{Metadata: x(4096), Description: x(255), Name: x(255)},
	})
	if n := len(got.ForwardsTo); n != 1024 {
		t.Errorf("ForwardsTo has %d bytes, want it cut to 1024", n)
	}
	for name, tt := range map[string]struct {
		bind wire.Bind
		code fault.Code
	}{
		"metadata":       {wire.Bind{Proto: "https", Extra: wire.BindExtra{Metadata: x(4097)}}, fault.MetadataTooLong},
		"metadata bytes": {wire.Bind{Proto: "https", Extra: wire.BindExtra{Metadata: strings.Repeat("ä", 2049)}}, fault.MetadataTooLong},
		"description":    {wire.Bind{Proto: "https", Extra: wire.BindExtra{Description: x(256)}}, fault.DescriptionTooLong},
		"name":           {wire.Bind{Proto: "https", Extra: wire.BindExtra{Name: x(256)}}, fault.OptionInvalid},
		"protocol":       {wire.Bind{Proto: x(100_000)}, fault.BindInvalid},
		"upstream":       {wire.Bind{Proto: "https", ForwardsProto: x(100_000)}, fault.BindInvalid},
		"options":        {wire.Bind{Proto: "https", Opts: []byte(`{"URL":"` + x(270_000) + `"}`)}, fault.OptionInvalid},
		"address":        {wire.Bind{Proto: "https", Opts: []byte(`{"URL":"https://` + x(60_000) + `.example.com"}`)}, ""},
		"user":           {wire.Bind{Proto: "https", Opts: []byte(`{"URL":"https://` + x(60_000) + `@h.example.com"}`)}, ""},
		"bindings":       {wire.Bind{Proto: "https", Extra: wire.BindExtra{Bindings: slices.Repeat([]string{"public"}, 10_000)}}, ""},
	} {
		_, err := b.Reserve(t.Context(), agent("a"), tt.bind)
		if err == nil || tt.code != "" && !fault.Has(err, tt.code) {
			t.Errorf("%s: got %v, want %s", name, err, tt.code)
		}
		if n := len(fault.From(err).Wire()); n > 2<<10 {
			t.Errorf("%s: the refusal has %d bytes", name, n)
		}
	}
}
