package claims_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
)

// Scenario 31 of endpoints.md 21 and the matrix of 9.1: who may share a place.
func TestEndpoints31_Conflicts(t *testing.T) {
	t.Parallel()
	const (
		h   = "https://h.example.com"
		tcp = "tcp://localhost:20001"
	)
	tests := []struct {
		name        string
		first, then wire.Bind
		account     string // of the second
		code        fault.Code
	}{
		{"same URL", bind("https", h), bind("https", h), "ac", fault.URLTaken},
		{"first pooled only", pooled(bind("https", h)), bind("https", h), "ac", fault.URLTaken},
		{"second pooled only", bind("https", h), pooled(bind("https", h)), "ac", fault.URLTaken},
		{"both pooled", pooled(bind("https", h)), pooled(bind("https", h)), "ac", ""},
		{"both pooled, advertised port", pooled(bind("https", h)), pooled(bind("https", h+":9443")), "ac", ""},
		{"both pooled, another account", pooled(bind("https", h)), pooled(bind("https", h)), "other", fault.URLTaken},
		{"http beside https", bind("https", h), bind("http", "http://h.example.com"), "ac", ""},
		{"http beside https of another account", bind("https", h), bind("http", "http://h.example.com"), "other", fault.URLTaken},
		{"another port beside https of another account", bind("https", h), bind("tls", "tls://h.example.com:5671"), "other", fault.URLTaken},
		{"name below that of another account", bind("https", h), bind("https", "https://a.h.example.com"), "other", ""},
		{"internal name of another account", bind("https", "https://h.internal"), bind("http", "http://h.internal"), "other", ""},
		{"tls on https", bind("https", h), bind("tls", "tls://h.example.com"), "ac", fault.URLTaken},
		{"https on tls, both pooled", pooled(bind("tls", "tls://h.example.com")), pooled(bind("https", h)), "ac", fault.URLTaken},
		{"wildcard beside name", bind("https", h), bind("https", "https://*.example.com"), "ac", ""},
		{"wildcard and deeper wildcard", bind("https", "https://*.example.com"), bind("https", "https://*.h.example.com"), "ac", ""},
		{"same wildcard", bind("https", "https://*.example.com"), bind("https", "https://*.example.com"), "ac", fault.URLTaken},
		{"another port", bind("https", h), bind("https", h+":8443"), "ac", ""},
		{"same tcp port", bind("tcp", tcp), bind("tcp", tcp), "ac", fault.URLTaken},
		{"same tcp port by another name", bind("tcp", tcp), bind("tcp", "tcp://example.com:20001"), "ac", fault.URLTaken},
		{"tcp pooled", pooled(bind("tcp", tcp)), pooled(bind("tcp", tcp)), "ac", ""},
		{"another tcp port", bind("tcp", tcp), bind("tcp", "tcp://localhost:20002"), "ac", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBinder(t, config(t))
			reserve(t, b, agent("a"), tt.first)
			second := agentOf(tt.account, "b")
			if tt.code == "" {
				reserve(t, b, second, tt.then)
				return
			}
			refused(t, b, second, tt.then, tt.code)
		})
	}
}

func TestPoolMembersComeAndGo(t *testing.T) {
	t.Parallel()
	p := newPorts()
	cfg := config(t)
	cfg.Ports = p
	b := newBinder(t, cfg)
	w := pooled(bind("tcp", "tcp://localhost:20001"))
	one, two := reserve(t, b, agent("a"), w), reserve(t, b, agent("b"), w)
	release(b, agent("a"), one, true)
	if got := p.Opened(t); !slices.Equal(got, []uint16{20001}) {
		t.Errorf("open ports after one of two left = %v, want 20001", got)
	}
	// One remaining member stays poolable and stays in the way of others.
	refused(t, b, agent("c"), bind("tcp", "tcp://localhost:20001"), fault.URLTaken)
	reserve(t, b, agent("a"), w)
	release(b, agent("b"), two, true)
	release(b, agent("b"), two, true)                       // twice is harmless (H15)
	release(b, agent("x"), &wire.Bound{TunnelID: ""}, true) // unknown as well
	if got := p.Opened(t); !slices.Equal(got, []uint16{20001}) {
		t.Errorf("open ports = %v, want 20001", got)
	}
}

func TestCleanUnbindFreesAtOnce(t *testing.T) {
	t.Parallel()
	p := newPorts()
	cfg := config(t)
	cfg.Ports = p
	b := newBinder(t, cfg)
	for _, w := range []wire.Bind{bind("https", "https://h.example.com"), bind("tcp", "tcp://localhost:20001")} {
		got := reserve(t, b, agent("a"), w)
		release(b, agent("b"), got, true) // not the holder: nothing happens
		refused(t, b, agent("b"), w, fault.URLTaken)
		release(b, agent("a"), got, true)
		reserve(t, b, agentOf("other", "b"), w)
	}
}

func TestTCPPorts(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.TCPFirst, cfg.TCPLast = 20000, 20004
	p := newPorts(20001, 20003)
	cfg.Ports = p
	b := newBinder(t, cfg)
	refused(t, b, agent("a"), bind("tcp", "tcp://localhost:20001"), fault.TCPPortBusy)
	reserve(t, b, agent("a"), bind("tcp", "tcp://localhost:20002"))
	first, second := reserve(t, b, agent("a"), bind("tcp", "tcp://")), reserve(t, b, agent("a"), bind("tcp", "tcp://"))
	refused(t, b, agent("a"), bind("tcp", "tcp://"), fault.NoPortFree)
	if got, want := p.Opened(t), []uint16{20000, 20002, 20004}; !slices.Equal(got, want) {
		t.Errorf("open ports = %v, want %v: busy ones are skipped", got, want)
	}
	release(b, agent("a"), first, true)
	if got := reserve(t, b, agent("a"), bind("tcp", "tcp://")); got.Port != first.Port {
		t.Errorf("the only free port is %d, got %d", first.Port, got.Port)
	}
	// A port that another program gives back can be had.
	p.Free(20001)
	reserve(t, b, agent("a"), bind("tcp", "tcp://localhost:20001"))
	release(b, agent("a"), second, true)
	if got, want := len(p.Opened(t)), 3; got != want {
		t.Errorf("%d ports are open, want %d", got, want)
	}
	noTCP := cfg
	noTCP.TCPFirst, noTCP.TCPLast = 0, 0
	refused(t, newBinder(t, noTCP), agent("a"), bind("tcp", "tcp://"), fault.NoPortFree)
}

func TestMaxEndpoints(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Limits.Endpoints = 2
	b := newBinder(t, cfg)
	one := reserve(t, b, agent("a"), bind("https", ""))
	reserve(t, b, agent("a"), bind("https", ""))
	refused(t, b, agent("a"), bind("https", ""), fault.TooManyEndpoints)
	refused(t, b, agent("a"), bind("tcp", ""), fault.TooManyEndpoints)
	release(b, agent("a"), one, false) // held ones do not count
	reserve(t, b, agent("a"), bind("https", ""))
}

func TestPatch(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	text := func(s string) *string { return &s }
	yes, no := true, false
	got := reserve(t, b, agent("a"), bind("https", "https://h.example.com"))

	patched, err := b.Patch(t.Context(), agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, Name: text("n"), Metadata: text("m"), TrafficPolicy: text("")})
	if err != nil || patched.Name != "n" || patched.Metadata != "m" || patched.Description != "" || patched.URL != got.URL || patched.Token != got.Token {
		t.Errorf("Patch = %+v, %v, want new name and metadata, all else as before", patched, err)
	}
	patched, err = b.Patch(t.Context(), agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, Description: text("d"), PoolingEnabled: &yes})
	if err != nil || patched.Name != "n" || patched.Description != "d" || !patched.Pooled {
		t.Errorf("second Patch = %+v, %v, want what the first one set as well", patched, err)
	}
	reserve(t, b, agent("b"), pooled(bind("https", "https://h.example.com")))

	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'x'
	}
	for name, c := range map[string]struct {
		agent wire.Agent
		patch wire.PatchTunnelState
		code  fault.Code
	}{
		"unknown":                   {agent("a"), wire.PatchTunnelState{TunnelId: "ep_x"}, fault.EndpointUnknown},
		"another session's":         {agent("b"), wire.PatchTunnelState{TunnelId: got.TunnelID}, fault.EndpointUnknown},
		"another account's":         {agentOf("other", "a"), wire.PatchTunnelState{TunnelId: got.TunnelID}, fault.EndpointUnknown},
		"policy":                    {agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, TrafficPolicy: text("on_http_reqest: []")}, fault.PolicyRefused},
		"metadata too long":         {agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, Metadata: text(string(long))}, fault.MetadataTooLong},
		"unpooled while in company": {agent("a"), wire.PatchTunnelState{TunnelId: got.TunnelID, PoolingEnabled: &no}, fault.URLTaken},
	} {
		if _, err := b.Patch(t.Context(), c.agent, c.patch); !fault.Has(err, c.code) {
			t.Errorf("%s: Patch = %v, want code %s", name, err, c.code)
		}
	}
}

// slowPorts lets a test decide when a port is open.
type slowPorts struct {
	entered chan struct{}
	result  chan error
}

func (p *slowPorts) Claim(uint16) error {
	p.entered <- struct{}{}
	return <-p.result
}

func (p *slowPorts) Release(uint16) {}

// Whoever wants a port that is just being opened waits for the outcome.
func TestBusyPortIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"opened": nil, "not opened": errors.New("in use")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &slowPorts{entered: make(chan struct{}), result: make(chan error)}
			cfg := config(t)
			cfg.Ports = p
			b := newBinder(t, cfg)
			w := pooled(bind("tcp", "tcp://localhost:20001"))
			errs := make(chan error, 2)
			go func() { _, err := b.Reserve(t.Context(), agent("a"), w); errs <- err }()
			<-p.entered

			short, cancel := context.WithCancelCause(t.Context())
			cancel(context.DeadlineExceeded)
			if _, err := b.Reserve(short, agent("c"), w); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Reserve with an ended context = %v, want its cause", err)
			}
			go func() { _, err := b.Reserve(t.Context(), agent("b"), w); errs <- err }()
			p.result <- outcome
			if outcome != nil { // the second one tries for itself
				<-p.entered
				p.result <- outcome
			}
			for range 2 {
				if err := <-errs; (err == nil) != (outcome == nil) || err != nil && !fault.Has(err, fault.TCPPortBusy) {
					t.Errorf("Reserve = %v, want the outcome %v", err, outcome)
				}
			}
		})
	}
}

// Many sessions bind, lose and restore endpoints at once. In the end all is free again.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	p := newPorts(20005)
	cfg := config(t)
	cfg.Ports, cfg.Limits.Held = p, 5
	b := newBinder(t, cfg)
	ctx := context.WithoutCancel(t.Context())
	wants := []wire.Bind{
		bind("https", ""), bind("https", "https://h.example.com"), pooled(bind("https", "https://p.example.com")), bind("tls", "tls://p.example.com"),
		bind("tcp", "tcp://"), bind("tcp", "tcp://localhost:20001"), pooled(bind("tcp", "tcp://localhost:20002")), bind("https", "https://no.example.org"),
	}
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			a := agent(fmt.Sprint(n))
			a.Features.ReassignURL = n%2 == 0
			rng := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // a test that can be repeated
			for range 200 {
				w := wants[rng.IntN(len(wants))]
				got, err := b.Reserve(ctx, a, w)
				if err != nil {
					continue
				}
				for range rng.IntN(3) {
					b.Release(ctx, got.TunnelID, a, false)
					a.SessionID += "x"
					back, err := b.Reserve(ctx, a, again(w, got))
					if err != nil {
						break
					}
					if back.URL != got.URL && !a.Features.ReassignURL {
						t.Errorf("%s came back as %s", got.URL, back.URL)
					}
					got = back
				}
				b.Release(ctx, got.TunnelID, a, true)
			}
		})
	}
	wg.Wait()
	if got := p.Opened(t); len(got) > cfg.Limits.Held {
		t.Errorf("ports left open: %v, want at most those of %d held places", got, cfg.Limits.Held)
	}
	for _, w := range []wire.Bind{wants[1], wants[2], wants[5]} {
		reserve(t, b, agent("last"), w)
	}
}

func BenchmarkReserve(b *testing.B) {
	cfg := claims.Config{Sealer: nullSealer{}, Domains: []string{"example.com"}}
	for _, online := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("online=%d", online), func(b *testing.B) {
			binder, err := claims.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			a, w := agent("a"), bind("https", "")
			for range online {
				if _, err := binder.Reserve(b.Context(), a, w); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				got, err := binder.Reserve(b.Context(), a, w)
				if err != nil {
					b.Fatal(err)
				}
				binder.Release(b.Context(), got.TunnelID, a, true)
			}
		})
	}
}

// nullSealer seals nothing, so that the benchmark measures the rules alone.
type nullSealer struct{}

func (nullSealer) Seal(_ string, plain []byte) string  { return string(plain) }
func (nullSealer) Open(_, text string) ([]byte, error) { return []byte(text), nil }
