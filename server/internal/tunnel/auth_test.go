package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

func TestAuthAnswersEverythingAnAgentNeeds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		resp := w.online().resp
		if resp.Version != "3" || resp.ClientId == "" || resp.Extra.AgentSessionID == "" || resp.Extra.Cookie == "" ||
			resp.Extra.Region != "test" || resp.Extra.Version != "1.2.3" {
			t.Errorf("got %+v, want version 3, ids, cookie, region and server version", resp)
		}
		if resp.Extra.Culvert != nil {
			t.Errorf("got features %+v for an agent that offered none", resp.Extra.Culvert)
		}
	})
}

func TestAuthVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		offered []string
		want    string
		code    fault.Code
	}{
		{offered: []string{"3", "2"}, want: "3"},
		{offered: []string{"2"}, want: "2"},
		{offered: nil, want: "2"},
		{offered: []string{"17"}, code: fault.VersionUnsupported},
	} {
		t.Run(fmt.Sprint(tt.offered), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				req := goodAuth()
				req.Version = tt.offered
				resp := w.connect("127.0.0.1").auth(req)
				if tt.code != "" {
					wantCode(t, resp.Error, tt.code)
				} else if resp.Error != "" || resp.Version != tt.want {
					t.Errorf("got version %q, error %q, want %q", resp.Version, resp.Error, tt.want)
				}
			})
		})
	}
}

func TestAuthFeaturesAreAgreed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online(func(r *wire.Auth) { r.Extra.Culvert = &wire.Features{FaultRecord: true} })
		if got := a.resp.Extra.Culvert; got == nil || *got != (wire.Features{FaultRecord: true}) {
			t.Errorf("got features %+v, want the fault record alone", got)
		}
	})
}

func TestAuthRefusalIsAnsweredAndThenClosed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.connect("127.0.0.1")
		req := goodAuth()
		req.Extra.Authtoken = "bad"
		wantCode(t, a.auth(req).Error, fault.TokenUnknown)
		start := time.Now()
		<-a.mux.Done()
		if d := time.Since(start); d < 900*time.Millisecond || d > 2*time.Second {
			t.Errorf("connection closed %v after the refusal, want about a second", d)
		}
	})
}

func TestAuthOnlyOnceOnAConnection(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		wantCode(t, a.auth(goodAuth()).Error, fault.AuthIncomplete)
	})
}

func TestLimit_SessionMetadata(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		req := goodAuth()
		req.Extra.Metadata = strings.Repeat("x", 4097)
		wantCode(t, w.connect("127.0.0.1").auth(req).Error, fault.MetadataTooLong)
	})
}

func TestBeforeAuthOnlyServerInfoAndBeats(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.connect("127.0.0.1")
		var info wire.SrvInfoResp
		if err := a.peer.Call(t.Context(), wire.TypeSrvInfo, wire.SrvInfo{}, &info); err != nil || info.Region != "test" {
			t.Errorf("server info before auth: got %+v, %v", info, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		beats := 0
		_ = a.peer.Heartbeat(ctx, time.Second, time.Second, func(time.Duration) {
			if beats++; beats == 2 {
				cancel()
			}
		})
		if beats != 2 {
			t.Errorf("got %d beats before auth, want 2", beats)
		}
		_, err := a.bind(httpsBind())
		var se *mux.StreamError
		if !errors.As(err, &se) || se.Code != frame.StreamRefused {
			t.Errorf("bind before auth: got %v, want a stream refused", err)
		}
	})
}

func TestLimit_AgentBeforeAuth_Time(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.connect("127.0.0.1")
		start := time.Now()
		<-a.mux.Done()
		if d := time.Since(start); d != 15*time.Second {
			t.Errorf("silent connection closed after %v, want 15s", d)
		}
	})
}

func TestStalledHandshakeIsCutOff(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.connect("192.0.2.1") // whose first frame never comes, and which is no TLS
		start := time.Now()
		<-a.mux.Done()
		if d := time.Since(start); d != 15*time.Second {
			t.Errorf("closed after %v, want 15s", d)
		}
		synctest.Wait()
		if w.srv.admission.pending != 0 {
			t.Errorf("%d places are still taken", w.srv.admission.pending)
		}
	}, func(c *Config) { c.TLS = &tls.Config{} })
}

func TestLimit_AgentBeforeAuth_Bytes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.connect("127.0.0.1")
		// A request of another type is not read at all, so only the bound on the
		// connection stops it.
		st, err := a.mux.Open(t.Context(), []byte{0, 0, 0, 1})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = st.Write(make([]byte, 8<<10))
			synctest.Wait()
		}
		<-a.mux.Done()
		synctest.Wait()
		if n := len(w.srv.sessions()); n != 0 {
			t.Errorf("%d sessions left", n)
		}
	})
}

func TestReconnectKeepsIDsAcrossARestart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		req := a.again()
		w.restart()
		b := w.connect("127.0.0.1")
		resp := b.auth(req)
		if resp.ClientId != a.resp.ClientId || resp.Extra.AgentSessionID != a.resp.Extra.AgentSessionID {
			t.Errorf("got ids %s, %s, want %s, %s", resp.ClientId, resp.Extra.AgentSessionID, a.resp.ClientId, a.resp.Extra.AgentSessionID)
		}
	})
}

func TestUnknownClientIDGetsAFreshOne(t *testing.T) {
	t.Parallel()
	for name, cookie := range map[string]string{"no cookie": "", "garbage": "zzz", "another's": fakeSealer{}.Seal(cookiePurpose, []byte(`{"Account":"acc_2","ClientID":"mine","SessionID":"s"}`))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				req := goodAuth()
				req.ClientId, req.Extra.Cookie = "mine", cookie
				resp := w.connect("127.0.0.1").auth(req)
				if resp.Error != "" || resp.ClientId == "" || resp.ClientId == "mine" {
					t.Errorf("got id %q, error %q, want a fresh id", resp.ClientId, resp.Error)
				}
			})
		})
	}
}

func TestH10_NewerSessionReplacesTheOlder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		b := w.connect("127.0.0.1")
		if resp := b.auth(a.again()); resp.Error != "" {
			t.Fatalf("auth: %s", resp.Error)
		}
		// The answer comes after the older one has given everything back.
		if got := w.binder.releases(); len(got) != 1 || got[0] != "ep_1 false" {
			t.Errorf("got releases %q, want ep_1 lost", got)
		}
		select {
		case <-a.mux.Done():
		case <-time.After(time.Second):
			t.Error("the older session is still open")
		}
		if n := w.srv.NumSessions(); n != 1 {
			t.Errorf("got %d sessions, want 1", n)
		}
	})
}

func TestH14_Limit_AgentAuthFailures_Address(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		bad := goodAuth()
		bad.Extra.Authtoken = "bad"
		for range 10 {
			wantCode(t, w.connect("192.0.2.1").auth(bad).Error, fault.TokenUnknown)
		}
		start := time.Now()
		wantCode(t, w.connect("192.0.2.1").auth(goodAuth()).Error, fault.SessionRate)
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("held for %v, want 5s", d)
		}
		if resp := w.connect("192.0.2.2").auth(goodAuth()); resp.Error != "" {
			t.Errorf("another address: got %s", resp.Error)
		}
		time.Sleep(time.Minute)
		if resp := w.connect("192.0.2.1").auth(goodAuth()); resp.Error != "" {
			t.Errorf("after a minute: got %s", resp.Error)
		}
	})
}

func TestLimit_AgentAuthFailures_TokenPrefix(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		bad := goodAuth()
		bad.Extra.Authtoken = "bad_0123456789abcdef"
		for i := range 20 {
			bad.Extra.Authtoken += "x"
			w.connect(fmt.Sprintf("192.0.2.%d", i+1)).auth(bad)
		}
		wantCode(t, w.connect("192.0.2.99").auth(bad).Error, fault.SessionRate)
	})
}

func TestLoopbackIsExemptFromLimitsPerSource(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		bad := goodAuth()
		bad.Extra.Authtoken = "bad"
		for range 30 {
			wantCode(t, w.connect("127.0.0.1").auth(bad).Error, fault.TokenUnknown)
		}
	})
}

func TestLimit_AgentBeforeAuth_Pending(t *testing.T) {
	t.Parallel()
	a := newAdmission(Limits{Pending: 3, PendingPerSource: 2, Queue: -1}.withDefaults())
	one, two, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")
	enter := func(addr netip.Addr) func() { return a.enter(t.Context(), addr) }
	leave := enter(one)
	if leave == nil || enter(one) == nil {
		t.Fatal("the first two of an address are refused")
	}
	if enter(one) != nil {
		t.Error("a third of one address is let in")
	}
	if enter(six) == nil {
		t.Error("another address is refused")
	}
	if enter(two) != nil {
		t.Error("a fourth in all is let in")
	}
	leave()
	leave() // harmless
	if enter(two) == nil {
		t.Error("a place given back cannot be taken")
	}
	if len(a.sources) != 3 {
		t.Errorf("got %d sources, want 3", len(a.sources))
	}
}

func TestAgentsBeyondTheBoundQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(Limits{Pending: 1, Queue: 2}.withDefaults())
		home := netip.MustParseAddr("127.0.0.1")
		leave := a.enter(t.Context(), home)
		turns := make(chan int, 2)
		places := make(chan func(), 2)
		for i := range 2 {
			go func() {
				place := a.enter(t.Context(), home)
				turns <- i
				places <- place
			}()
			synctest.Wait()
		}
		if a.enter(t.Context(), home) != nil {
			t.Error("a third may wait")
		}
		leave()
		if first := <-turns; first != 0 {
			t.Errorf("number %d came first", first)
		}
		(<-places)()
		<-turns
		(<-places)()
		if a.pending != 0 || a.waiting.Len() != 0 {
			t.Errorf("%d pending, %d waiting at the end", a.pending, a.waiting.Len())
		}

		leave = a.enter(t.Context(), home)
		go func() { places <- a.enter(t.Context(), home) }()
		synctest.Wait()
		a.close()
		if <-places != nil {
			t.Error("let in by a server that ends")
		}
		a.shut = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a.enter(ctx, netip.MustParseAddr("192.0.2.1")) != nil {
			t.Error("let in while the place is taken")
		}
		leave()
		if a.pending != 0 || a.waiting.Len() != 0 || len(a.sources) != 0 {
			t.Errorf("%d pending, %d waiting, %d sources after giving up", a.pending, a.waiting.Len(), len(a.sources))
		}
	})
}

func TestPendingPlaceIsGivenBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		for range 5 {
			a := w.connect("192.0.2.1")
			if resp := a.auth(goodAuth()); resp.Error != "" {
				t.Fatalf("auth: %s", resp.Error)
			}
		}
		b := w.connect("192.0.2.1")
		synctest.Wait()
		b.mux.Close()
		synctest.Wait()
		if w.srv.admission.pending != 0 {
			t.Errorf("%d places are still taken", w.srv.admission.pending)
		}
	}, func(c *Config) { c.Limits.Pending = 1 })
}

// TestH09_SilentSessionIsEnded: some agents never react to lost heartbeats. The
// edge sees the silence, and closes the connection, which they notice.
func TestH09_SilentSessionIsEnded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online(func(r *wire.Auth) {
			r.Extra.HeartbeatInterval, r.Extra.HeartbeatTolerance = 2*time.Second, 3*time.Second
		})
		a.mustBind(httpsBind())
		start := time.Now()
		<-a.mux.Done()
		limit := wire.SilenceLimit(2*time.Second, 3*time.Second)
		if d := time.Since(start); d != limit {
			t.Errorf("silent session ended after %v, want %v", d, limit)
		}
		synctest.Wait()
		if got := w.binder.releases(); len(got) != 1 || got[0] != "ep_1 false" {
			t.Errorf("got releases %q, want ep_1 lost", got)
		}
	})
}

func TestBeatingSessionLives(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		err := a.peer.Heartbeat(ctx, 10*time.Second, 15*time.Second, nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beating ended with %v", err)
		}
	})
}
