package rest_test

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/snapshot"
	"github.com/culvert-project/culvert/server/internal/tunnel"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// agents is a server of agents, which it lets in by the name of their account as token.
type agents struct {
	*tunnel.Server
	t      *testing.T
	online *snapshot.Publisher
}

func (*agents) Authenticate(_ context.Context, a wire.Auth, _ netip.AddrPort) (wire.Agent, error) {
	return wire.Agent{Account: a.Extra.Authtoken, TokenID: "cr_" + a.Extra.Authtoken}, nil
}

func newAgents(g *guarded) *agents {
	g.t.Helper()
	keys, err := vault.Open(g.t.TempDir())
	if err != nil {
		g.t.Fatal(err)
	}
	a := &agents{t: g.t, online: snapshot.New(route.NewRouter(), nil)}
	a.Server = tunnel.New(tunnel.Config{Auth: a, Binder: g.binder, Publisher: snapshot.Of[*tunnel.Tunnel]{Publisher: a.online}, Cookies: keys, Region: "here", Version: "1"})
	g.t.Cleanup(a.Server.Close)
	return a
}

// agent is the other end of one session.
type agent struct {
	t    *testing.T
	id   string
	peer *wire.Peer

	mu    sync.Mutex
	asked []string
	fails string
}

// connect makes an agent of an account. supported says which commands it knows.
func (a *agents) connect(account string, supported bool) *agent {
	a.t.Helper()
	client, server := memnet.Pipe(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2})
	a.ServeConn(a.t.Context(), server)
	m := mux.New(client, mux.Config{Role: mux.Client})
	x := &agent{t: a.t, peer: wire.NewPeer(m)}
	ended := make(chan struct{})
	handled := x.peer.Handle(wire.Handler{RPC: x.answer, Allowed: func(wire.ReqType) bool { return true }})
	go func() {
		_ = m.Run(context.Background())
		handled()
		close(ended)
	}()
	a.t.Cleanup(func() { m.Close(); <-ended })
	none, why := "", "not here"
	if !supported {
		none = why
	}
	auth := wire.Auth{Version: []string{"3", "2"}, Extra: wire.AuthExtra{
		Authtoken: account, Version: "3.9", OS: "linux", Metadata: "till 4",
		StopUnsupportedError: &none, RestartUnsupportedError: &none, UpdateUnsupportedError: &none,
	}}
	var resp wire.AuthResp
	if err := x.peer.Call(a.t.Context(), wire.TypeAuth, auth, &resp); err != nil || resp.Error != "" {
		a.t.Fatalf("auth: %v %s", err, resp.Error)
	}
	x.id = resp.Extra.AgentSessionID
	return x
}

func (x *agent) answer(_ context.Context, t wire.ReqType, body json.RawMessage) (any, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked = append(x.asked, t.String()+" "+string(body))
	return wire.ErrorResp{Error: x.fails}, nil
}

func (x *agent) last() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.asked) == 0 {
		return ""
	}
	return x.asked[len(x.asked)-1]
}

// TestAPI_37_Sessions lists agents and asks them to stop, restart and update.
func TestAPI_37_Sessions(t *testing.T) {
	t.Parallel()
	var live *agents
	g := guard(t, func(g *guarded) control.Resource {
		live = newAgents(g)
		return control.NewTunnelSessions(g.shared, live, tunnel.ErrUnknown, "here")
	}, func(*guarded) control.Resource { return control.NewTunnels(live.online) })
	first, second := live.connect(identity.DefaultAccount, true), live.connect(identity.DefaultAccount, false)
	foreign := live.connect("ac_2", true)

	list := g.must(200, "GET", "/tunnel_sessions", "")["tunnel_sessions"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["id"] != max(first.id, second.id) || !id.IsSorted("ts", first.id) {
		t.Fatalf("sessions = %v, want %s and %s, newest first", list, second.id, first.id)
	}
	s := g.must(200, "GET", "/tunnel_sessions/"+first.id, "")
	for field, want := range map[string]any{
		"uri": g.url + "/tunnel_sessions/" + first.id, "agent_version": "3.9", "os": "linux", "metadata": "till 4", "ip": "192.0.2.7", "region": "here", "transport": "ngrok/2",
	} {
		if s[field] != want {
			t.Errorf("%s = %v, want %v", field, s[field], want)
		}
	}
	if s["credential"].(map[string]any)["id"] != "cr_"+identity.DefaultAccount || !strings.HasSuffix(s["started_at"].(string), "Z") {
		t.Errorf("session = %v", s)
	}
	page := g.must(200, "GET", "/tunnel_sessions?limit=1", "")
	next, _ := page["next_page_uri"].(string)
	rest := g.must(200, "GET", strings.TrimPrefix(next, g.url), "")
	if got := rest["tunnel_sessions"].([]any); len(got) != 1 || got[0].(map[string]any)["id"] != min(first.id, second.id) || rest["next_page_uri"] != nil {
		t.Errorf("the second page = %v", rest)
	}
	if got := g.must(200, "GET", `/tunnel_sessions?filter=obj.os+%3D%3D+%22plan9%22`, "")["tunnel_sessions"].([]any); len(got) != 0 {
		t.Errorf("filtered = %v, want none", got)
	}

	path := "/tunnel_sessions/" + first.id
	for action, want := range map[string]string{"stop": "Stop", "restart": "Restart"} {
		g.must(204, "POST", path+"/"+action, `{}`)
		if got := first.last(); !strings.HasPrefix(got, want) {
			t.Errorf("after %s the agent was asked %q", action, got)
		}
	}
	g.must(204, "POST", path+"/update", `{"version":"4.0"}`)
	if got := first.last(); !strings.Contains(got, `"4.0"`) {
		t.Errorf("after update the agent was asked %q", got)
	}
	first.mu.Lock()
	first.fails = "busy"
	first.mu.Unlock()
	for action, codes := range map[string][2]fault.Code{
		"restart": {fault.CommandUnsupported, fault.CommandFailed}, "stop": {fault.StopUnsupported, fault.StopFailed}, "update": {fault.UpdateUnsupported, fault.UpdateFailed},
	} {
		g.refused(400, codes[0], "POST", "/tunnel_sessions/"+second.id+"/"+action, `{}`)
		g.refused(502, codes[1], "POST", path+"/"+action, `{}`)
		for _, absent := range []string{foreign.id, id2("ts")} {
			g.refused(404, "", "POST", "/tunnel_sessions/"+absent+"/"+action, `{}`)
		}
	}
	// An agent that says so only when it is asked, as ours does of updates.
	first.mu.Lock()
	first.fails = fault.New(fault.CommandUnsupported, "update", "it cannot: at all").Wire()
	first.mu.Unlock()
	g.refused(400, fault.UpdateUnsupported, "POST", path+"/update", `{}`)
	g.refused(404, "", "GET", "/tunnel_sessions/"+foreign.id, "")
	g.refused(404, "", "DELETE", path, "")
	if got := foreign.last(); got != "" {
		t.Errorf("another account's agent was asked %q", got)
	}

	var bound wire.BindResp
	opts, _ := json.Marshal(map[string]string{"URL": "https://till." + guardBase})
	if err := first.peer.Call(t.Context(), wire.TypeBind, wire.Bind{Proto: "https", Opts: opts, Extra: wire.BindExtra{Metadata: "m"}}, &bound); err != nil || bound.Error != "" {
		t.Fatalf("bind: %v %s", err, bound.Error)
	}
	tunnels := g.must(200, "GET", "/tunnels", "")["tunnels"].([]any)
	if len(tunnels) != 1 {
		t.Fatalf("tunnels = %v, want one", tunnels)
	}
	one := tunnels[0].(map[string]any)
	if one["public_url"] != "https://till."+guardBase || one["proto"] != "https" || one["metadata"] != "m" || one["region"] != "here" ||
		one["tunnel_session"].(map[string]any)["id"] != first.id || strings.TrimPrefix(one["endpoint"].(map[string]any)["id"].(string), "ep_") != strings.TrimPrefix(one["id"].(string), "tn_") {
		t.Errorf("tunnel = %v", one)
	}
	if got := g.must(200, "GET", "/tunnels/"+one["id"].(string), ""); mustJSON(t, got) != mustJSON(t, one) {
		t.Errorf("one tunnel = %v, want %v", got, one)
	}
	if status, _ := g.do("GET", "/tunnels/"+one["id"].(string), "", asTwo); status != 404 {
		t.Errorf("another account's tunnel = %d, want 404", status)
	}
}
