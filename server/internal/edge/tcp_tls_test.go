package edge

import (
	"crypto/tls"
	"testing"
)

// TestEndpoints18_TerminatedOnTCP: a policy ends TLS for a TCP endpoint, whether
// its client names a host or not, and the service gets what was inside.
func TestEndpoints18_TerminatedOnTCP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tcpHost)
	w.claim()
	w.online(tcpURL, echo(t, "welcome"), ruled(t, onlyTLS13))
	for _, name := range []string{"example.com", "other.example.org", ""} {
		c := tls.Client(w.connect(clientIP, tcpAddr), &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // the name is looked at below
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if err := c.ConnectionState().PeerCertificates[0].VerifyHostname("example.com"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		wantRead(t, c, "welcome")
		wantEcho(t, c, "hello")
	}
	old := tls.Client(w.connect(clientIP, tcpAddr), &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}) //nolint:gosec // it is refused
	wantAlert(t, old.HandshakeContext(t.Context()), alertProtocolVersion)
	plain := w.connect(clientIP, tcpAddr)
	if _, err := plain.Write([]byte("SSH-2.0-client\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := plain.Read(make([]byte, 100)); n > 0 || err == nil {
		t.Errorf("what is not TLS got %d bytes, %v; want the end", n, err)
	}
}
