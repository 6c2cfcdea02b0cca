package apisuite

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/rpc"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// online brings an agent online, with one endpoint, and returns its URL. The agent stays as long as the server.
func (s *Server) online(t *testing.T, n int, opts ...culvert.AgentOption) (url string) {
	t.Helper()
	a := s.node.Agent(append(opts, culvert.WithAgentMetadata(fmt.Sprint("agent ", n)), culvert.WithClientInfo("compat", "1.2.3"))...)
	url = fmt.Sprintf("https://agent-%d.%s", n, s.Domain)
	s.node.ServeHTTP(a, nodetest.Text("hello"), culvert.WithURL(url), culvert.WithMetadata(fmt.Sprint("endpoint ", n)),
		culvert.WithDescription("of an agent"), culvert.WithPoolingEnabled(true))
	return url
}

// crowd brings five agents online, the first time it is asked.
func (s *Server) crowd(t *testing.T) {
	t.Helper()
	for ; s.agents < 5; s.agents++ {
		s.online(t, s.agents)
	}
}

// live are the resources that agents make by being there (api.md 2.12 and 2.13).
func live() []row {
	of := func(pkg string) func(*testing.T, *World) []Object {
		return func(t *testing.T, w *World) []Object {
			t.Helper()
			w.Server.crowd(t)
			items, err := w.Client.List(t, pkg, "List", Fields{})
			if err != nil || len(items) != 5 {
				t.Fatalf("List = %d objects, %v; want one for each of 5 agents", len(items), err)
			}
			slices.Reverse(items)
			return items
		}
	}
	return []row{
		{pkg: "tunnel_sessions", prefix: "ts", there: of("tunnel_sessions"), filter: []string{"id", "metadata", "agent_version", "ip", "os", "region", "started_at", "credential"}},
		{pkg: "tunnels", prefix: "tn", there: of("tunnels")},
	}
}

// AgentEndpoint looks at an agent's endpoint from all sides: it can be read, and only its agent changes it.
func AgentEndpoint(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	url := w.Server.online(t, 1)
	endpoints, err := w.Client.List(t, "endpoints", "List", Fields{})
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("endpoints = %v, %v; want one", endpoints, err)
	}
	e := endpoints[0]
	if e.Text("type") != "ephemeral" || e.Text("url") != url || e.Text("metadata") != "endpoint 1" || e.Ref("principal") == "" {
		t.Errorf("endpoint = %v; want an ephemeral one at %s, with a principal", e, url)
	}
	same(t, "Get", w.Client.Must(t, "endpoints", "Get", e.Text("id")), e)
	tunnel := w.Client.Must(t, "tunnels", "Get", e.Ref("tunnel"))
	if tunnel.Ref("endpoint") != e.Text("id") || strings.TrimPrefix(tunnel.Text("id"), "tn_") != strings.TrimPrefix(e.Text("id"), "ep_") || tunnel.Text("public_url") != e.Text("public_url") {
		t.Errorf("tunnel = %v; want that of %v, with the same suffix", tunnel, e)
	}
	session := w.Client.Must(t, "tunnel_sessions", "Get", e.Ref("tunnel_session"))
	if session.Text("metadata") != "agent 1" || session.Text("agent_version") == "" || session.Text("transport") != "ngrok/2" || tunnel.Ref("tunnel_session") != session.Text("id") {
		t.Errorf("session = %v; want the agent's", session)
	}
	if w.Client.Must(t, "credentials", "Get", session.Ref("credential")).Text("id") == "" {
		t.Error("the session has no credential")
	}
	_, err = w.Client.Call(t, "endpoints", "Update", Fields{"id": e.Text("id"), "description": "x"})
	w.refusedByAgent(t, "Update", err)
	_, err = w.Client.Call(t, "endpoints", "Delete", e.Text("id"))
	w.refusedByAgent(t, "Delete", err)
	w.judge(t)
}

func (w *World) refusedByAgent(t *testing.T, what string, err error) {
	t.Helper()
	w.refused(t, what, err, 0)
	if f, _ := w.Client.Failure(err); f.Status != http.StatusBadRequest || f.Code != string(fault.EndpointOfAgent) {
		t.Errorf("%s of an agent's endpoint: %d %s, want 400 %s", what, f.Status, f.Code, fault.EndpointOfAgent)
	}
}

// Sessions gives agents commands. One that stops or restarts ends its session; it would come back under another id.
func Sessions(t *testing.T, mk Make) {
	t.Helper()
	w := Start(t).Open(mk)
	obey := culvert.WithRPCHandler(func(context.Context, culvert.AgentSession, rpc.Request) ([]byte, error) { return nil, nil })
	for n, tt := range []struct {
		command string
		refusal int // by an agent that takes no commands
		ends    bool
	}{{"Restart", 804, true}, {"Stop", 805, true}, {"Update", 806, false}} {
		w.Server.online(t, 2*n)
		deaf := w.session(t)
		_, err := w.Client.Call(t, "tunnel_sessions", tt.command, deaf)
		w.refused(t, tt.command+" of an agent that takes no commands", err, tt.refusal)
		w.Server.online(t, 2*n+1, obey)
		id := w.session(t)
		w.judge(t)
		if _, err := w.Client.Call(t, "tunnel_sessions", tt.command, id); err != nil {
			t.Errorf("%s: %v", tt.command, err)
			continue
		}
		if seen := w.judge(t); seen[0].status != http.StatusNoContent {
			t.Errorf("%s: status %d, want 204", tt.command, seen[0].status)
		}
		if tt.ends {
			w.eventually(t, "the session ends", func() bool {
				_, err := w.Client.Call(t, "tunnel_sessions", "Get", id)
				return w.Client.NotFound(err)
			})
			_, err = w.Client.Call(t, "tunnel_sessions", tt.command, id)
			w.gone(t, tt.command+" of what is gone", err)
		}
	}
	w.judge(t)
}

// session returns the id of the newest session.
func (w *World) session(t *testing.T) string {
	t.Helper()
	items, err := w.Client.List(t, "tunnel_sessions", "List", Fields{})
	if err != nil || len(items) == 0 {
		t.Fatalf("tunnel_sessions = %v, %v; want the agent's", items, err)
	}
	return items[0].Text("id")
}

// eventually asks again and again, for half a minute.
func (w *World) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it does not happen that %s", what)
		}
	}
}
