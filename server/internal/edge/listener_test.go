package edge

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
)

func TestEndpoints05_ExtraListenersServeTheirPortAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Extra = []ExtraListener{
			{Scheme: endpoint.HTTPS, Addr: "127.0.0.1:8443"},
			{Scheme: endpoint.HTTP, Addr: "127.0.0.1:9081", Port: 8081},
			{Scheme: endpoint.TLS, Addr: "127.0.0.1:8883", Port: 8883},
		}
	})
	w.online("https://app.example.com:8443", answer(t, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"))
	w.online("http://app.example.com:8081", answer(t, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"))
	other := newPassthrough(t)
	w.online("tls://a.b.c.example.com:8883", other.up)

	status := func(c net.Conn) string {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
		got := make([]byte, len("HTTP/1.1 200"))
		_, _ = io.ReadFull(c, got)
		return string(got)
	}
	secure := func(addr string, cfg *tls.Config) (*tls.Conn, error) {
		c := tls.Client(w.connect(clientIP, addr), cfg)
		return c, c.HandshakeContext(t.Context())
	}
	app := func() *tls.Config { return &tls.Config{ServerName: "app.example.com", RootCAs: w.roots} }
	c, err := secure("127.0.0.1:8443", app())
	if err != nil {
		t.Fatal(err)
	}
	if got := status(c); got != "HTTP/1.1 201" {
		t.Errorf("https on its port: %q", got)
	}
	wantStatus(t, do(t, w.h1(), "GET", "/", nil), http.StatusNotFound, "ERR_NGROK_3200")
	if got := status(w.connect(clientIP, "127.0.0.1:9081")); got != "HTTP/1.1 202" {
		t.Errorf("http on its port: %q", got)
	}
	if got := status(w.connect(clientIP, plainAddr)); got != "HTTP/1.1 404" {
		t.Errorf("http on the standard port: %q", got)
	}
	c, err = secure("127.0.0.1:8883", &tls.Config{ServerName: "a.b.c.example.com", RootCAs: other.roots})
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, c, "x")
	// A port for tls has no page to show.
	_, err = secure("127.0.0.1:8883", app())
	wantAlert(t, err, alertUnrecognizedName)

	want := map[Addr]bool{
		{endpoint.HTTP, 80, netip.MustParseAddrPort(plainAddr)}:           true,
		{endpoint.HTTPS, 443, netip.MustParseAddrPort(tlsAddr)}:           true,
		{endpoint.HTTPS, 8443, netip.MustParseAddrPort("127.0.0.1:8443")}: true,
		{endpoint.HTTP, 8081, netip.MustParseAddrPort("127.0.0.1:9081")}:  true,
		{endpoint.TLS, 8883, netip.MustParseAddrPort("127.0.0.1:8883")}:   true,
	}
	for _, a := range w.srv.Addrs() {
		if !want[a] {
			t.Errorf("Addrs has %v", a)
		}
		delete(want, a)
	}
	if len(want) != 0 {
		t.Errorf("Addrs lacks %v", want)
	}
}
