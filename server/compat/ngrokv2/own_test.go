package ngrokv2_test

import (
	"crypto/x509"
	"net/http"
	"testing"

	ngrok "golang.ngrok.com/ngrok/v2"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// TestDiagnose has the SDK probe the server without a token: TCP, TLS, multiplexer and the one call that needs no
// authentication.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	s := oracle.Start(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	agent, err := ngrok.NewAgent(ngrok.WithAgentConnectURL(s.AgentAddr), ngrok.WithAgentConnectCAs(pool))
	if err != nil {
		t.Fatal(err)
	}
	got, err := agent.(ngrok.Diagnoser).Diagnose(t.Context(), s.AgentAddr)
	if err != nil {
		t.Fatal(err)
	}
	if got.Region == "" {
		t.Errorf("%+v: no region", got)
	}
}

// TestUpdate changes an endpoint in place, which only this SDK can ask for.
func TestUpdate(t *testing.T) {
	t.Parallel()
	s := oracle.Start(t)
	sess, err := connect(t, oracle.Settings{Addr: s.AgentAddr, CA: s.CA, Token: s.Token})
	if err != nil {
		t.Fatal(err)
	}
	e := oracle.Endpoint{Scheme: "https", Host: "update." + s.Domain}
	o, err := sess.Forward(t.Context(), e, "http://"+oracle.Upstream(t, oracle.App{Name: "first", Kind: "http"}))
	if err != nil {
		t.Fatal(err)
	}
	fwd := o.(online).Endpoint.(ngrok.UpdateableEndpointForwarder)
	text, pool := "changed", true
	if err := fwd.Update(t.Context(), &text, &text, &text, &pool, nil); err != nil {
		t.Errorf("update: %v", err)
	}
	if seen := oracle.Get(t, s.Client(t), o.URL()+"/"); seen.Name != "first" {
		t.Errorf("after the update: answered by %q", seen.Name)
	}
	teapot, none, wrong := `{"on_http_request":[{"actions":[{"type":"custom-response","config":{"status_code":418}}]}]}`, "", "on_http_reqest: []"
	for _, policy := range []struct {
		text   *string
		status int
	}{{&teapot, http.StatusTeapot}, {&none, http.StatusOK}} {
		if err := fwd.Update(t.Context(), nil, nil, nil, nil, policy.text); err != nil {
			t.Errorf("update of the policy: %v", err)
		}
		resp, err := s.Client(t).Get(o.URL() + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != policy.status {
			t.Errorf("under the policy %q: status %d, want %d", *policy.text, resp.StatusCode, policy.status)
		}
	}
	if err := fwd.Update(t.Context(), nil, nil, nil, nil, &wrong); code(err) != "ERR_NGROK_9026" {
		t.Errorf("a policy with a mistake: %v, want ERR_NGROK_9026", err)
	}
	// It pools now, so another member may join.
	other, err := connect(t, oracle.Settings{Addr: s.AgentAddr, CA: s.CA, Token: s.Token})
	if err != nil {
		t.Fatal(err)
	}
	e.Pooling = true
	if _, err := other.Listen(t.Context(), e, oracle.App{Name: "second", Kind: "http"}); err != nil {
		t.Errorf("join the pool: %v", err)
	}
}
