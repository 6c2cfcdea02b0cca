package tunnel

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

func TestBindIsReachableWhenAnswered(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		resp := a.mustBind(httpsBind())
		if resp.Id == "" || resp.URL != "https://ep_1.test" || resp.Proto != "https" ||
			resp.Extra.Token != "resume:ep_1" || resp.Extra.TunnelID != "ep_1" {
			t.Errorf("got %+v", resp)
		}
		tun := w.pub.get("ep_1")
		if tun == nil {
			t.Fatal("the endpoint is not published")
		}
		if got, err := echo(tun, "hello"); got != "hello" || err != nil {
			t.Errorf("got %q, %v through the tunnel", got, err)
		}
	})
}

func TestBindAnswerHasTheKeysThatStrictClientsNeed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.binder.refuse = func(wire.Bind) error { return fault.New(fault.URLTaken, "https://x") }
		a := w.online()
		var raw map[string]json.RawMessage
		if err := a.peer.Call(t.Context(), wire.TypeBind, httpsBind(), &raw); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"Id", "URL", "Proto", "Opts", "Error", "Extra"} {
			if v, ok := raw[key]; !ok || string(v) == "null" {
				t.Errorf("key %s of a refusal is %s", key, v)
			}
		}
	})
}

func TestBindUsesTheIDThatTheAgentChose(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		req := httpsBind()
		req.Id = "mine"
		if got := a.mustBind(req).Id; got != "mine" {
			t.Errorf("got id %q", got)
		}
		got := make(chan string, 1)
		a.mu.Lock()
		a.proxy = func(h wire.ProxyHeader, _ *mux.Stream, _ int) bool { got <- h.Id; return false }
		a.mu.Unlock()
		time.Sleep(2 * youth) // else the tunnel tries again
		_, _ = echo(w.pub.get("ep_1"), "x")
		if id := <-got; id != "mine" {
			t.Errorf("stream names id %q", id)
		}
		resp, err := a.bind(req)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.IDTaken)
	})
}

func TestBindSentTwiceIsAnsweredTwice(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		first := a.mustBind(httpsBind())
		second := a.mustBind(wire.Bind{Id: first.Id, Proto: "https", Extra: wire.BindExtra{Token: first.Extra.Token}})
		if second.URL != first.URL || len(w.srv.tunnels) != 1 {
			t.Errorf("got %s and %d tunnels, want %s and one", second.URL, len(w.srv.tunnels), first.URL)
		}
	})
}

func TestBindThatCannotBePublishedIsGivenBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.pub.err = errors.New("no table")
		resp, err := w.online().bind(httpsBind())
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.Internal)
		if got := w.binder.releases(); len(got) != 1 || len(w.srv.tunnels) != 0 {
			t.Errorf("got releases %q, %d tunnels", got, len(w.srv.tunnels))
		}
	})
}

func TestLimit_EndpointsPerSession(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		first := a.mustBind(httpsBind())
		a.mustBind(httpsBind())
		resp, err := a.bind(httpsBind())
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.TooManyEndpointsSession)
		a.unbind(first.Id)
		a.mustBind(httpsBind())
	}, func(c *Config) { c.Limits.Endpoints = 2 })
}

func (a *agent) unbind(id string) {
	a.t.Helper()
	var resp wire.UnbindResp
	if err := a.peer.Call(a.t.Context(), wire.TypeUnbind, wire.Unbind{Id: id}, &resp); err != nil || resp.Error != "" {
		a.t.Fatalf("unbind %s: %v, %q", id, err, resp.Error)
	}
}

func TestH15_UnbindTwiceAndOfUnknownIDsSucceeds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		id := a.mustBind(httpsBind()).Id
		a.unbind(id)
		a.unbind(id)
		a.unbind("never was")
		if got := w.binder.releases(); len(got) != 1 || got[0] != "ep_1 true" {
			t.Errorf("got releases %q, want one, clean", got)
		}
		if w.pub.get("ep_1") != nil {
			t.Error("the endpoint is still published")
		}
	})
}

func TestUnbindLetsOpenStreamsFinish(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		id := a.mustBind(httpsBind()).Id
		c, err := w.pub.get("ep_1").Dial(t.Context(), header())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a.unbind(id)
		if _, err := io.WriteString(c, "still"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "still" {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

func TestPatchPublishesAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		text := "new"
		var resp wire.ErrorResp
		patch := wire.PatchTunnelState{TunnelId: "ep_1", Description: &text}
		if err := a.peer.Call(t.Context(), wire.TypePatchTunnelState, patch, &resp); err != nil || resp.Error != "" {
			t.Fatalf("patch: %v, %q", err, resp.Error)
		}
		if got := w.pub.get("ep_1").Bound().Description; got != "new" {
			t.Errorf("got description %q", got)
		}
		patch.TunnelId = "ep_9"
		if err := a.peer.Call(t.Context(), wire.TypePatchTunnelState, patch, &resp); err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.EndpointUnknown)
	})
}

func TestLabelledTunnelsAreRefusedWithAHint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		var resp wire.StartTunnelWithLabelResp
		err := w.online().peer.Call(t.Context(), wire.TypeStartTunnelWithLabel, wire.StartTunnelWithLabel{}, &resp)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.LabelsNotSupported)
		if !strings.Contains(resp.Error, "internal endpoints") {
			t.Errorf("no hint in %q", resp.Error)
		}
	})
}

func TestUnknownRequestTypesAreReset(t *testing.T) {
	t.Parallel()
	for _, typ := range []wire.ReqType{wire.TypeAgentMetrics, wire.TypeProxy, wire.TypeStop, wire.TypeStopTunnel, 77} {
		t.Run(typ.String(), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				var resp wire.ErrorResp
				err := w.online().peer.Call(t.Context(), typ, struct{}{}, &resp)
				var se *mux.StreamError
				if !errors.As(err, &se) || se.Code != frame.StreamRefused {
					t.Errorf("got %v, want a stream refused", err)
				}
			})
		})
	}
}

func TestGoodbyeIsAClaimGivenUpAndALossIsNot(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		a.mux.Close() // sends a goodbye
		synctest.Wait()
		b := w.online()
		b.mustBind(httpsBind())
		b.mux.CloseWith(frame.PeerEOF, io.EOF) // sends nothing
		synctest.Wait()
		got := w.binder.releases()
		if len(got) != 2 || got[0] != "ep_1 true" || got[1] != "ep_2 false" {
			t.Errorf("got releases %q", got)
		}
	})
}

func TestRebindThatCannotBeIsAcceptedAndThenStopped(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.binder.refuse = func(wire.Bind) error { return fault.New(fault.URLTaken, "https://x.test") }
		a := w.online()
		req := wire.Bind{
			Id: "b1", Proto: "https", Opts: json.RawMessage(`{"Hostname":"x.test"}`),
			Extra: wire.BindExtra{Token: "resume:ep_7"},
		}
		resp, err := a.bind(req)
		if err != nil || resp.Error != "" || resp.URL != "https://x.test" || resp.Extra.Token != "resume:ep_7" {
			t.Fatalf("got %+v, %v, want the endpoint as it was", resp, err)
		}
		time.Sleep(time.Second)
		if got := a.commands(); len(got) != 1 || !strings.Contains(got[0], `"b1"`) || !strings.Contains(got[0], string(fault.URLTaken)) {
			t.Errorf("got commands %q, want the endpoint stopped with 334", got)
		}
	})
}

func TestRebindOfOurOwnAgentIsRefusedOpenly(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.binder.refuse = func(wire.Bind) error { return fault.New(fault.URLTaken, "https://x.test") }
		a := w.online(func(r *wire.Auth) { r.Extra.Culvert = &wire.Features{} })
		resp, err := a.bind(wire.Bind{Id: "b1", Proto: "https", Extra: wire.BindExtra{Token: "resume:ep_7"}})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, resp.Error, fault.URLTaken)
	})
}

func TestClaimOvertakenByAnotherAgent(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		first := a.mustBind(httpsBind())
		b := w.online() // without the client id, but with the resume token
		b.mustBind(wire.Bind{Id: first.Id, Proto: "https", Extra: wire.BindExtra{Token: first.Extra.Token}})
		tun := w.pub.get("ep_1")
		if tun == nil || tun.Agent().ClientID != b.resp.ClientId {
			t.Fatal("the newer bind does not hold the endpoint")
		}
		a.mux.Close()
		synctest.Wait()
		if w.pub.get("ep_1") != tun {
			t.Error("the end of the older session took the endpoint offline")
		}
		if got, err := echo(tun, "hi"); got != "hi" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
