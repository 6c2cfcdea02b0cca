package node_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

const apiOnHTTPS = "https://api.culvert.localhost:9443"

// TestAPIOnHTTPS: one open port is enough for the API too, when it is asked for; metrics are never there
// (decisions.md 55).
func TestAPIOnHTTPS(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.APIOnHTTPS = true })
	vault := s.API().Must(http.StatusCreated, "POST", apiOnHTTPS+"/vaults", `{"name":"shop"}`)
	if uri := vault["uri"].(string); !strings.HasPrefix(uri, apiOnHTTPS+"/vaults/") {
		t.Errorf("uri = %s, want it at %s", uri, apiOnHTTPS)
	}
	if got := s.API().List("/vaults"); len(got) != 1 {
		t.Errorf("at the API's own listener: got %v", got)
	}
	if status, _, answer := s.API("cvak_not_a_key_of_this_server").Do("GET", apiOnHTTPS+"/vaults", ""); status != http.StatusForbidden {
		t.Errorf("an unknown key: got %d %v", status, answer)
	}
	if status, _, answer := s.API().Do("GET", apiOnHTTPS+"/metrics", ""); status != http.StatusNotFound || answer["status_code"] != 404.0 {
		t.Errorf("/metrics: got %d %v", status, answer)
	}
	for _, path := range []string{"/openapi.json", "/healthz", "/readyz"} {
		if resp, body := s.Get(apiOnHTTPS + path); resp.StatusCode != http.StatusOK {
			t.Errorf("%s without a key: got %d %.200s", path, resp.StatusCode, body)
		}
	}
	// A browser may ask for another name on the same connection, which then comes by one of its own.
	resp, body := s.Get(apiOnHTTPS+"/vaults", func(r *http.Request) { r.Host = "app.culvert.localhost" })
	if resp.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(body, string(fault.Misdirected)) {
		t.Errorf("another name on the API's connection: got %d %s", resp.StatusCode, body)
	}
}

func TestAPIIsNotOnHTTPSUnasked(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	resp, body := s.Get(apiOnHTTPS + "/openapi.json")
	if resp.Header.Get("Ngrok-Error-Code") != string(fault.EndpointOffline) {
		t.Errorf("got %d %.200s, want %s", resp.StatusCode, body, fault.EndpointOffline)
	}
}

// TestAPIOnHTTPSBehindABalancer: the client is the one of the PROXY header, and nobody is believed what stands in
// X-Forwarded-*, which comes from clients there.
func TestAPIOnHTTPSBehindABalancer(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) {
		c.APIOnHTTPS, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	office := s.API().Create("/ip_policies", map[string]any{})
	s.API().Create("/ip_policy_rules", map[string]any{"ip_policy_id": office, "cidr": "203.0.113.0/24", "action": "allow"})
	s.API().Create("/ip_policy_rules", map[string]any{"ip_policy_id": office, "cidr": "127.0.0.0/8", "action": "allow"})
	s.API().Create("/ip_restrictions", map[string]any{"type": "api", "enforced": true, "ip_policy_ids": []string{office}})
	for src, want := range map[string]int{"203.0.113.9:1234": http.StatusOK, "192.0.2.9:1234": http.StatusForbidden, "10.9.9.9:1234": http.StatusForbidden} {
		raw := s.DialFrom("10.1.2.3", s.Info.HTTPS.String())
		if _, err := raw.Write(proxyproto.Append(nil, 2, netip.MustParseAddrPort(src), netip.MustParseAddrPort("203.0.113.1:443"))); err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, &tls.Config{ServerName: "api.culvert.localhost", RootCAs: s.CAs, MinVersion: tls.VersionTLS12})
		fmt.Fprintf(c, "GET /vaults HTTP/1.1\r\nHost: api.culvert.localhost\r\nConnection: close\r\nNgrok-Version: 2\r\nAuthorization: Bearer %s\r\n"+
			"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: other.test\r\n\r\n", nodetest.Key)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("from %s: %v", src, err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != want || strings.Contains(string(body), "other.test") {
			t.Errorf("from %s: got %d %s, %v, want %d", src, resp.StatusCode, body, err, want)
		}
	}
}

// TestAPIBehindAReverseProxy: IP restrictions and the record of changes have the address that a trusted proxy names
// at the API's own listener.
func TestAPIBehindAReverseProxy(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	ask := func(from string) int {
		status, _, _ := s.API().Do("GET", "/vaults", "", "X-Forwarded-For: "+from)
		return status
	}
	office := s.API().Create("/ip_policies", map[string]any{})
	s.API().Create("/ip_policy_rules", map[string]any{"ip_policy_id": office, "cidr": "203.0.113.0/24", "action": "allow"})
	status, _, answer := s.API().Do("POST", "/ip_restrictions", `{"type":"api","enforced":true,"ip_policy_ids":["`+office+`"]}`, "X-Forwarded-For: 203.0.113.9")
	if status != http.StatusCreated {
		t.Fatalf("a restriction that lets its maker in: got %d %v", status, answer)
	}
	for from, want := range map[string]int{"203.0.113.9": 200, "192.0.2.1, 203.0.113.9": 200, "203.0.113.9, 192.0.2.1": 403, "": 403} {
		if got := ask(from); got != want {
			t.Errorf("X-Forwarded-For: %q: got %d, want %d", from, got, want)
		}
	}
}
