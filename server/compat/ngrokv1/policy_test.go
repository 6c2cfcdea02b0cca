package ngrokv1_test

import (
	"testing"

	"golang.ngrok.com/ngrok/config"
	"golang.ngrok.com/ngrok/policy"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// TestPolicies hands over policies in the two ways that only this SDK has: made of its own types, and as a text under
// an older name.
func TestPolicies(t *testing.T) {
	t.Parallel()
	s := oracle.Start(t)
	got, err := connect(t, oracle.Settings{Addr: s.AgentAddr, CA: s.CA, Token: s.Token})
	if err != nil {
		t.Fatal(err)
	}
	sess := got.(*session)
	t.Cleanup(func() { sess.Close() })
	made := policy.Policy{
		Inbound: []policy.Rule{policy.MustRuleFromString(`{"name":"teapot","expressions":["req.url.path == '/tea'"],"actions":[{"type":"custom-response","config":{"status_code":418,"content":"short and stout"}}]}`)},
		Outbound: []policy.Rule{{
			Actions: []policy.Action{{Type: "add-headers", Config: map[string]any{"headers": map[string]any{"x-outbound": "yes"}}}},
		}},
	}
	text, err := made.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for name, option := range map[string]config.HTTPEndpointOption{"types": config.WithPolicy(made), "text": config.WithPolicyString(text)} {
		tun, err := sess.sess.Listen(sess.ctx, config.HTTPEndpoint(config.WithDomain(name+"."+s.Domain), option))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		go oracle.Serve(tun, oracle.App{Name: "app", Kind: "http"})
		for path, want := range map[string]int{"/": 200, "/tea": 418} {
			resp, err := s.Client(t).Get(tun.URL() + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want || resp.Header.Get("X-Outbound") != "yes" {
				t.Errorf("%s, %s: got %d, X-Outbound %q, want %d and yes", name, path, resp.StatusCode, resp.Header.Get("X-Outbound"), want)
			}
		}
	}
}
