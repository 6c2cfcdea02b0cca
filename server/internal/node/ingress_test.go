package node_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

const ingress = "connect.shop.example"

// withIngress starts a server on which the first account has an agent ingress, with a certificate for it. It returns
// how agents trust that.
func withIngress(t *testing.T) (*nodetest.Server, culvert.AgentOption) {
	t.Helper()
	s := nodetest.Start(t)
	cert := nodetest.Certificate(t, "*.shop.example")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	uploaded := s.API().Create("/tls_certificates", map[string]any{
		"certificate_pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		"private_key_pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	})
	s.API().Create("/reserved_domains", map[string]any{"domain": "*.shop.example", "certificate_id": uploaded})
	made := s.API().Must(http.StatusCreated, "POST", "/agent_ingresses", `{"domain":" Connect.Shop.example. "}`)
	if text, _ := json.Marshal([]any{made["domain"], made["ns_targets"], made["region_domains"]}); string(text) != `["connect.shop.example",[],["connect.culvert.localhost"]]` {
		t.Errorf("made = %s", text)
	}
	return s, culvert.WithAgentConnectCAs(nodetest.Pool(t, cert))
}

// TestAgentIngress: a name of an account's own leads its agents to the server, on the agents' port and on that of
// HTTPS, with its own certificate; and those of no other account (endpoints.md 18.2).
func TestAgentIngress(t *testing.T) {
	t.Parallel()
	s, trust := withIngress(t)
	two := s.NewAccount("two")
	for _, port := range []string{":9444", ":9443"} {
		own := []culvert.AgentOption{culvert.WithAgentConnectURL(ingress + port), culvert.WithCAFingerprint(""), trust}
		a := s.Agent(own...)
		ln := s.ServeHTTP(a, nodetest.Text("served"), culvert.WithURL("https://own.culvert.localhost"))
		if _, body := s.Get(ln.URL().String()); body != "served" {
			t.Errorf("at %s: got %q", port, body)
		}
		if err := a.Disconnect(); err != nil {
			t.Error(err)
		}
		if err := two.Agent(own...).Connect(t.Context()); !fault.Has(err, fault.IngressForeign) {
			t.Errorf("an agent of another account at %s: got %v, want %s", port, err, fault.IngressForeign)
		}
		if err := two.Agent(culvert.WithAgentConnectURL("connect.culvert.localhost" + port)).Connect(t.Context()); err != nil {
			t.Errorf("an agent of another account at the server's own name, %s: %v", port, err)
		}
	}
}

// TestAgentIngressIsReserved: its name, and what is below, is the account's, as that of a reserved domain is; and none
// is had where somebody else has a part in the name.
func TestAgentIngressIsReserved(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	one, two := s.API(), s.NewAccount("two")
	id := one.Create("/agent_ingresses", map[string]any{"domain": "connect.shop.example"})
	two.Create("/reserved_domains", map[string]any{"domain": "mine.example"})
	for _, tt := range []struct {
		path, domain string
		code         fault.Code
	}{
		{"/reserved_domains", "connect.shop.example", fault.DomainForeign},
		{"/reserved_domains", "below.connect.shop.example", fault.DomainForeign},
		{"/reserved_domains", "shop.example", fault.DomainShadows},
		{"/agent_ingresses", "connect.shop.example", fault.IngressDomainTaken},
		{"/agent_ingresses", "shop.example", fault.IngressDomainTaken},
	} {
		if status, _, answer := two.Do("POST", tt.path, `{"domain":"`+tt.domain+`"}`); status != 400 || answer["error_code"] != string(tt.code) {
			t.Errorf("%s %s of another account: got %d %v, want %s", tt.path, tt.domain, status, answer, tt.code)
		}
	}
	for domain, code := range map[string]fault.Code{
		"connect.shop.example": fault.IngressDomainTaken, "connect.mine.example": fault.IngressDomainTaken,
		"x.culvert.localhost": fault.IngressDomainOurs, "localhost": fault.IngressDomainOurs, "com": fault.IngressDomain, "a.internal": fault.IngressDomain,
	} {
		if status, _, answer := one.Do("POST", "/agent_ingresses", `{"domain":"`+domain+`"}`); status != 400 || answer["error_code"] != string(code) {
			t.Errorf("agent ingress %s: got %d %v, want %s", domain, status, answer, code)
		}
	}
	if _, err := two.Agent().Listen(t.Context(), culvert.WithURL("https://a.connect.shop.example")); !fault.Has(err, fault.NameForeign) {
		t.Errorf("an endpoint of another account below it: got %v, want %s", err, fault.NameForeign)
	}
	a := s.Agent()
	s.ServeHTTP(a, nodetest.Text("x"), culvert.WithURL("https://a.connect.shop.example"))
	if e := one.List("/endpoints")[0]; e["domain"] != nil {
		t.Errorf("an endpoint below an ingress has the domain %v, want none", e["domain"])
	}
	if err := a.Disconnect(); err != nil {
		t.Error(err)
	}
	s.Restart()
	one, two.API = s.API(), s.API(two.Key)
	if status, _, _ := two.Do("POST", "/reserved_domains", `{"domain":"connect.shop.example"}`); status != 400 {
		t.Errorf("after a restart another account reserves it: got %d, want 400", status)
	}
	one.Must(http.StatusNoContent, "DELETE", "/agent_ingresses/"+id, "")
	two.Must(http.StatusCreated, "POST", "/reserved_domains", `{"domain":"connect.shop.example"}`)
}
