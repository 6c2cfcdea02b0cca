package reliability

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
)

// TestF01_AgentLinkIsCut resets the connection of one of two pool members while
// it has requests at hand.
func TestF01_AgentLinkIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Loopback{})
	l := w.link()
	first, second := w.upstream("first"), w.upstream("second")
	a := w.agent(l.Addr())
	u := w.forward(a, first, culvert.WithPoolingEnabled(true))
	h1, h2 := w.client(false), w.client(true)
	inFlight := []<-chan Outcome{w.hold(h1, u, first, 8), w.hold(h2, u, first, 8)}
	w.forward(w.agent(""), second, culvert.WithURL(u), culvert.WithPoolingEnabled(true))
	load := w.load(u)
	await(t, load, 20)

	l.Down() // and not back at once
	cut := time.Now()
	for i, held := range inFlight {
		for range 8 {
			if o := <-held; !slices.Contains([]Outcome{"502 ERR_NGROK_3004", "502 ERR_NGROK_3007", "502 ERR_NGROK_3210"}, o) {
				t.Errorf("request in flight over h%d: got %q, want 502 of the 3004 family", i+1, o)
			}
		}
	}
	t.Logf("requests in flight failed after %v", time.Since(cut))
	// From now on there is one member, and it gets everything.
	fresh := w.client(true)
	for i := range 50 {
		fresh.CloseIdleConnections() // a connection stays with its member
		if o, member := Get(t.Context(), fresh, u, i%2 == 0, 1000); o != OK || member != "second" {
			t.Fatalf("request %d after the cut: got %q from %q, want ok from second", i, o, member)
		}
	}
	after := load.Counts()
	await(t, load, 20)
	only(t, load.Counts().Since(after)) // nothing fails any more

	l.Heal()
	healed := time.Now()
	eventually(t, "the agent serves again", func() bool {
		fresh.CloseIdleConnections()
		_, member := Get(t.Context(), fresh, u, false, 10)
		return member == "first"
	})
	t.Logf("back %v after the network", time.Since(healed))
	counts := load.Stop()
	only(t, counts, cutShort()...)
	if n := counts[kindH1+" "+string(Corrupt)]; n > 0 {
		t.Errorf("%d bodies are corrupt", n)
	}
	if n := w.node.Tunnels().NumSessions(); n != 2 {
		t.Errorf("got %d sessions, want 2", n)
	}
	t.Logf("load: %v", counts)
}

// TestF02_AgentLinkFallsSilent pulls the cable, in both directions or in one.
// It runs in a bubble: the limit is that of the defaults, and exact.
func TestF02_AgentLinkFallsSilent(t *testing.T) {
	t.Parallel()
	for name, dirs := range map[string][]Direction{"both": {Up, Down}, "up": {Up}, "down": {Down}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newMemory())
				l := w.link()
				lost := make(chan time.Time, 10)
				a := w.agent(l.Addr(), culvert.WithEventHandler(func(e culvert.Event) {
					if e.EventType() == culvert.EventTypeAgentDisconnected {
						lost <- time.Now()
					}
				}))
				first, second := w.upstream("first"), w.upstream("second")
				u := w.forward(a, first, culvert.WithPoolingEnabled(true))
				w.forward(w.agent(""), second, culvert.WithURL(u), culvert.WithPoolingEnabled(true))
				load := w.load(u, func(c *LoadConfig) { c.Rest = 500 * time.Millisecond })
				await(t, load, 4)

				l.Silence(dirs...)
				cut := time.Now()
				// 10 s interval, 15 s tolerance and 1 s (reliability-security.md 6, F02).
				const limit = 26*time.Second + 2*poll
				eventually(t, "the server notices", func() bool { return w.node.Tunnels().NumSessions() == 1 })
				if d := time.Since(cut); d > limit {
					t.Errorf("the server noticed after %v, want at most %v", d, limit)
				} else {
					t.Logf("the server noticed after %v", d)
				}
				if d := (<-lost).Sub(cut); d > limit {
					t.Errorf("the agent noticed after %v, want at most %v", d, limit)
				} else {
					t.Logf("the agent noticed after %v", d)
				}
				// It has left the pool.
				c := w.client(true)
				for i := range 20 {
					c.CloseIdleConnections() // a connection stays with its member
					if o, member := Get(t.Context(), c, u, false, 10); o != OK || member != "second" {
						t.Errorf("request %d: got %q from %q, want ok from second", i, o, member)
					}
				}
				l.Heal()
				eventually(t, "the agent serves again", func() bool {
					c.CloseIdleConnections()
					_, member := Get(t.Context(), c, u, false, 10)
					return member == "first"
				})
				counts := load.Stop()
				only(t, counts, cutShort()...)
				t.Logf("load: %v", counts)
			})
		})
	}
}

// TestF04_SlowAgentLink runs over 200 ms ± 50 ms and 1 Mbit/s, in the time of a
// bubble, where the processor costs nothing.
func TestF04_SlowAgentLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 125_000 // bytes per second
		w := newWorld(t, newMemory())
		l := w.link()
		l.Set(Conditions{Latency: 200 * time.Millisecond, Jitter: 50 * time.Millisecond, Rate: rate})
		up := w.upstream("one")
		u := w.forward(w.agent(l.Addr()), up)
		c := w.client(true)
		if o, _ := Get(t.Context(), c, u, false, 10); o != OK {
			t.Fatalf("first request: %q", o)
		}

		const each, streams = 1 << 20, 4
		for name, one := range map[string]func() Outcome{
			"download": func() Outcome { o, _ := Get(t.Context(), c, u, true, each); return o },
			"upload":   func() Outcome { o, _ := Upload(t.Context(), c, u, each); return o },
		} {
			start := time.Now()
			ended := make(chan time.Duration, streams)
			for range streams {
				go func() {
					if o := one(); o != OK {
						t.Errorf("%s: %q", name, o)
					}
					ended <- time.Since(start)
				}()
			}
			first := <-ended
			var last time.Duration
			for range streams - 1 {
				last = <-ended
			}
			share := float64(each*streams) / last.Seconds() / rate
			t.Logf("%s: %d bodies of %d bytes took %v to %v, %.1f %% of the link", name, streams, each, first, last, 100*share)
			if share < 0.9 {
				t.Errorf("%s: got %.1f %% of the link, want 90 %%", name, 100*share)
			}
			// A window is a quarter of a body, and chance decides who has his
			// in the queue of the line first.
			if float64(first) < 0.6*float64(last) {
				t.Errorf("%s: the first of %d ended after %v and the last after %v; want equal shares", name, streams, first, last)
			}
		}

		// Other requests go ahead while a body fills the line.
		bulk := make(chan Outcome, 1)
		go func() { o, _ := Get(t.Context(), c, u, false, 4<<20); bulk <- o }()
		time.Sleep(5 * time.Second)
		load := w.load(u, func(cfg *LoadConfig) { cfg.Upload, cfg.Rest = 0, time.Second })
		await(t, load, 5)
		only(t, load.Stop())
		if o := <-bulk; o != OK {
			t.Errorf("the body beside them: %q", o)
		}
		if n := len(l.Dials()); n != 1 {
			t.Errorf("the agent connected %d times, want once: no time-out may end a slow link", n)
		}
	})
}

// TestF05_AgentLinkFlaps cuts the connection each second for two minutes, in the
// time of a bubble, which also fails if a goroutine is left at the end.
func TestF05_AgentLinkFlaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		l := w.link()
		u := w.forward(w.agent(l.Addr()), w.upstream("one"))
		load := w.load(u, func(c *LoadConfig) { c.Rest = 100 * time.Millisecond })
		await(t, load, 2)
		for range 120 {
			l.Cut()
			time.Sleep(time.Second)
			if n := w.node.Tunnels().NumSessions(); n > 1 {
				t.Fatalf("the agent has %d sessions", n)
			}
		}
		start := time.Now()
		eventually(t, "the agent is back", func() bool { return w.node.Tunnels().NumSessions() == 1 })
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("the agent was back after %v: its server is there and should not be waited for", d)
		}
		await(t, load, 2)
		after := load.Counts()
		await(t, load, 5)
		only(t, load.Counts().Since(after))
		// While the link is cut in every handshake, requests wait in vain.
		only(t, load.Stop(), append(cutShort(), "404 ERR_NGROK_3200")...)
		if n := w.node.Tunnels().NumSessions(); n != 1 {
			t.Errorf("got %d sessions, want 1", n)
		}
		t.Logf("%d connections of the agent; load: %v", len(l.Dials()), load.Counts())
	})
}

// TestF05_BackOff wants pauses between tries that grow, differ, and have a
// bound, while nobody answers.
func TestF05_BackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		var links []*Link
		for range 4 { // agents
			l := w.link()
			links = append(links, l)
			w.forward(w.agent(l.Addr()), w.upstream("one"))
		}
		for _, l := range links {
			l.Down()
		}
		time.Sleep(5 * time.Minute)
		seen := map[string]bool{}
		for i, l := range links {
			tries := l.Dials()[1:] // the first one came up
			if len(tries) < 5 || len(tries) > 60 {
				t.Errorf("agent %d tried %d times in 5 minutes", i, len(tries))
			}
			for j := range len(tries) - 1 {
				if p := tries[j+1].Sub(tries[j]); p > 31*time.Second {
					t.Errorf("agent %d paused for %v", i, p)
				}
			}
			seen[fmt.Sprint(tries[len(tries)-1].Sub(tries[0]))] = true
			t.Logf("agent %d: %d tries", i, len(tries))
		}
		if len(seen) != len(links) {
			t.Error("agents come back in step: no jitter")
		}
		for _, l := range links {
			l.Heal()
		}
		eventually(t, "all agents are back", func() bool { return w.node.Tunnels().NumSessions() == len(links) })
	})
}

// TestF06_BytesAreSlicedAndMerged wants identical results however bytes arrive.
func TestF06_BytesAreSlicedAndMerged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Conditions{
		"sliced to 1": {Slice: 1}, "sliced to 7": {Slice: 7}, "merged": {Gather: 3 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newMemory())
			l := w.link()
			l.Set(c)
			u := w.forward(w.agent(l.Addr()), w.upstream("one"))
			load := w.load(u, func(c *LoadConfig) { c.Upload = 256 << 10 })
			await(t, load, 15)
			counts := load.Stop()
			only(t, counts)
			if n := len(l.Dials()); n != 1 {
				t.Errorf("the agent connected %d times, want once", n)
			}
			t.Logf("load: %v", counts)
		})
	}
}

// TestF06_FlippedBit inverts one bit of the ciphertext: the session ends, and no
// stream delivers what was changed.
func TestF06_FlippedBit(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]Direction{"up": Up, "down": Down} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newMemory())
				l := w.link()
				u := w.forward(w.agent(l.Addr()), w.upstream("one"))
				load := w.load(u)
				for i := range 10 {
					await(t, load, 10)
					l.Flip(d)
					eventually(t, "the session is replaced", func() bool { return len(l.Dials()) >= i+2 })
				}
				await(t, load, 10)
				counts := load.Stop()
				// An agent that loses its connection again and again is away for
				// longer each time.
				only(t, counts, append(cutShort(), "404 ERR_NGROK_3200")...)
				t.Logf("load: %v", counts)
			})
		})
	}
}
