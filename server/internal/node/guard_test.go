package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// wantCode asks for a URL and checks status and code of the answer.
func wantCode(t *testing.T, s *nodetest.Server, what, url string, status int, code fault.Code) {
	t.Helper()
	if resp, body := s.Get(url); resp.StatusCode != status || resp.Header.Get("Ngrok-Error-Code") != string(code) {
		t.Errorf("%s: got %d %s %.200q, want %d %s", what, resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"), body, status, code)
	}
}

// TestAPI38_RestrictionsAtWork refuses agents and clients of one account, at once and without touching what is
// online.
func TestAPI38_RestrictionsAtWork(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	other := s.NewAccount("other")
	a := s.API()
	own := s.ServeHTTP(s.Agent(), nodetest.Text("own")).URL().String()
	foreign := s.ServeHTTP(other.Agent(), nodetest.Text("foreign")).URL().String()
	p := a.Create("/ip_policies", map[string]any{})
	a.Create("/ip_policy_rules", map[string]any{"ip_policy_id": p, "cidr": "192.0.2.0/24", "action": "allow"})
	agents := a.Create("/ip_restrictions", map[string]any{"type": "agent", "ip_policy_ids": []string{p}})
	clients := a.Create("/ip_restrictions", map[string]any{"type": "endpoints", "ip_policy_ids": []string{p}})
	wantCode(t, s, "not enforced", own, 200, "")
	a.Must(200, "PATCH", "/ip_restrictions/"+clients, `{"enforced":true}`)
	wantCode(t, s, "enforced", own, 403, fault.ClientSourceRefused)
	wantCode(t, s, "another account's", foreign, 200, "")
	here := a.Create("/ip_policy_rules", map[string]any{"ip_policy_id": p, "cidr": "127.0.0.0/8", "action": "allow"})
	wantCode(t, s, "allowed", own, 200, "")
	a.Must(204, "DELETE", "/ip_policy_rules/"+here, "")
	wantCode(t, s, "no longer allowed", own, 403, fault.ClientSourceRefused)
	a.Must(204, "DELETE", "/ip_restrictions/"+clients, "")
	wantCode(t, s, "without a restriction", own, 200, "")

	a.Must(200, "PATCH", "/ip_restrictions/"+agents, `{"enforced":true}`)
	if _, err := s.Agent().Listen(t.Context()); !fault.Has(err, fault.SourceRefused) {
		t.Errorf("an agent: %v, want %s", err, fault.SourceRefused)
	}
	if _, err := other.Agent().Listen(t.Context()); err != nil {
		t.Errorf("another account's agent: %v", err)
	}
	a.Must(400, "POST", "/ip_restrictions", fmt.Sprintf(`{"type":"api","enforced":true,"ip_policy_ids":[%q]}`, p))
	a.Must(201, "POST", "/ip_restrictions?force=true", fmt.Sprintf(`{"type":"api","enforced":true,"ip_policy_ids":[%q]}`, p))
	if status, _, e := a.Do("GET", "/ip_policies", ""); status != 403 || e["error_code"] != string(fault.APISourceRefused) {
		t.Errorf("the API from outside of the restriction = %d %v, want 403 %s", status, e, fault.APISourceRefused)
	}
	other.Must(200, "GET", "/ip_policies", "")
}

// TestAPI41_NamesOfOthersAtWork binds and reserves over the real ways, also after a restart.
func TestAPI41_NamesOfOthersAtWork(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	listen := func(agent culvert.Agent, url string, code fault.Code) {
		t.Helper()
		ln, err := agent.Listen(t.Context(), culvert.WithURL(url))
		if code == "" && err != nil || code != "" && !fault.Has(err, code) {
			t.Errorf("%s: %v, want %q", url, err, code)
		}
		if err == nil {
			_ = ln.Close()
		}
	}
	listen(s.Agent(), "http://a.b.culvert.localhost", "") // the only account has all names
	other := s.NewAccount("other")
	listen(other.Agent(), "http://a.b.culvert.localhost", fault.NameNested)
	listen(s.Agent(), "http://shop.example.org", fault.NameNotReserved)
	d := a.Must(201, "POST", "/reserved_domains", `{"domain":"shop.example.org"}`)
	for range 2 {
		listen(s.Agent(), "http://x.shop.example.org", "")
		listen(other.Agent(), "http://x.shop.example.org", fault.NameForeign)
		other.Must(400, "POST", "/reserved_domains", `{"domain":"*.example.org"}`)
		if got := a.Must(200, "GET", "/reserved_domains/"+d["id"].(string), ""); got["cname_target"] != d["cname_target"] {
			t.Errorf("target = %v, want %v", got["cname_target"], d["cname_target"])
		}
		s.Restart()
	}
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("mine"), culvert.WithURL("http://shop.example.org"))
	if resp, body := s.Get(ln.URL().String()); resp.StatusCode != http.StatusOK || body != "mine" {
		t.Errorf("a name of one's own: %d %q", resp.StatusCode, body)
	}
	a.Must(204, "DELETE", "/reserved_domains/"+d["id"].(string), "")
	if _, body := s.Get(ln.URL().String()); body != "mine" {
		t.Errorf("after the reservation was given up: %q, want the endpoint online until its session ends", body)
	}
	listen(s.Agent(), "http://x.shop.example.org", fault.NameNotReserved)
}

// TestAPI37_SessionsAtWork finds an agent, and asks it for what it does not do.
func TestAPI37_SessionsAtWork(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	s.ServeHTTP(s.Agent(), nodetest.Text("x"))
	list := a.List("/tunnel_sessions")
	if len(list) != 1 {
		t.Fatalf("sessions = %v, want one", list)
	}
	id := list[0]["id"].(string)
	ref, _ := list[0]["credential"].(map[string]any)
	if cr, _ := ref["id"].(string); !strings.HasPrefix(cr, "cr_") {
		t.Errorf("credential = %v", ref)
	} else {
		a.Must(200, "GET", "/credentials/"+cr, "")
	}
	if status, _, e := a.Do("POST", "/tunnel_sessions/"+id+"/stop", "{}"); status != 400 || e["error_code"] != string(fault.StopUnsupported) {
		t.Errorf("stop of an SDK = %d %v, want %s", status, e, fault.StopUnsupported)
	}
	tunnels := a.List("/tunnels")
	if len(tunnels) != 1 || tunnels[0]["tunnel_session"].(map[string]any)["id"] != id {
		t.Fatalf("tunnels = %v, want one of %s", tunnels, id)
	}
	if got := a.Must(200, "GET", "/endpoints/"+tunnels[0]["endpoint"].(map[string]any)["id"].(string), ""); got["tunnel"].(map[string]any)["id"] != tunnels[0]["id"] {
		t.Errorf("endpoint = %v, want the tunnel %v", got, tunnels[0]["id"])
	}
}
