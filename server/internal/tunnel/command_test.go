package tunnel

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
)

func TestCommandsReachTheAgent(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		id := a.resp.Extra.AgentSessionID
		for name, send := range map[string]func() error{
			"Stop {}":                               func() error { return w.srv.StopSession(t.Context(), id) },
			"Restart {}":                            func() error { return w.srv.RestartSession(t.Context(), id) },
			`Update {"Version":"3.1","PermitMajorV`: func() error { return w.srv.UpdateSession(t.Context(), id, "3.1", true) },
		} {
			if err := send(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got := a.commands()
			if last := got[len(got)-1]; !strings.HasPrefix(last, name) {
				t.Errorf("got command %q, want %q", last, name)
			}
		}
		if err := w.srv.StopSession(t.Context(), "ts_nobody"); !errors.Is(err, ErrUnknown) {
			t.Errorf("unknown session: got %v", err)
		}
	})
}

func TestCommandsThatAnAgentDoesNotSupport(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		why := "not here"
		a := w.online(func(r *wire.Auth) {
			r.Extra.StopUnsupportedError, r.Extra.RestartUnsupportedError = &why, nil
		})
		id := a.resp.Extra.AgentSessionID
		for _, tt := range []struct {
			code fault.Code
			want string
			err  error
		}{
			{fault.StopUnsupported, why, w.srv.StopSession(t.Context(), id)},
			{fault.CommandUnsupported, "too old", w.srv.RestartSession(t.Context(), id)},
		} {
			if !fault.Has(tt.err, tt.code) || !strings.Contains(tt.err.Error(), tt.want) {
				t.Errorf("got %v, want %s with %q", tt.err, tt.code, tt.want)
			}
		}
		if got := a.commands(); len(got) != 0 {
			t.Errorf("commands %q were sent all the same", got)
		}
	})
}

func TestCommandThatTheAgentRefuses(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.answer = func(wire.ReqType) (any, error) { return wire.ErrorResp{Error: "busy"}, nil }
		err := w.srv.StopSession(t.Context(), a.resp.Extra.AgentSessionID)
		if !fault.Has(err, fault.StopFailed) || !strings.Contains(err.Error(), "busy") {
			t.Errorf("got %v, want 808 with the agent's text", err)
		}
	})
}

func TestH16_UnansweredCommandIsGivenUpAndReset(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		release := make(chan struct{})
		defer close(release)
		a.answer = func(wire.ReqType) (any, error) { <-release; return nil, wire.ErrNoAnswer }
		start := time.Now()
		err := w.srv.StopSession(t.Context(), a.resp.Extra.AgentSessionID)
		if !fault.Has(err, fault.CommandTimeout) || time.Since(start) != 5*time.Second {
			t.Errorf("got %v after %v, want 810 after 5s", err, time.Since(start))
		}
		synctest.Wait()
		if n := a.mux.NumStreams(); n != 0 {
			t.Errorf("the agent is left with %d streams", n)
		}
	})
}

func TestStopTunnelEndsOneEndpoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		bind := a.mustBind(httpsBind())
		a.mustBind(httpsBind())
		if err := w.srv.StopTunnel(t.Context(), "ep_1", fault.New(fault.URLTaken, "https://x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := a.commands()
		if len(got) != 1 || !strings.Contains(got[0], bind.Id) || !strings.Contains(got[0], "ERR_NGROK_334") {
			t.Errorf("got commands %q", got)
		}
		if w.pub.get("ep_1") != nil || w.pub.get("ep_2") == nil {
			t.Error("want the first endpoint offline and the second online")
		}
		if err := w.srv.StopTunnel(t.Context(), "ep_1", fault.New(fault.URLTaken, "")); !errors.Is(err, ErrUnknown) {
			t.Errorf("again: got %v", err)
		}
	})
}

func TestStopTunnelIsNotSentToOldAgents(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online(func(r *wire.Auth) { r.Version = []string{"2"} })
		a.mustBind(httpsBind())
		if err := w.srv.StopTunnel(t.Context(), "ep_1", fault.New(fault.URLTaken, "")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := a.commands(); len(got) != 0 || w.pub.get("ep_1") != nil {
			t.Errorf("got commands %q, published %v; want none of either", got, w.pub.get("ep_1"))
		}
	})
}

func TestDrainLetsStreamsFinishBeforeTheGoodbye(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		tun := w.pub.get("ep_1")
		c, err := tun.Dial(t.Context(), header())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(3 * time.Second)
			_, _ = io.WriteString(c, "late")
			_ = c.(*mux.Stream).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}()
		synctest.Wait()
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			if _, err := tun.Dial(t.Context(), header()); !fault.Has(err, fault.Draining) {
				t.Errorf("while draining: got %v, want 742", err)
			}
			if n := w.srv.NumStreams(); n != 1 {
				t.Errorf("while draining: got %d streams, want 1", n)
			}
		}()
		w.srv.Drain(t.Context())
		if d := time.Since(start); d < 3*time.Second || d > 4*time.Second {
			t.Errorf("drained after %v, want as soon as the stream ended after 3s", d)
		}
		<-a.mux.Done()
		var se *mux.SessionError
		if !errors.As(a.mux.Err(), &se) || !se.Remote || se.Code != 0 {
			t.Errorf("agent saw %v, want a goodbye", a.mux.Err())
		}
		if _, err := tun.Dial(t.Context(), header()); err == nil {
			t.Error("a stream was opened after the drain")
		}
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		c, err := w.pub.get("ep_1").Dial(t.Context(), header())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		w.srv.Drain(ctx)
		<-a.mux.Done()
	})
}

func TestDrainingServerTakesNobody(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.srv.Drain(t.Context())
		a := w.connect("127.0.0.1")
		<-a.mux.Done()
	})
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		for range 20 {
			w.online().mustBind(httpsBind())
		}
		w.connect("127.0.0.1")
		synctest.Wait()
		w.srv.Close()
		w.srv.Close()
		if len(w.srv.conns) != 0 || len(w.srv.groups) != 0 || len(w.srv.tunnels) != 0 || len(w.pub.online) != 0 {
			t.Errorf("left: %d connections, %d groups, %d tunnels, %d published",
				len(w.srv.conns), len(w.srv.groups), len(w.srv.tunnels), len(w.pub.online))
		}
	})
}
