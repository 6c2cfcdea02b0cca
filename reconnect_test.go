package culvert_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// works sends bytes through an endpoint and back.
func works(t *testing.T, w *world, e culvert.EndpointListener) {
	t.Helper()
	go func() {
		if c, err := e.Accept(); err == nil {
			echo(c)
			_ = c.Close()
		}
	}()
	if got := exchange(t, w.dial(e, wire.ProxyHeader{}), "ping"); got != "ping" {
		t.Errorf("%s: got %q, want ping", e.URL(), got)
	}
}

// TestReconnectKeepsIdentity: after a lost connection the agent presents its
// client id and cookie, and every endpoint its id and token.
func TestReconnectKeepsIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var auths []wire.Auth
		var binds []wire.Bind
		w := newWorld(t, wiretest.Script{
			Auth: func(req wire.Auth, _ *wire.AuthResp) error {
				mu.Lock()
				defer mu.Unlock()
				auths = append(auths, req)
				return nil
			},
			Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
				mu.Lock()
				defer mu.Unlock()
				binds = append(binds, req)
				return nil
			},
		})
		a := w.agent()
		ln := w.listenOn(a)
		before := *ln.URL()
		w.server.Drop()
		synctest.Wait()
		if state := a.(culvert.AgentStatus).Legs()[0].State; state != culvert.StateReconnecting {
			t.Errorf("state after the loss: %s", state)
		}
		w.server.Bound(t.Context(), before.String())
		works(t, w, ln)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(auths) != 2 || auths[1].ClientId != "client1" || auths[1].Extra.Cookie != "cookie1" {
			t.Errorf("second Auth: got %+v", auths)
		}
		if len(binds) != 2 || binds[1].Id != ln.ID() || binds[1].Extra.Token != "token2" || binds[0].Extra.Token != "" {
			t.Errorf("binds: got %+v", binds)
		}
		if *ln.URL() != before {
			t.Errorf("URL: got %s, want %s", ln.URL(), before.String())
		}
		s, _ := a.Session()
		if s.ID() != "ts_1" {
			t.Errorf("session id: got %s, want ts_1", s.ID())
		}
		if c, d := count[*culvert.EventAgentConnectSucceeded](w.events), count[*culvert.EventAgentDisconnected](w.events); c != 2 || d != 1 {
			t.Errorf("%d connect and %d disconnect events, want 2 and 1", c, d)
		}
	})
}

// TestReconnectBacksOff: delays grow to 30 s, and start over after 60 s of
// health.
func TestReconnectBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		a := w.agent()
		w.listenOn(a)
		w.ln.Close()
		w.server.Drop()
		time.Sleep(time.Hour)
		synctest.Wait()
		leg := a.(culvert.AgentStatus).Legs()[0]
		// The mean delay is half of 30 s, so an hour holds about 240 attempts.
		if leg.Attempt < 180 || leg.Attempt > 320 || leg.RetryIn > 30*time.Second {
			t.Errorf("after an hour: attempt %d, next in %v", leg.Attempt, leg.RetryIn)
		}
		w.listen()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if leg := a.(culvert.AgentStatus).Legs()[0]; leg.State != culvert.StateOnline || leg.Attempt != 0 {
			t.Fatalf("after the server's return: %+v", leg)
		}
		time.Sleep(time.Minute)
		w.server.Drop()
		synctest.Wait()
		if leg := a.(culvert.AgentStatus).Legs()[0]; leg.RetryIn > 500*time.Millisecond {
			t.Errorf("first delay after health: %v, want at most 500ms", leg.RetryIn)
		}
	})
}

// TestRefusedRebind: one refused endpoint is marked and tried again; the
// others serve meanwhile.
func TestRefusedRebind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		refuse := false
		w := newWorld(t, wiretest.Script{Bind: func(_ *wiretest.Session, _ wire.Bind, resp *wire.BindResp) error {
			mu.Lock()
			defer mu.Unlock()
			if refuse && resp.URL == "https://bad.test" {
				return fault.New(fault.URLTaken, resp.URL)
			}
			return nil
		}})
		a := w.agent()
		bad, good := w.listenOn(a, culvert.WithURL("https://bad.test")), w.listenOn(a, culvert.WithURL("https://good.test"))
		mu.Lock()
		refuse = true
		mu.Unlock()
		w.server.Drop()
		w.server.Bound(t.Context(), "https://good.test")
		time.Sleep(time.Minute)
		synctest.Wait()
		works(t, w, good)
		if state, err := bad.(culvert.EndpointStatus).State(); state != culvert.EndpointFailed || code(err) != "ERR_NGROK_334" {
			t.Errorf("refused endpoint: %s, %v", state, err)
		}
		if n := count[*culvert.EventAgentDisconnected](w.events); n != 1 {
			t.Errorf("%d disconnects, want 1", n)
		}
		find(t, w.events, func(e *culvert.EventEndpointStateChanged) bool {
			return e.Endpoint == culvert.Endpoint(bad) && e.State == culvert.EndpointFailed && e.Err != nil
		})
		mu.Lock()
		refuse = false
		mu.Unlock()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if state, err := bad.(culvert.EndpointStatus).State(); state != culvert.EndpointOnline || err != nil {
			t.Errorf("endpoint after the refusals: %s, %v", state, err)
		}
		works(t, w, bad)
	})
}

// TestAgent32_ReassignedURL: our server may give another URL on a rebind; the
// agent takes it over only if both sides agreed.
func TestAgent32_ReassignedURL(t *testing.T) {
	t.Parallel()
	for _, agreed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, wiretest.Script{
				Features: wire.Features{ReassignURL: agreed},
				Bind: func(_ *wiretest.Session, req wire.Bind, resp *wire.BindResp) error {
					if req.Extra.Token != "" {
						resp.URL, resp.Extra.Token = "tcp://new.test:20001", "new-token"
					}
					return nil
				},
			})
			ln := w.listenOn(w.agent(), culvert.WithURL("tcp://"))
			old := ln.URL().String()
			w.server.Drop()
			w.server.Bound(t.Context(), "tcp://new.test:20001")
			synctest.Wait()
			want := old
			if agreed {
				want = "tcp://new.test:20001"
				e := find(t, w.events, func(e *culvert.EventEndpointStateChanged) bool { return e.PreviousURL != "" })
				if e.PreviousURL != old || e.State != culvert.EndpointOnline {
					t.Errorf("event: got %+v", e)
				}
			}
			if got := ln.URL().String(); got != want {
				t.Errorf("agreed %v: URL %s, want %s", agreed, got, want)
			}
		})
	}
}

// TestAgent31_SilentServer: 25 s after the last echo the agent reconnects.
func TestAgent31_SilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, wiretest.Script{})
		cut := &cutter{memDialer: memDialer{w.net}}
		a := w.agent(culvert.WithDialer(cut))
		ln := w.listenOn(a)
		time.Sleep(time.Minute)
		cut.silence()
		start := time.Now()
		find(t, w.events, anyEventTime[*culvert.EventAgentDisconnected](start))
		if d := time.Since(start); d > 25*time.Second {
			t.Errorf("noticed after %v, want at most 25s", d)
		}
		// Nobody hears a goodbye: only the first delay of the back-off is waited.
		time.Sleep(501 * time.Millisecond)
		synctest.Wait()
		if n := count[*culvert.EventAgentConnectSucceeded](w.events); n != 2 {
			t.Errorf("%d connections half a second later, want 2", n)
		}
		works(t, w, ln)
		if n := count[*culvert.EventAgentDisconnected](w.events); n != 1 {
			t.Errorf("%d disconnects, want 1", n)
		}
	})
}

// TestRefusalAfterAnHour: a session that was up believes a final refusal only
// after an hour.
func TestRefusalAfterAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		refuse := false
		w := newWorld(t, wiretest.Script{Auth: func(wire.Auth, *wire.AuthResp) error {
			mu.Lock()
			defer mu.Unlock()
			if refuse {
				return fault.New(fault.TokenRevoked, "x")
			}
			return nil
		}})
		ln := w.listenOn(w.agent())
		mu.Lock()
		refuse = true
		mu.Unlock()
		w.server.Drop()
		start := time.Now()
		<-ln.Done()
		if d := time.Since(start); d < time.Hour || d > time.Hour+time.Minute {
			t.Errorf("given up after %v, want an hour", d)
		}
		if _, err := ln.Accept(); code(err) != string(fault.TokenRevoked) {
			t.Errorf("Accept: got %v, want %s", err, fault.TokenRevoked)
		}
	})
}

// TestAgent33_MultiLeg: endpoints are bound on every leg under the same id and
// token, and survive the loss of one.
func TestAgent33_MultiLeg(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var binds []wire.Bind
		var legs []uint32
		w := newWorld(t, wiretest.Script{
			Auth: func(req wire.Auth, resp *wire.AuthResp) error {
				mu.Lock()
				defer mu.Unlock()
				legs = append(legs, req.Extra.LegNumber)
				resp.Extra.ConnectAddresses = []wire.ConnectAddress{
					{Region: "a", ServerAddr: serverAddr}, {Region: "b", ServerAddr: "127.0.0.1:9445"},
				}
				return nil
			},
			Bind: func(_ *wiretest.Session, req wire.Bind, _ *wire.BindResp) error {
				mu.Lock()
				defer mu.Unlock()
				binds = append(binds, req)
				return nil
			},
		})
		second, err := w.net.Listen("tcp", "127.0.0.1:9445")
		if err != nil {
			t.Fatal(err)
		}
		go w.server.Serve(second)
		defer second.Close()
		a := w.agent(culvert.WithMultiLeg(true))
		ln := w.listenOn(a, culvert.WithURL("https://app.test"))
		w.server.Wait(t.Context(), func(all []*wiretest.Session) bool { return len(all) == 2 })
		synctest.Wait()
		later := w.listenOn(a, culvert.WithURL("https://later.test"))
		synctest.Wait()
		mu.Lock()
		if !slices.Equal(legs, []uint32{0, 1}) {
			t.Errorf("legs %v, want 0 and 1", legs)
		}
		if len(binds) != 4 || binds[1].Id != ln.ID() || binds[1].Extra.Token == "" || binds[3].Id != later.ID() {
			t.Errorf("binds: got %+v", binds)
		}
		mu.Unlock()
		if all := a.(culvert.AgentStatus).Legs(); len(all) != 2 || all[1].State != culvert.StateOnline || all[1].Address != "127.0.0.1:9445" {
			t.Errorf("legs: got %+v", all)
		}
		// The first server goes away for good.
		w.ln.Close()
		first := w.server.Sessions()[0]
		_ = first.Mux().Close()
		synctest.Wait()
		works(t, w, ln)
		works(t, w, later)
		if err := ln.Close(); err != nil {
			t.Errorf("Close on the second leg: %v", err)
		}
		synctest.Wait()
		if got := w.server.Unbound(); len(got) != 1 {
			t.Errorf("unbound %v, want one", got)
		}
	})
}

// TestManyEndpointsComeBack: rebinding is not one round trip after the other.
func TestManyEndpointsComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := false
		var mu sync.Mutex
		w := newWorld(t, wiretest.Script{Bind: func(*wiretest.Session, wire.Bind, *wire.BindResp) error {
			mu.Lock()
			wait := slow
			mu.Unlock()
			if wait {
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		}})
		a := w.agent()
		for range 64 {
			w.listenOn(a)
		}
		mu.Lock()
		slow = true
		mu.Unlock()
		w.server.Drop()
		start := time.Now()
		find(t, w.events, anyEventTime[*culvert.EventAgentConnectSucceeded](start.Add(time.Nanosecond)))
		if d := time.Since(start); d > time.Second {
			t.Errorf("64 endpoints were back after %v, want at most 1s", d)
		}
	})
}

// anyEventTime holds for events not before a time.
func anyEventTime[E culvert.Event](from time.Time) func(E) bool {
	return func(e E) bool { return !e.Timestamp().Before(from) }
}
