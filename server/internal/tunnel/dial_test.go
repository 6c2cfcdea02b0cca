package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
)

// mute makes the agent take streams and show nothing.
func mute(h wire.ProxyHeader, st *mux.Stream, _ int) bool { return true }

// dialAll opens n streams and writes to each.
func dialAll(t *testing.T, tun *Tunnel, n int) []net.Conn {
	t.Helper()
	var all []net.Conn
	for i := range n {
		c, err := tun.Dial(t.Context(), header())
		if err == nil {
			_, err = io.WriteString(c, "x")
		}
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		all = append(all, c)
	}
	t.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
	})
	return all
}

func TestH07_Limit_UnacknowledgedStreams(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.proxy = mute
		a.mustBind(httpsBind())
		time.Sleep(2 * youth)
		tun := w.pub.get("ep_1")
		open := dialAll(t, tun, 100)
		start := time.Now()
		_, err := tun.Dial(t.Context(), header())
		if !fault.Has(err, fault.NoMember) {
			t.Fatalf("stream 101: got %v, want 724", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v, want 1s", d)
		}
		go func() {
			time.Sleep(500 * time.Millisecond)
			open[0].Close()
			open[0].(*mux.Stream).Abort()
		}()
		c, err := tun.Dial(t.Context(), header())
		if err != nil {
			t.Fatalf("after a place became free: %v", err)
		}
		c.Close()
	})
}

func TestH19_BurstOfStreamsLosesNone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online() // takes 128 streams at once, as stock Go agents do
		a.mustBind(httpsBind())
		time.Sleep(2 * youth)
		tun := w.pub.get("ep_1")
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got, err := echo(tun, "x"); got != "x" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestH05_Limit_StreamsPerSession(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online(func(r *wire.Auth) { r.Extra.UserAgent = "ngrok-javascript/1.7.0 ngrok-rust/0.18.0" })
		a.mustBind(httpsBind())
		time.Sleep(2 * youth)
		tun := w.pub.get("ep_1")
		b := make([]byte, 1)
		for range 10 {
			for _, c := range dialAll(t, tun, 50) {
				if _, err := io.ReadFull(c, b); err != nil { // the echo acknowledges it
					t.Fatal(err)
				}
			}
		}
		if _, err := tun.Dial(t.Context(), header()); !fault.Has(err, fault.NoMember) {
			t.Errorf("stream 501: got %v, want 724", err)
		}
	})
}

func TestOurOwnAgentNeedNotAcknowledge(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online(func(r *wire.Auth) { r.Extra.Culvert = &wire.Features{} })
		a.proxy = mute
		a.mustBind(httpsBind())
		dialAll(t, w.pub.get("ep_1"), 110)
	})
}

func TestWaitingForRoomIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.proxy = mute
		a.mustBind(httpsBind())
		time.Sleep(2 * youth)
		tun := w.pub.get("ep_1")
		dialAll(t, tun, 1)
		go tun.Dial(t.Context(), header()) //nolint:errcheck // takes the one place to wait
		synctest.Wait()
		start := time.Now()
		if _, err := tun.Dial(t.Context(), header()); !fault.Has(err, fault.NoMember) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want 724 at once", err, time.Since(start))
		}
		time.Sleep(2 * time.Second)
	}, func(c *Config) { c.Limits.Unacked, c.Limits.Waiting = 1, 1 })
}

func TestDialOfALostAgent(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		tun := w.pub.get("ep_1")
		a.mux.Close()
		synctest.Wait()
		if _, err := tun.Dial(t.Context(), header()); !fault.Has(err, fault.AgentUnreachable) {
			t.Errorf("got %v, want 3210", err)
		}
	})
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.proxy = mute
		a.mustBind(httpsBind())
		time.Sleep(2 * youth)
		tun := w.pub.get("ep_1")
		dialAll(t, tun, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := tun.Dial(ctx, header()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	}, func(c *Config) { c.Limits.Unacked = 1 })
}

func TestYoungEndpointIsAskedAgainWhenTheAgentHangsUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.proxy = func(_ wire.ProxyHeader, st *mux.Stream, n int) bool {
			if n <= 2 {
				return false // has not looked at the bind's answer yet
			}
			_, _ = io.Copy(st, st)
			st.Close()
			return true
		}
		a.mustBind(httpsBind())
		if got, err := echo(w.pub.get("ep_1"), "hello"); got != "hello" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestYoungEndpointWhoseUpstreamSpeaksFirst(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.proxy = func(_ wire.ProxyHeader, st *mux.Stream, _ int) bool {
			_, _ = io.WriteString(st, "220 ready")
			st.Close()
			return true
		}
		a.mustBind(httpsBind())
		c, err := w.pub.get("ep_1").Dial(t.Context(), header())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if b, err := io.ReadAll(c); string(b) != "220 ready" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// legs connects an agent with two legs and one endpoint on both.
func legs(t *testing.T, w *world) (one, two *agent, bind wire.BindResp) {
	t.Helper()
	one = w.online()
	bind = one.mustBind(httpsBind())
	two = w.connect("127.0.0.1")
	req := one.again()
	req.Extra.LegNumber = 1
	if resp := two.auth(req); resp.Error != "" || resp.ClientId != one.resp.ClientId {
		t.Fatalf("second leg: %+v", resp)
	}
	again := two.mustBind(wire.Bind{Id: bind.Id, Proto: "https", Extra: wire.BindExtra{Token: bind.Extra.Token}})
	if again.URL != bind.URL || again.Id != bind.Id {
		t.Fatalf("second leg: bound %+v, want %+v", again, bind)
	}
	return one, two, bind
}

func TestLegsShareOneEndpoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		one, two, bind := legs(t, w)
		tun := w.pub.get("ep_1")
		for range 10 {
			if _, err := echo(tun, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if one.streams != 5 || two.streams != 5 {
			t.Errorf("got %d and %d streams, want 5 each", one.streams, two.streams)
		}

		one.mux.CloseWith(0, io.EOF)
		synctest.Wait()
		if got, err := echo(tun, "y"); got != "y" || err != nil {
			t.Errorf("after the loss of a leg: got %q, %v", got, err)
		}
		if got := w.binder.releases(); len(got) != 0 {
			t.Errorf("released %q while a leg is up", got)
		}

		back := w.connect("127.0.0.1")
		if resp := back.auth(one.again()); resp.Error != "" {
			t.Fatal(resp.Error)
		}
		back.mustBind(wire.Bind{Id: bind.Id, Proto: "https", Extra: wire.BindExtra{Token: bind.Extra.Token}})
		back.unbind(bind.Id)
		if w.pub.get("ep_1") != nil || len(w.srv.tunnels) != 0 {
			t.Error("unbinding on the first leg left the endpoint online")
		}
		if got := w.binder.releases(); len(got) != 1 || got[0] != "ep_1 true" {
			t.Errorf("got releases %q, want one", got)
		}
	})
}

func TestLegNeedsTheResumeTokenToJoin(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		_, two, bind := legs(t, w)
		resp, err := two.bind(wire.Bind{Id: bind.Id, Proto: "https"})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.IDTaken)
	})
}

func TestLegsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		one := w.online()
		for leg := uint32(1); leg <= maxLegs; leg++ {
			req := one.again()
			req.Extra.LegNumber = leg
			resp := w.connect("127.0.0.1").auth(req)
			if leg < maxLegs && resp.Error != "" {
				t.Fatalf("leg %d: %s", leg, resp.Error)
			}
			if leg == maxLegs {
				wantCode(t, resp.Error, fault.TooManySessions)
			}
		}
	})
}

// Nobody is sent to a session that has ended, even while it takes its time to
// say goodbye to an agent that does not listen.
func TestEndpointsGoWithTheSession(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		near, far := memnet.Pipe(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		go w.srv.ServeConn(t.Context(), far)
		defer near.Close()
		auth, err := json.Marshal(goodAuth())
		if err != nil {
			t.Fatal(err)
		}
		request := func(id uint32, typ byte, body []byte) {
			_, err := near.Write(frame.AppendData(nil, id, frame.SYN, append([]byte{0, 0, 0, typ}, body...)))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		request(3, byte(wire.TypeAuth), auth)
		request(5, byte(wire.TypeBind), []byte(`{"Proto":"https"}`))
		tun := w.pub.get("ep_1")
		if tun == nil {
			t.Fatal("the endpoint is not online")
		}
		time.Sleep(2 * youth)
		for range 3 { // until the transport takes no more
			c, err := tun.Dial(t.Context(), header())
			if err != nil {
				t.Fatal(err)
			}
			go c.Write(make([]byte, mux.Window)) //nolint:errcheck // ends with the session
		}
		synctest.Wait()
		start := time.Now()
		request(2, 0, nil) // a protocol error
		if d := time.Since(start); w.pub.get("ep_1") != nil || d != 0 {
			t.Errorf("the endpoint is published %v after the end of its session", d)
		}
		if _, err := tun.Dial(t.Context(), header()); !fault.Has(err, fault.AgentUnreachable) {
			t.Errorf("dial: %v, want 3210", err)
		}
		time.Sleep(time.Second)
		w.srv.mu.Lock()
		defer w.srv.mu.Unlock()
		if n := len(w.srv.conns) + len(w.srv.groups); n != 0 {
			t.Errorf("%d sessions and groups are left", n)
		}
	})
}

// A bind that is under way when its session ends leaves nothing online, and one
// behind it is not begun.
func TestBindBehindTheEndOfItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Cleanup(w.srv.Close)
	a := w.online()
	ses := w.srv.sessions()[0]
	w.binder.refuse = func(wire.Bind) error {
		a.mux.Close()
		<-ses.mux.Done()
		return nil
	}
	if resp, err := a.bind(httpsBind()); err == nil {
		t.Errorf("got %+v, want no answer", resp)
	}
	<-ses.done
	if _, err := w.srv.bind(t.Context(), ses, httpsBind()); !errors.Is(err, wire.ErrNoAnswer) {
		t.Errorf("a bind behind the end: %v, want none", err)
	}
	if n := len(w.pub.online) + len(w.srv.tunnels); n != 0 {
		t.Errorf("%d endpoints and tunnels are left", n)
	}
}
