package claimstest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Base is the first base domain of [Config].
const Base = "culvert.localhost"

// Vault returns keys of their own.
func Vault(t *testing.T) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// deny is an action for tests.
type deny struct {
	Status int    `field:"status_code" range:"400,599"`
	Code   string `field:"error_code"`
}

func (*deny) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	return policy.Refuse, nil
}

// Compiler returns a compiler that knows the actions, one that is not built, and a deny for all phases.
func Compiler(t testing.TB) *policy.Compiler {
	t.Helper()
	all := []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}
	r, err := policy.NewRegistry(append(
		slices.DeleteFunc(standard.Definitions(standard.Services{}), func(d policy.Definition) bool { return d.Type == "deny" }),
		policy.Define(policy.Definition{
			Type: "deny", Schemes: all, Phases: []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse},
		}, deny{}, func(d *deny, _ *policy.Build) policy.Action { return d }),
		policy.NotBuilt(policy.Definition{Type: "later", Phases: []policy.Phase{policy.OnHTTPRequest}}),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Config is a server with the default ports.
func Config(t *testing.T) claims.Config {
	t.Helper()
	return claims.Config{
		Sealer: Vault(t), Policies: Compiler(t), Domains: []string{Base, "example.com"}, HTTPPort: 9080, HTTPSPort: 9443,
		Extra:    []claims.Listener{{Scheme: endpoint.HTTPS, Port: 8443}, {Scheme: endpoint.TLS, Port: 5671}, {Scheme: endpoint.TCP, Port: 5432}},
		TCPFirst: 20000, TCPLast: 20009, Ports: NewPorts(),
	}
}

// New returns a binder.
func New(t *testing.T, cfg claims.Config) *claims.Binder {
	t.Helper()
	b, err := claims.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Agent is a session named s of account ac.
func Agent(s string) wire.Agent {
	return wire.Agent{Account: "ac", SessionID: "ts_" + s, ClientID: "cl_" + s}
}

// AgentOf is a session named s of another account.
func AgentOf(account, s string) wire.Agent {
	a := Agent(s)
	a.Account = account
	return a
}

// Bind asks for a URL as the Go SDK does.
func Bind(proto, url string) wire.Bind {
	opts, err := json.Marshal(map[string]any{"URL": url, "ProxyProto": 0, "TrafficPolicy": "", "Compression": nil})
	if err != nil {
		panic(err)
	}
	return wire.Bind{Id: "b1", Proto: proto, Opts: opts}
}

// Pooled is a bind that shares its place.
func Pooled(w wire.Bind) wire.Bind {
	w.Extra.PoolingEnabled = true
	return w
}

// Again is the rebind that an SDK sends after it got bound.
func Again(w wire.Bind, bound *wire.Bound) wire.Bind {
	w.Opts, w.Extra.Token = bound.Opts, bound.Token
	return w
}

// Reserve binds, and fails the test if that is refused.
func Reserve(t *testing.T, b *claims.Binder, a wire.Agent, w wire.Bind) *wire.Bound {
	t.Helper()
	bound, err := b.Reserve(t.Context(), a, w)
	if err != nil {
		t.Fatalf("Reserve(%s %s): %v", w.Proto, w.Opts, err)
	}
	return bound
}

// Refused binds, and fails the test if that is not refused with a code.
func Refused(t *testing.T, b *claims.Binder, a wire.Agent, w wire.Bind, want fault.Code) {
	t.Helper()
	bound, err := b.Reserve(t.Context(), a, w)
	if !fault.Has(err, want) {
		t.Errorf("Reserve(%s %s) = %q, %v, want code %s", w.Proto, w.Opts, bound.URL, err, want)
	}
}

// Release gives an endpoint back.
func Release(b *claims.Binder, a wire.Agent, bound *wire.Bound, clean bool) {
	b.Release(context.Background(), bound.TunnelID, a, clean)
}
