package node_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// upload uploads a certificate and returns its id.
func upload(t *testing.T, a *nodetest.API, c tls.Certificate) string {
	t.Helper()
	cert, key := nodetest.PEM(t, c)
	return a.Create("/tls_certificates", map[string]any{"certificate_pem": cert, "private_key_pem": key})
}

// servedFor returns the leaf that a client of a name gets to see.
func servedFor(t *testing.T, s *nodetest.Server, name string) *x509.Certificate {
	t.Helper()
	c, err := s.DialTLS(name, func(c *tls.Config) { c.InsecureSkipVerify = true }) //nolint:gosec // the test looks at it itself
	if err != nil {
		t.Fatalf("handshake for %s: %v", name, err)
	}
	defer c.Close() //nolint:errcheck // only the handshake matters
	return c.ConnectionState().PeerCertificates[0]
}

// probe asks for a URL over new connections until stop is called, which returns how many answers came and what went
// wrong.
func probe(s *nodetest.Server, u string) (stop func() (int64, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	tr := &http.Transport{
		DialContext: s.Dialer().DialContext, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it asks before there is a certificate
	}
	var answers atomic.Int64
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, u, nil)
			if err != nil {
				done <- err
				return
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				done <- err
				return
			}
			if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
				done <- fmt.Errorf("status %d", resp.StatusCode)
				return
			}
			answers.Add(1)
		}
		done <- nil
	}()
	return func() (int64, error) { cancel(); return answers.Load(), <-done }
}

// TestAPI40_Endpoints14_UploadedCertificates: before there is a certificate a name is served with the default one, and
// from the moment on that one is attached with that, without a restart and without a failed request.
func TestAPI40_Endpoints14_UploadedCertificates(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	d := a.Create("/reserved_domains", map[string]any{"domain": "shop.example.org"})
	wild := a.Create("/reserved_domains", map[string]any{"domain": "*.wild.example.org"})
	agent := s.Agent()
	ln := s.ServeHTTP(agent, nodetest.Text("hello"), culvert.WithURL("https://shop.example.org"))
	s.ServeHTTP(agent, nodetest.Text("hello"), culvert.WithURL("https://*.wild.example.org"))
	if leaf := servedFor(t, s, "shop.example.org"); !slices.Contains(leaf.DNSNames, "culvert.localhost") {
		t.Errorf("without a certificate: got one for %v, want the base domain's", leaf.DNSNames)
	}
	stop := probe(s, ln.URL().String())
	first, second := nodetest.Certificate(t, "shop.example.org"), nodetest.Certificate(t, "shop.example.org")
	for _, c := range []tls.Certificate{first, second} {
		a.Must(http.StatusOK, "PATCH", "/reserved_domains/"+d, fmt.Sprintf(`{"certificate_id":%q}`, upload(t, a, c)))
		if leaf := servedFor(t, s, "shop.example.org"); !leaf.Equal(c.Leaf) {
			t.Errorf("right after it was attached: got the certificate %d, want %d", leaf.SerialNumber, c.Leaf.SerialNumber)
		}
	}
	c := nodetest.Certificate(t, "*.wild.example.org")
	a.Must(http.StatusOK, "PATCH", "/reserved_domains/"+wild, fmt.Sprintf(`{"certificate_id":%q}`, upload(t, a, c)))
	if leaf := servedFor(t, s, "a.wild.example.org"); !leaf.Equal(c.Leaf) {
		t.Errorf("a name of a wildcard: got the certificate for %v", leaf.DNSNames)
	}
	if n, err := stop(); err != nil || n == 0 {
		t.Errorf("%d requests meanwhile, and then %v", n, err)
	}
	if err := agent.Disconnect(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	s.ServeHTTP(s.Agent(), nodetest.Text("hello"), culvert.WithURL("https://shop.example.org"))
	if leaf := servedFor(t, s, "shop.example.org"); !leaf.Equal(second.Leaf) {
		t.Errorf("after a restart: got the certificate for %v", leaf.DNSNames)
	}
	a = s.API()
	a.Must(http.StatusNoContent, "DELETE", "/reserved_domains/"+d+"/certificate", "")
	if leaf := servedFor(t, s, "shop.example.org"); !slices.Contains(leaf.DNSNames, "culvert.localhost") {
		t.Errorf("after it was taken off: got one for %v, want the base domain's", leaf.DNSNames)
	}
}

// client is somebody with a certificate that an authority has signed.
func client(ca tls.Certificate) func(*tls.Config) {
	return func(c *tls.Config) { c.Certificates = []tls.Certificate{ca} }
}

// mutualPolicy lets in clients of these authorities.
func mutualPolicy(ids ...string) string {
	return `{"on_tcp_connect":[{"actions":[{"type":"terminate-tls","config":{"mutual_tls_certificate_authorities":["` + strings.Join(ids, `","`) + `"]}}]}]}`
}

// reaches reports whether a client gets an answer.
func reaches(t *testing.T, s *nodetest.Server, host string, edit ...func(*tls.Config)) bool {
	t.Helper()
	c, err := s.DialTLS(host, edit...)
	if err != nil {
		return false
	}
	defer c.Close() //nolint:errcheck // it has been read
	return answers(c, host)
}

// answers asks over a connection for its host.
func answers(c net.Conn, host string) bool {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return false
	}
	got := make([]byte, len("HTTP/1.1 200"))
	n, _ := c.Read(got)
	return string(got[:n]) == "HTTP/1.1 200"
}

// TestT14_RemovedAuthority: from the moment on that an authority is deleted none of its clients gets in, not even with
// what an earlier connection left.
func TestT14_RemovedAuthority(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	mine, other := nodetest.Certificate(t, "mine"), nodetest.Certificate(t, "other")
	ids := map[string]string{}
	for name, c := range map[string]tls.Certificate{"mine": mine, "other": other} {
		pem, _ := nodetest.PEM(t, c)
		ids[name] = a.Create("/certificate_authorities", map[string]any{"ca_pem": pem})
	}
	const host = "mutual.culvert.localhost"
	s.ServeHTTP(s.Agent(), nodetest.Text("hello"), culvert.WithURL("https://"+host), culvert.WithTrafficPolicy(mutualPolicy(ids["mine"], ids["other"])))
	sessions := tls.NewLRUClientSessionCache(4)
	cached := func(c *tls.Config) { c.ClientSessionCache = sessions }
	for name, c := range map[string]tls.Certificate{"mine": mine, "other": other} {
		if !reaches(t, s, host, client(c), cached) {
			t.Errorf("the client of %s is refused", name)
		}
	}
	if reaches(t, s, host) || reaches(t, s, host, client(nodetest.Certificate(t, "stranger"))) {
		t.Error("a client without a certificate, or of a stranger, got in")
	}
	a.Must(http.StatusNoContent, "DELETE", "/certificate_authorities/"+ids["mine"], "")
	if reaches(t, s, host, client(mine), cached) {
		t.Error("the client of a deleted authority got in")
	}
	if !reaches(t, s, host, client(other)) {
		t.Error("the client of the other authority is refused")
	}
	a.Must(http.StatusNoContent, "DELETE", "/certificate_authorities/"+ids["other"], "")
	if reaches(t, s, host, client(mine), cached) || reaches(t, s, host, client(other), cached) || reaches(t, s, host) {
		t.Error("with no authority left somebody got in")
	}
}

// TestT15_AuthoritiesOfPolicies: what cannot verify anybody is refused when it is saved; an unknown id is warned of,
// and lets nobody in (decision 52).
func TestT15_AuthoritiesOfPolicies(t *testing.T) {
	t.Parallel()
	var log buffer
	s := nodetest.Start(t, func(c *node.Config) { c.Logger = textLogger(&log) })
	a, other := s.API(), s.NewAccount("other")
	endpoint := func(policy string) string {
		return jsonOf(t, map[string]any{"url": "https://mutual.culvert.localhost", "traffic_policy": policy})
	}
	for name, policy := range map[string]string{
		"empty list": strings.Replace(mutualPolicy(), `[""]`, `[]`, 1), "no PEM": mutualPolicy("hello"),
		"half a PEM": mutualPolicy(`-----BEGIN CERTIFICATE-----\nMIIB\n`),
	} {
		status, _, e := a.Do("POST", "/endpoints", endpoint(policy))
		if msg, _ := e["msg"].(string); status != http.StatusBadRequest || e["error_code"] != string(fault.EndpointPolicyInvalid) {
			t.Errorf("%s: got %d %v %s, want it refused", name, status, e["error_code"], msg)
		}
	}
	c := nodetest.Certificate(t, "client")
	pem, _ := nodetest.PEM(t, c)
	foreign := other.Create("/certificate_authorities", map[string]any{"ca_pem": pem})
	answering := strings.TrimSuffix(mutualPolicy(foreign, "ca_2aaaaaaaaaaaaaaaaaaaaaaaaaa"), "}") +
		`,"on_http_request":[{"actions":[{"type":"custom-response","config":{"status_code":200,"body":"hello"}}]}]}`
	id := a.Create("/endpoints", map[string]any{"url": "https://mutual.culvert.localhost", "traffic_policy": answering})
	for _, unknown := range []string{foreign, "ca_2aaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		if !strings.Contains(log.String(), "the account has no certificate authority "+unknown) {
			t.Errorf("the log does not warn of %s", unknown)
		}
	}
	if reaches(t, s, "mutual.culvert.localhost", client(c)) || reaches(t, s, "mutual.culvert.localhost") {
		t.Error("somebody got in, whom nobody can verify")
	}
	own := a.Create("/certificate_authorities", map[string]any{"ca_pem": pem})
	a.Must(http.StatusOK, "PATCH", "/endpoints/"+id, jsonOf(t, map[string]any{"traffic_policy": strings.Replace(answering, foreign, own, 1)}))
	if !reaches(t, s, "mutual.culvert.localhost", client(c)) {
		t.Error("with one authority known its client is refused")
	}
}

// TestT11_AuthoritiesOfPolicies: a connection that was made under another name does not get past the authorities of a
// policy, nor one that a client of the policy made get to names of others.
func TestT11_AuthoritiesOfPolicies(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	c := nodetest.Certificate(t, "client")
	pem, _ := nodetest.PEM(t, c)
	ca := s.API().Create("/certificate_authorities", map[string]any{"ca_pem": pem})
	agent := s.Agent()
	s.ServeHTTP(agent, nodetest.Text("hello"), culvert.WithURL("https://mutual.culvert.localhost"), culvert.WithTrafficPolicy(mutualPolicy(ca)))
	s.ServeHTTP(agent, nodetest.Text("hello"), culvert.WithURL("https://open.culvert.localhost"))
	for _, tt := range []struct {
		sni, host string
		edit      []func(*tls.Config)
	}{
		{"open.culvert.localhost", "mutual.culvert.localhost", nil},
		{"open.culvert.localhost", "mutual.culvert.localhost", []func(*tls.Config){client(c)}},
		{"mutual.culvert.localhost", "open.culvert.localhost", []func(*tls.Config){client(c)}},
	} {
		conn, err := s.DialTLS(tt.sni, tt.edit...)
		if err != nil {
			t.Fatal(err)
		}
		if answers(conn, tt.host) {
			t.Errorf("a connection to %s got an answer of %s", tt.sni, tt.host)
		}
		_ = conn.Close()
	}
	if !reaches(t, s, "mutual.culvert.localhost", client(c)) || !reaches(t, s, "open.culvert.localhost") {
		t.Error("the clients of the names themselves are refused")
	}
}
