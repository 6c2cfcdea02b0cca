package node_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// TestShortForm hands over policies by the SDK's one-call form, under the setting's name and an older one.
func TestShortForm(t *testing.T) {
	t.Parallel()
	needNode(t)
	s := oracle.Start(t)
	got, err := connect(t, oracle.Settings{Addr: s.AgentAddr, CA: s.CA, Token: s.Token})
	if err != nil {
		t.Fatal(err)
	}
	sess := got.(*session)
	upstream := "http://" + oracle.Upstream(t, oracle.App{Name: "app", Kind: "http"})
	for _, tt := range []struct{ setting, policy string }{
		{"traffic_policy", "on_http_request: [{expressions: [\"req.url.path == '/tea'\"], actions: [{type: custom-response, config: {status_code: 418}}]}]"},
		{"policy", `{"inbound":[{"expressions":["req.url.path == '/tea'"],"actions":[{"type":"custom-response","config":{"status_code":418}}]}]}`},
	} {
		r, err := sess.do(t.Context(), map[string]any{"do": "short", "config": map[string]any{
			"addr": upstream, "authtoken": s.Token, "server_addr": s.AgentAddr, "session_ca_cert": string(s.CA), tt.setting: tt.policy,
		}})
		if err != nil {
			t.Fatalf("%s: %v", tt.setting, err)
		}
		for path, want := range map[string]int{"/": 200, "/tea": 418} {
			resp, err := s.Client(t).Get(r.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s, %s: got %d, want %d", tt.setting, path, resp.StatusCode, want)
			}
		}
	}
}
