package edge

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"
)

// proofs are those of orders under way.
type proofs struct {
	host, token, text string
	name              string
	cert              *tls.Certificate
}

func (p *proofs) Answer(host, token string) (string, bool) {
	return p.text, host == p.host && token == p.token
}

func (p *proofs) Certificate(name string) *tls.Certificate {
	if name == p.name {
		return p.cert
	}
	return nil
}

// TestEndpoints13_TokensBeforeEndpoints: the token of an order is answered before
// a redirect and before an endpoint; other tokens are the endpoint's, and no host
// gets the token of another one (T17).
func TestEndpoints13_TokensBeforeEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Challenges = &proofs{host: "app.example.com", token: "known", text: "known.thumb"}
	})
	w.online("app.example.com", w.serve(http.HandlerFunc(echoRequest))) // https: plain requests are redirected
	w.online("http://plain.example.com", w.serve(http.HandlerFunc(echoRequest)))
	for _, c := range []struct {
		method, url string
		status      int
		body        string
	}{
		{"GET", "http://app.example.com/.well-known/acme-challenge/known", 200, "known.thumb"},
		{"HEAD", "http://app.example.com/.well-known/acme-challenge/known", 200, ""},
		{"GET", "http://APP.example.com.:80/.well-known/acme-challenge/known", 200, "known.thumb"},
		{"GET", "http://app.example.com/.well-known/acme-challenge/other", 307, ""},
		{"POST", "http://app.example.com/.well-known/acme-challenge/known", 307, ""},
		{"GET", "https://app.example.com/.well-known/acme-challenge/other", 200, "GET /.well-known/acme-challenge/other app.example.com "},
		{"GET", "http://plain.example.com/.well-known/acme-challenge/known", 200, "GET /.well-known/acme-challenge/known plain.example.com "},
		{"GET", "http://nobody.example.com/.well-known/acme-challenge/known", 404, ""},
	} {
		got := do(t, w.h1(), c.method, c.url, nil)
		if got.err != nil || got.StatusCode != c.status || c.body != "" && got.body != c.body {
			t.Errorf("%s %s: got %d %q, %v; want %d %q", c.method, c.url, got.StatusCode, got.body, got.err, c.status, c.body)
		}
	}
}

// TestT17_ProofsOverTLS: a handshake for a name under proof gets the certificate
// of the proof and ends; one for another name is the endpoint's.
func TestT17_ProofsOverTLS(t *testing.T) {
	t.Parallel()
	p := &proofs{name: "app.example.com"}
	w := newWorld(t, func(c *Config) { c.Challenges = p })
	cert, _ := newTestCerts(t, "proof.example")
	var err error
	if p.cert, err = cert.GetCertificate("proof.example"); err != nil {
		t.Fatal(err)
	}
	w.online("app.example.com", w.serve(http.HandlerFunc(echoRequest)))
	own, pool := newTestCerts(t, "inner.example.com")
	inner, err := own.GetCertificate("inner.example.com")
	if err != nil {
		t.Fatal(err)
	}
	w.online("tls://inner.example.com", tlsEcho(t, inner))

	c, err := w.tls(&tls.Config{ServerName: "app.example.com", NextProtos: []string{proofProtocol}, InsecureSkipVerify: true}) //nolint:gosec // as authorities do
	if err != nil {
		t.Fatalf("handshake for the proof: %v", err)
	}
	state := c.ConnectionState()
	if state.NegotiatedProtocol != proofProtocol {
		t.Errorf("negotiated %q, want %q", state.NegotiatedProtocol, proofProtocol)
	}
	if err := state.PeerCertificates[0].VerifyHostname("proof.example"); err != nil {
		t.Errorf("certificate of the proof: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil {
		t.Errorf("after the proof: %d bytes, %v; want the end", n, err)
	}

	for name, offered := range map[string][]string{"http/1.1 and the proof": {"http/1.1", proofProtocol}, "http/1.1": {"http/1.1"}} {
		c, err := w.tls(&tls.Config{ServerName: "app.example.com", NextProtos: offered})
		if err != nil || c.ConnectionState().NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s: %v; want an ordinary handshake", name, err)
		}
	}
	// The agent behind a tls endpoint proves its own names.
	c, err = w.tls(&tls.Config{ServerName: "inner.example.com", RootCAs: pool, NextProtos: []string{proofProtocol}})
	if err != nil {
		t.Fatalf("a proof that is the agent's: %v", err)
	}
	wantEcho(t, c, "hello")
	if _, err := w.tls(&tls.Config{ServerName: "other.example.com", NextProtos: []string{proofProtocol}}); err == nil {
		t.Error("a name that is not under proof: the handshake succeeds")
	}
}
