package tunnel

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
)

// An agent cannot take down what another one has, whatever ids it names.
func TestT62_UnbindAndPatchOfForeignEndpoints(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		owner, thief := w.online(), w.online()
		resp := owner.mustBind(httpsBind())
		for _, id := range []string{resp.Id, resp.Extra.TunnelID, resp.Extra.Token, owner.resp.ClientId} {
			var un wire.UnbindResp
			if err := thief.peer.Call(t.Context(), wire.TypeUnbind, wire.Unbind{Id: id}, &un); err != nil {
				t.Fatal(err)
			}
			var patched wire.ErrorResp
			text := "stolen"
			req := wire.PatchTunnelState{TunnelId: id, Description: &text}
			if err := thief.peer.Call(t.Context(), wire.TypePatchTunnelState, req, &patched); err != nil {
				t.Fatal(err)
			}
			wantCode(t, patched.Error, fault.EndpointUnknown)
		}
		if got := w.binder.releases(); len(got) != 0 {
			t.Errorf("released %q", got)
		}
		tun := w.pub.get(resp.Extra.TunnelID)
		if got, err := echo(tun, "x"); got != "x" || err != nil || tun.Bound().Description != "" {
			t.Errorf("the owner's endpoint gives %q, %v, description %q", got, err, tun.Bound().Description)
		}
	})
}

// A cookie is good for the account and the client id that it was made for, and
// for nothing else.
func TestT63_CookiesProveOneSessionOnly(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		victim := w.online()
		mine := w.online()
		bend := func(cookie string) string {
			raw, err := base64.StdEncoding.DecodeString(cookie)
			if err != nil {
				t.Fatal(err)
			}
			return base64.StdEncoding.EncodeToString(bytes.Replace(raw, []byte(`"acc_1"`), []byte(`"acc_2"`), 1))
		}
		for name, cookie := range map[string]string{
			"none":                  "",
			"my own":                mine.resp.Extra.Cookie,
			"another account's":     bend(victim.resp.Extra.Cookie),
			"for another purpose":   fakeSealer{}.Seal("endpoint-resume-token", []byte(`{"Account":"acc_1","ClientID":"`+victim.resp.ClientId+`","SessionID":"s"}`)),
			"cut off":               victim.resp.Extra.Cookie[:20],
			"longer than any of us": strings.Repeat(victim.resp.Extra.Cookie, 100),
		} {
			req := goodAuth()
			req.ClientId, req.Extra.Cookie = victim.resp.ClientId, cookie
			resp := w.connect("127.0.0.1").auth(req)
			if resp.ClientId == victim.resp.ClientId || resp.Extra.AgentSessionID == victim.resp.Extra.AgentSessionID || resp.Error != "" {
				t.Errorf("%s: got the client id %q, error %q, want a fresh session", name, resp.ClientId, resp.Error)
			}
		}
		synctest.Wait()
		if victim.mux.Err() != nil {
			t.Errorf("the victim's session has ended: %v", victim.mux.Err())
		}
	})
}

// Sessions end with their token, and only those.
func TestT63_RevokedTokensEndSessions(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		a.mustBind(httpsBind())
		w.srv.Revoke(func(id string) bool { return id == "cr_1" })
		synctest.Wait()
		if a.mux.Err() != nil {
			t.Fatalf("the session of a valid token has ended: %v", a.mux.Err())
		}
		w.srv.Revoke(func(string) bool { return false })
		<-a.mux.Done()
		synctest.Wait()
		if n := w.srv.NumSessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if got := w.binder.releases(); len(got) != 1 {
			t.Errorf("got releases %q, want the endpoint's", got)
		}
	})
}

// Guessing goes slowly from one address, however many connections it has.
func TestT63_AuthStormIsHeldBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		tried, start := 0, time.Now()
		for i := range 60 {
			req := goodAuth()
			req.Extra.Authtoken = fmt.Sprintf("bad%02d_%s", i, strings.Repeat("x", 20))
			if f := fault.ParseWire(w.connect("192.0.2.1").auth(req).Error); f.Code == fault.TokenUnknown {
				tried++
			}
		}
		if most := 10 * (int(time.Since(start)/time.Minute) + 1); tried > most {
			t.Errorf("%d of 60 guesses were looked at in %v, want at most %d", tried, time.Since(start), most)
		}
	})
}

// A message is read to its bound; the session lives on.
func TestLimit_RPCMessage(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		a := w.online()
		for _, n := range []int{wire.MaxMessage + 1, 4 << 20} {
			st, err := a.mux.Open(t.Context(), []byte{0, 0, 0, byte(wire.TypeBind)})
			if err != nil {
				t.Fatal(err)
			}
			text := append([]byte(`{"Proto":"https","ForwardsTo":"`), bytes.Repeat([]byte("x"), n)...)
			for err == nil && len(text) > 0 {
				_, err = st.Write(text[:min(len(text), 16<<10)])
				text = text[min(len(text), 16<<10):]
			}
			var one [1]byte
			_, err = st.Read(one[:])
			if se := (*mux.StreamError)(nil); !errors.As(err, &se) {
				t.Errorf("a message of %d bytes: got %v, want its stream reset", n, err)
			}
		}
		a.mustBind(httpsBind())
	})
}

// Texts of agents are bounded where they are logged.
func TestT64_LoggedTextsAreBounded(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	bubble(t, func(t *testing.T, w *world) {
		a := w.online(func(r *wire.Auth) { r.Extra.UserAgent = strings.Repeat("u", 50_000) })
		a.mustBind(wire.Bind{Proto: "https", ForwardsTo: strings.Repeat("f", 100_000)})
		w.binder.refuse = func(b wire.Bind) error { return fault.New(fault.ProtoUnknown, b.Proto) }
		if resp, err := a.bind(wire.Bind{Proto: strings.Repeat("p", 100_000)}); err != nil || resp.Error == "" {
			t.Errorf("got %v, %q, want a refusal", err, resp.Error)
		}
	}, func(c *Config) { c.Logger = jsonLog(&logged) })
	for line := range bytes.Lines(logged.Bytes()) {
		var text map[string]any
		if err := json.Unmarshal(line, &text); err != nil {
			t.Fatal(err)
		}
		if len(line) > 4<<10 {
			t.Errorf("a line of %d bytes: %.200s…", len(line), line)
		}
	}
}

func jsonLog(w *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
