package edge

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// answering is a policy that answers with the values of the expressions in a
// table, one a line, in a phase.
func answering(phase, table string) string {
	doc := phase + ":\n  - actions:\n    - type: act\n      config:\n        status: 200\n        body: |\n"
	for line := range strings.Lines(strings.TrimSpace(table)) {
		expression, _, _ := strings.Cut(strings.TrimSpace(line), " = ")
		doc += "          ${" + expression + "}\n"
	}
	return doc
}

// wantValues compares such an answer with the table.
func wantValues(t testing.TB, table, body string) {
	t.Helper()
	got := strings.Split(body, "\n")
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		expression, want, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if i >= len(got) || got[i] != want {
			t.Errorf("%s: got %q, want %q", expression, got[min(i, len(got)-1)], want)
		}
	}
}

const requestVariables = `
	conn.client_ip = 203.0.113.7
	conn.client_ip.as.number = 64500
	conn.client_ip.categories = ["geo"]
	conn.geo.city = Oslo
	conn.server_ip = 127.0.0.1
	conn.server_port = 443
	conn.server_region = north
	conn.client_port > 0 = true
	conn.ts.start.getFullYear() > 2000 = true
	conn.ts.end = 0001-01-01T00:00:00Z
	conn.bytes_in > 100 = true
	conn.bytes_out > 100 = true
	conn.tls.version = 1.3
	conn.tls.cipher_suite.startsWith('TLS_') = true
	conn.tls.sni = app.example.com
	conn.tls.negotiated_alpn = h2
	conn.tls.session_resumed = false
	conn.tls.ja4_fingerprint.startsWith('t13d') = true
	conn.tls.ja4_fingerprint.size() = 36
	conn.tls.client.subject = CN=somebody,O=Example
	conn.tls.client.subject.organization = ["Example"]
	conn.tls.client.issuer.common_name = clients
	conn.tls.client.san = a.example, mail@a.example, 192.0.2.1, spiffe://a/b
	conn.tls.client.san.uris = ["spiffe://a/b"]
	conn.tls.client.serial_number = 1
	conn.tls.client.signature_algorithm = ECDSA-SHA256
	conn.tls.client.validity.not_after.getFullYear() > 2100 = true
	conn.tls.client.extensions.exists(e, e.id == '2.5.29.17') = true
	conn.tls.client.pem.startsWith('-----BEGIN') = true
	conn.tls.server.san.dns_names = ["example.com","*.example.com"]
	conn.k8s.pod.id == "" = true
	endpoint.id = ep_app.example.com
	endpoint.url = https://app.example.com
	endpoint.host = app.example.com
	endpoint.addr = app.example.com:443
	endpoint.port = 443
	endpoint.protocol = https
	req.method = POST
	req.version = HTTP/2.0
	req.host = app.example.com
	req.headers['x-a'] = ["1","2"]
	req.cookies['c'][0].value = v
	req.content_type = text/plain
	req.content_type.raw = Text/Plain; charset=UTF-8
	req.content_type.parameters['charset'] = UTF-8
	req.content_encoding = ["identity"]
	req.content_length = 4
	req.location = /there
	req.url = https://app.example.com/admin/x?q=1&q=2
	req.url.raw = https://app.example.com/a/../%61dmin/x?q=1&q=2
	req.url.path = /admin/x
	req.url.raw_path = /a/../%61dmin/x
	req.url.query = q=1&q=2
	req.url.uri = /admin/x?q=1&q=2
	req.url.scheme = https
	req.url.host = app.example.com
	req.url.authority = app.example.com
	req.url.port = 0
	req.url.user_password == "" = true
	req.url.query_params['q'] = ["1","2"]
	req.user_agent.name = Firefox
	req.user_agent.is_desktop = true
	req.ts.header_received.getFullYear() > 2000 = true
	req.ts.body_received = 0001-01-01T00:00:00Z
	timestamp(time.now).getFullYear() > 2000 = true
`

const responseVariables = `
	res.status_code = 201
	res.headers['x-b'] = ["3"]
	res.content_type = application/json
	res.content_encoding = ["gzip"]
	res.content_length = 2
	res.location = /made
	res.cookies['c'][0].path = /p
	res.cookies['c'][0].http_only = true
	res.cookies['c'][0].same_site = Lax
	res.cookies['c'][0].max_age = 60s
	req.ts.body_received >= req.ts.header_received = true
	req.trailers['x-t'] = ["late"]
	conn.tls.ja4_fingerprint.size() = 36
`

// TestPolicyVariables asks for variables of every family in a request that has
// something to say of each.
func TestPolicyVariables(t *testing.T) {
	t.Parallel()
	p := newPKI(t, "clients")
	w := newWorld(t, func(c *Config) {
		c.Region = "north"
		c.Services = policy.Services{Address: func(_ netip.Addr, fact string) (any, bool) {
			v, ok := map[string]any{"as.number": int64(64500), "geo.location.city": "Oslo", "categories": []string{"geo"}}[fact]
			return v, ok
		}}
	})
	spiffe := &url.URL{Scheme: "spiffe", Host: "a", Path: "/b"}
	cert := p.client(func(c *x509.Certificate) {
		c.Subject.CommonName, c.Subject.Organization = "somebody", []string{"Example"} //nolint:misspell // its name in the standard library
		c.DNSNames, c.EmailAddresses, c.IPAddresses, c.URIs = []string{"a.example"}, []string{"mail@a.example"}, []net.IP{net.IPv4(192, 0, 2, 1)}, []*url.URL{spiffe}
	})
	up := w.serve(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := rw.Header()
		h.Set("X-B", "3")
		h.Set("Content-Type", "application/json")
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", "2")
		h.Set("Location", "/made")
		h.Set("Set-Cookie", "c=v; Path=/p; HttpOnly; SameSite=Lax; Max-Age=60")
		rw.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(rw, "{}")
	})
	for _, tt := range []struct{ phase, want string }{{"on_http_request", requestVariables}, {"on_http_response", responseVariables}} {
		e := w.online(app, up, mutual(p), governed(t, answering(tt.phase, tt.want)))
		c := w.h2()
		c.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{cert} //nolint:forcetypeassert // made so
		body := io.Reader(strings.NewReader("body"))
		if tt.phase == "on_http_response" {
			body = io.MultiReader(body) // with trailers there is no length
		}
		r := do(t, c, http.MethodPost, "/a/../%61dmin/x?q=1&q=2", body, func(r *http.Request) {
			r.URL.Opaque = "//app.example.com/a/../%61dmin/x"
			r.Header = http.Header{
				"X-A": {"1", "2"}, "Cookie": {"c=v"}, "Content-Type": {"Text/Plain; charset=UTF-8"}, "Content-Encoding": {"identity"}, "Location": {"/there"},
				"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
			}
			if tt.phase == "on_http_response" {
				r.Trailer = http.Header{"X-T": {"late"}}
			}
		})
		if r.StatusCode != http.StatusOK {
			t.Fatalf("%s: got %d %s", tt.phase, r.StatusCode, r.body)
		}
		wantValues(t, tt.want, r.body)
		w.offline(e)
	}
}

// TestEndpointsFingerprint asks for the fingerprint on connections that were
// made for other endpoints.
func TestEndpointsFingerprint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(seen)
	const ask = "on_http_request: [{actions: [{type: act, config: {status: 200, body: '${conn.tls.ja4_fingerprint}'}}]}]"
	w.online("https://none.example.com", up)
	w.online("https://other.example.com", up, governed(t, "on_http_request: [{actions: [{type: act, config: {set: {x-a: b}}}]}]"))
	w.online(app, up, governed(t, ask))
	sni := func(name string) *http.Client {
		c := w.h1()
		c.Transport.(*http.Transport).TLSClientConfig.ServerName = name //nolint:forcetypeassert // made so
		return c
	}
	wantStatus(t, do(t, sni("none.example.com"), "GET", "/", nil), http.StatusMisdirectedRequest, string(fault.Misdirected))
	for _, name := range []string{"other.example.com", "app.example.com"} {
		if r := do(t, sni(name), "GET", "/", nil); r.StatusCode != http.StatusOK || len(r.body) != 36 || r.body[:4] != "t13d" {
			t.Errorf("on a connection for %s: got %d %q, want a fingerprint", name, r.StatusCode, r.body)
		}
	}
	if r := do(t, w.h1(), "GET", "http://plain.example.com/", nil); r.StatusCode != http.StatusNotFound {
		t.Fatalf("got %d", r.StatusCode)
	}
	w.online("http://plain.example.com", up, governed(t, ask))
	wantBody(t, do(t, w.h1(), "GET", "http://plain.example.com/", nil), "")
}

// TestEndpointsFingerprintBeforeTheHandshake turns a client away by its
// ClientHello.
func TestEndpointsFingerprintBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cert, err := w.certs.GetCertificate("tls.example.com")
	if err != nil {
		t.Fatal(err)
	}
	w.online("tls://tls.example.com", tlsEcho(t, cert), governed(t, `
on_tcp_connect:
  - expressions: ["conn.tls.ja4_fingerprint.startsWith('t12') && conn.tls.sni == 'tls.example.com'"]
    actions: [{type: act, config: {refuse: true}}]
`))
	c, err := w.tls(&tls.Config{ServerName: "tls.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, c, "hello")
	if _, err := w.tls(&tls.Config{ServerName: "tls.example.com", MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("a client with TLS 1.2 got in")
	}
}
