package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// ports is a machine's TCP ports: those in busy belong to other programs.
type ports struct {
	mu   sync.Mutex
	busy map[uint16]bool
	open map[uint16]bool
	errs []string // what must never happen
	// fds is how many ports may be open, 0 for any number.
	fds int
}

func newPorts(busy ...uint16) *ports {
	p := &ports{busy: map[uint16]bool{}, open: map[uint16]bool{}}
	for _, b := range busy {
		p.busy[b] = true
	}
	return p
}

func (p *ports) Claim(port uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[port] {
		p.errs = append(p.errs, fmt.Sprintf("port %d opened twice", port))
	}
	if p.busy[port] {
		return &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	if p.fds > 0 && len(p.open) >= p.fds {
		return &net.OpError{Op: "listen", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}
	p.open[port] = true
	return nil
}

func (p *ports) Release(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open[port] {
		p.errs = append(p.errs, fmt.Sprintf("port %d closed but not open", port))
	}
	delete(p.open, port)
}

// opened returns the open ports and fails the test if they were ever used wrongly.
func (p *ports) opened(t *testing.T) []uint16 {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.errs {
		t.Error(e)
	}
	return slices.Sorted(maps.Keys(p.open))
}

const base = "culvert.localhost"

func newVault(t *testing.T) *vault.Vault {
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

// newCompiler returns a compiler that knows the actions, one that is not built, and a deny for all phases.
func newCompiler(t testing.TB) *policy.Compiler {
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

// config is a server with the default ports.
func config(t *testing.T) control.Config {
	t.Helper()
	return control.Config{
		Sealer: newVault(t), Policies: newCompiler(t), Domains: []string{base, "example.com"}, HTTPPort: 9080, HTTPSPort: 9443,
		Extra:    []control.Listener{{Scheme: endpoint.HTTPS, Port: 8443}, {Scheme: endpoint.TLS, Port: 5671}, {Scheme: endpoint.TCP, Port: 5432}},
		TCPFirst: 20000, TCPLast: 20009, Ports: newPorts(),
	}
}

func newBinder(t *testing.T, cfg control.Config) *control.Binder {
	t.Helper()
	b, err := control.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// agent is a session named s of account ac.
func agent(s string) wire.Agent {
	return wire.Agent{Account: "ac", SessionID: "ts_" + s, ClientID: "cl_" + s}
}

func agentOf(account, s string) wire.Agent {
	a := agent(s)
	a.Account = account
	return a
}

// bind asks for a URL as the Go SDK does.
func bind(proto, url string) wire.Bind {
	opts, err := json.Marshal(map[string]any{"URL": url, "ProxyProto": 0, "TrafficPolicy": "", "Compression": nil})
	if err != nil {
		panic(err)
	}
	return wire.Bind{Id: "b1", Proto: proto, Opts: opts}
}

func pooled(w wire.Bind) wire.Bind {
	w.Extra.PoolingEnabled = true
	return w
}

// again is the rebind that an SDK sends after it got bound.
func again(w wire.Bind, bound *wire.Bound) wire.Bind {
	w.Opts, w.Extra.Token = bound.Opts, bound.Token
	return w
}

func reserve(t *testing.T, b *control.Binder, a wire.Agent, w wire.Bind) *wire.Bound {
	t.Helper()
	bound, err := b.Reserve(t.Context(), a, w)
	if err != nil {
		t.Fatalf("Reserve(%s %s): %v", w.Proto, w.Opts, err)
	}
	return bound
}

func refused(t *testing.T, b *control.Binder, a wire.Agent, w wire.Bind, want fault.Code) {
	t.Helper()
	bound, err := b.Reserve(t.Context(), a, w)
	if !fault.Has(err, want) {
		t.Errorf("Reserve(%s %s) = %q, %v, want code %s", w.Proto, w.Opts, bound.URL, err, want)
	}
}

func release(b *control.Binder, a wire.Agent, bound *wire.Bound, clean bool) {
	b.Release(context.Background(), bound.TunnelID, a, clean)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*control.Config)
		code   fault.Code
	}{
		{"no domain", func(c *control.Config) { c.Domains = nil }, fault.DomainInvalid},
		{"wildcard", func(c *control.Config) { c.Domains = []string{"*.example.com"} }, fault.DomainInvalid},
		{"URL", func(c *control.Config) { c.Domains = []string{"https://example.com"} }, fault.DomainInvalid},
		{"internal", func(c *control.Config) { c.Domains = []string{"x.internal"} }, fault.DomainInvalid},
		{"internal itself", func(c *control.Config) { c.Domains = []string{"internal"} }, fault.DomainInvalid},
		{"port range", func(c *control.Config) { c.TCPFirst, c.TCPLast = 2, 1 }, fault.PortRangeInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			tt.change(&cfg)
			if _, err := control.New(cfg); !fault.Has(err, tt.code) {
				t.Errorf("New = %v, want code %s", err, tt.code)
			}
		})
	}
}
