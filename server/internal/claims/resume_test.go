package claims_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
)

func culvertAgent(s string) wire.Agent {
	a := agent(s)
	a.Family, a.Features = wire.FamilyCulvert, wire.Features{ReassignURL: true}
	return a
}

func same(t *testing.T, what string, got, want *wire.Bound) {
	t.Helper()
	if got.URL != want.URL || got.TunnelID != want.TunnelID || got.Token != want.Token {
		t.Errorf("%s: got %s %s, want %s %s and the same token", what, got.URL, got.TunnelID, want.URL, want.TunnelID)
	}
}

// Scenario 2 of endpoints.md 21: the same URL and id after a reconnect, to the same server or a restarted one.
func TestEndpoints02_ResumeGivesTheSame(t *testing.T) {
	t.Parallel()
	for _, w := range []wire.Bind{
		bind("https", ""), bind("http", ""), bind("tls", ""), bind("tcp", ""), bind("https", "https://h.example.com"),
		bind("https", "https://*.example.com"), bind("tcp", "tcp://localhost:20001"), pooled(bind("https", "https://h.example.com")),
	} {
		t.Run(w.Proto+" "+string(w.Opts), func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			b := newBinder(t, cfg)
			first := reserve(t, b, agent("a"), w)

			release(b, agent("a"), first, false)
			same(t, "reconnect after a loss", reserve(t, b, agent("b"), again(w, first)), first)
			same(t, "takeover of a stale holder", reserve(t, b, agent("c"), again(w, first)), first)
			same(t, "another leg of the same session", reserve(t, b, agent("c"), again(w, first)), first)
			release(b, agent("b"), first, true) // the stale holder can no longer release it
			refused(t, b, agentOf("other", "d"), bind(w.Proto, first.URL), fault.URLTaken)
			release(b, agent("c"), first, true)
			same(t, "return after a clean end", reserve(t, b, agent("d"), again(w, first)), first)

			cfg.Ports = newPorts()
			restarted := newBinder(t, cfg)
			same(t, "restarted server", reserve(t, restarted, agent("e"), again(w, first)), first)

			// The answer's options are not needed: the token alone is enough.
			bare := wire.Bind{Proto: w.Proto, Extra: w.Extra}
			bare.Extra.Token = first.Token
			same(t, "token alone", reserve(t, newBinder(t, withPorts(cfg)), agent("f"), bare), first)
		})
	}
}

func withPorts(cfg claims.Config) claims.Config {
	cfg.Ports = newPorts()
	return cfg
}

// Tokens that prove nothing make the bind a new one.
func TestTokensThatDoNotCount(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	b := newBinder(t, cfg)
	w := bind("https", "")
	first := reserve(t, b, agent("a"), w)
	other := newBinder(t, func() claims.Config { c := config(t); return c }())
	foreign := reserve(t, other, agent("a"), w)
	for name, c := range map[string]struct {
		agent wire.Agent
		proto string
		token string
	}{
		"another account": {agentOf("other", "b"), "https", first.Token},
		"another server":  {agent("b"), "https", foreign.Token},
		"another scheme":  {agent("b"), "http", first.Token},
		"garbage":         {agent("b"), "https", "garbage"},
		"too long":        {agent("b"), "https", first.Token + string(make([]byte, 5000))},
	} {
		w := bind(c.proto, "")
		w.Extra.Token = c.token
		got := reserve(t, b, c.agent, w)
		if got.TunnelID == first.TunnelID || got.URL == first.URL || got.Token == c.token {
			t.Errorf("%s: Reserve = %s %s, want a new endpoint with a token of its own", name, got.URL, got.TunnelID)
		}
	}
}

// The URL was taken while the agent was away (decisions.md 34).
func TestResumeOfTakenURL(t *testing.T) {
	t.Parallel()
	takers := map[string]func(t *testing.T, b *claims.Binder, url, proto string){
		"live": func(t *testing.T, b *claims.Binder, url, proto string) {
			t.Helper()
			reserve(t, b, agent("thief"), bind(proto, url))
		},
		"live, other account": func(t *testing.T, b *claims.Binder, url, proto string) {
			t.Helper()
			reserve(t, b, agentOf("other", "thief"), bind(proto, url))
		},
		"held for another account": func(t *testing.T, b *claims.Binder, url, proto string) {
			t.Helper()
			a := agentOf("other", "thief")
			release(b, a, reserve(t, b, a, bind(proto, url)), false)
		},
	}
	for name, take := range takers {
		for _, proto := range []string{"https", "tcp"} {
			t.Run(name+" "+proto, func(t *testing.T) {
				t.Parallel()
				cfg := config(t)
				random := reserve(t, newBinder(t, cfg), agent("a"), bind(proto, ""))
				chosenURL := map[string]string{"https": "https://h.example.com", "tcp": "tcp://localhost:20007"}[proto]
				chosen := reserve(t, newBinder(t, withPorts(cfg)), agent("a"), bind(proto, chosenURL))
				b := newBinder(t, withPorts(cfg)) // restarted
				take(t, b, random.URL, proto)
				if chosen.URL != random.URL {
					take(t, b, chosen.URL, proto)
				}

				// An SDK keeps its URL or gets the fault, with which the tunnel layer stops the endpoint.
				refused(t, b, agent("sdk"), again(bind(proto, ""), random), fault.URLTaken)
				refused(t, b, culvertAgent("ours"), again(bind(proto, chosenURL), chosen), fault.URLTaken)

				moved := reserve(t, b, culvertAgent("ours"), again(bind(proto, ""), random))
				if moved.URL == random.URL || moved.TunnelID != random.TunnelID || moved.Token == random.Token {
					t.Errorf("re-assigned: got %s %s, want another URL than %s, the id %s and a new token", moved.URL, moved.TunnelID, random.URL, random.TunnelID)
				}
				// Either token now leads to the new URL.
				if got := reserve(t, b, culvertAgent("ours2"), again(bind(proto, ""), random)); got.URL != moved.URL || got.TunnelID != moved.TunnelID {
					t.Errorf("with the first token: %s %s, want %s %s", got.URL, got.TunnelID, moved.URL, moved.TunnelID)
				}
				same(t, "with the new token", reserve(t, b, culvertAgent("ours3"), again(bind(proto, ""), moved)), moved)
			})
		}
	}
}

// The server's settings changed while the agent was away.
func TestResumeAfterChangedSettings(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	host := reserve(t, newBinder(t, cfg), agent("a"), bind("https", ""))
	port := reserve(t, newBinder(t, withPorts(cfg)), agent("a"), bind("tcp", ""))
	extra := reserve(t, newBinder(t, withPorts(cfg)), agent("a"), bind("https", "https://h.example.com:8443"))
	changed := withPorts(cfg)
	changed.Domains, changed.Extra, changed.TCPFirst, changed.TCPLast = []string{"example.net"}, nil, 30000, 30001
	b := newBinder(t, changed)
	refused(t, b, agent("a"), again(bind("https", ""), host), fault.NameNotReserved)
	refused(t, b, agent("a"), again(bind("tcp", ""), port), fault.TCPAddressUnknown)
	refused(t, b, culvertAgent("a"), again(bind("https", ""), extra), fault.PortRefused)
	for _, got := range []*wire.Bound{
		reserve(t, b, culvertAgent("a"), again(bind("https", ""), host)), reserve(t, b, culvertAgent("a"), again(bind("tcp", ""), port)),
	} {
		if got.TunnelID != host.TunnelID && got.TunnelID != port.TunnelID {
			t.Errorf("%s has the id %s, want the one it had", got.URL, got.TunnelID)
		}
	}

	// Another advertised port only changes how the URL is shown.
	shown := withPorts(cfg)
	shown.HTTPSPort = 443
	if got, want := reserve(t, newBinder(t, shown), agent("a"), again(bind("https", ""), host)).URL, "https://"+host.Host; got != want {
		t.Errorf("with another advertised port the URL is %s, want %s", got, want)
	}
}

// A resume may change pooling, as far as the company allows.
func TestResumePooling(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	w := pooled(bind("https", "https://h.example.com"))
	one := reserve(t, b, agent("a"), w)
	reserve(t, b, agent("b"), w)
	alone := again(w, one)
	alone.Extra.PoolingEnabled = false
	refused(t, b, culvertAgent("a"), alone, fault.URLTaken)
	random := reserve(t, b, culvertAgent("a"), pooled(bind("https", "")))
	reserve(t, b, agent("b"), pooled(bind("https", random.URL)))
	alone = again(bind("https", ""), random)
	refused(t, b, culvertAgent("a"), alone, fault.URLTaken) // known, so not re-assigned
	same(t, "pooled again", reserve(t, b, culvertAgent("a"), pooled(alone)), random)
}

func TestGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPorts()
		cfg := config(t)
		cfg.Ports = p
		b := newBinder(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()

		host := reserve(t, b, agent("a"), bind("https", "https://h.example.com"))
		port := reserve(t, b, agent("a"), bind("tcp", ""))
		release(b, agent("a"), host, false)
		release(b, agent("a"), port, false)
		release(b, agent("a"), port, true) // no longer the holder: nothing happens

		time.Sleep(15*time.Minute - time.Second)
		refused(t, b, agentOf("other", "b"), bind("https", host.URL), fault.URLTaken)
		refused(t, b, agentOf("other", "b"), bind("tcp", port.URL), fault.URLTaken)
		for range 9 { // the rest of the range: the held port is not given out by chance
			if got := reserve(t, b, agentOf("other", "b"), bind("tcp", "")); got.Port == port.Port {
				t.Errorf("the held port %d was given to another", got.Port)
			}
		}
		refused(t, b, agentOf("other", "b"), bind("tcp", ""), fault.NoPortFree)
		same(t, "back just in time", reserve(t, b, agent("c"), again(bind("https", ""), host)), host)
		release(b, agent("c"), host, false)

		time.Sleep(2 * time.Minute) // port's time is over, host's began anew
		if got := p.Opened(t); slices.Contains(got, port.Port) {
			t.Errorf("port %d is still open after its grace period: %v", port.Port, got)
		}
		refused(t, b, agentOf("other", "b"), bind("https", host.URL), fault.URLTaken)
		time.Sleep(15 * time.Minute)
		reserve(t, b, agentOf("other", "b"), bind("https", host.URL))
		reserve(t, b, agentOf("other", "b"), bind("tcp", port.URL))

		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil when its context ends", err)
		}
	})
}

// Without Run, places whose time is over are given up by the next one who comes.
func TestGraceExpiresLazily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t)
		b := newBinder(t, cfg)
		got := reserve(t, b, agent("a"), bind("https", "https://h.example.com"))
		release(b, agent("a"), got, false)
		time.Sleep(15 * time.Minute)
		reserve(t, b, agentOf("other", "b"), bind("https", "https://h.example.com"))
	})
}

// An agent that was killed and is started again with the same name is not kept waiting for its own place.
func TestHeldPlaceMakesWayForItsAccount(t *testing.T) {
	t.Parallel()
	p := newPorts()
	cfg := config(t)
	cfg.Ports = p
	b := newBinder(t, cfg)
	for _, w := range []wire.Bind{
		bind("https", "https://h.example.com"), pooled(bind("https", "https://p.example.com")), bind("tcp", "tcp://localhost:20001"),
	} {
		lost := reserve(t, b, agent("a"), w)
		release(b, agent("a"), lost, false)
		next := w
		next.Extra.PoolingEnabled = false
		fresh := reserve(t, b, agent("b"), next)
		if fresh.TunnelID == lost.TunnelID {
			t.Errorf("%s: a bind without token got the old id", w.Proto)
		}
		refused(t, b, agent("a2"), again(w, lost), fault.URLTaken)
		release(b, agent("b"), fresh, true)
		same(t, "once it is free again", reserve(t, b, agent("a2"), again(w, lost)), lost)
	}
	if got := p.Opened(t); !slices.Equal(got, []uint16{20001}) {
		t.Errorf("open ports = %v, want 20001", got)
	}

	// A member that was lost does not keep others out of the pool, and comes back to it.
	w := pooled(bind("https", "https://q.example.com"))
	lost := reserve(t, b, agent("a"), w)
	release(b, agent("a"), lost, false)
	reserve(t, b, agent("b"), w)
	same(t, "back into the pool", reserve(t, b, agent("a2"), again(w, lost)), lost)
}

func TestHeldPlacesAreBounded(t *testing.T) {
	t.Parallel()
	p := newPorts()
	cfg := config(t)
	cfg.Ports, cfg.Limits.Held = p, 2
	b := newBinder(t, cfg)
	for _, url := range []string{"tcp://localhost:20000", "tcp://localhost:20001", "tcp://localhost:20002"} {
		release(b, agent("a"), reserve(t, b, agent("a"), bind("tcp", url)), false)
	}
	if got, want := p.Opened(t), []uint16{20001, 20002}; !slices.Equal(got, want) {
		t.Errorf("held ports = %v, want the last two, %v", got, want)
	}
	none := withPorts(cfg)
	none.Limits.Grace = -1
	b = newBinder(t, none)
	release(b, agent("a"), reserve(t, b, agent("a"), bind("https", "https://h.example.com")), false)
	reserve(t, b, agentOf("other", "b"), bind("https", "https://h.example.com"))
}
