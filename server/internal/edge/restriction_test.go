package edge

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/route"
)

// TestEndpoints_AccountRestriction keeps the clients of one account out, before its policies, and those of
// another one in.
func TestEndpoints_AccountRestriction(t *testing.T) {
	t.Parallel()
	var shut atomic.Bool
	shut.Store(true)
	w := newWorld(t, tcpHost, func(c *Config) {
		c.Admit = func(account string, client netip.Addr) error {
			if account != "ac_shut" || !shut.Load() {
				return nil
			}
			if client != netip.MustParseAddr(clientIP) {
				t.Errorf("asked about %s, want %s", client, clientIP)
			}
			return fault.New(fault.ClientSourceRefused)
		}
	})
	of := func(account string) func(*route.Endpoint) {
		return func(e *route.Endpoint) { e.Account = account }
	}
	// The policy of each refuses in its own way whom the restriction lets pass.
	const refuses = "on_tcp_connect: [{actions: [{type: act, config: {close: true}}]}]"
	w.online("http://shut.example.com", refused(t), of("ac_shut"), governed(t, refuses))
	w.online("https://shut.example.com", refused(t), of("ac_shut"), governed(t, refuses))
	w.online("tls://tls.example.com", refused(t), of("ac_shut"))
	open := w.serve(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "open") })
	w.online("https://open.example.com", open, of("ac_open"))

	for _, url := range []string{"http://shut.example.com/", "https://shut.example.com/"} {
		wantStatus(t, do(t, w.h1(), "GET", url, nil), 403, string(fault.ClientSourceRefused))
	}
	wantStatus(t, do(t, w.h2(), "GET", "https://shut.example.com/", nil), 403, string(fault.ClientSourceRefused))
	wantStatus(t, do(t, w.h1(), "GET", "https://open.example.com/", nil), 200, "")

	if c, err := w.tls(&tls.Config{ServerName: "tls.example.com"}); err == nil {
		t.Errorf("a tls endpoint has taken the connection: %v", c.ConnectionState().PeerCertificates)
	}
	w.claim()
	tcp := w.online(tcpURL, refused(t), of("ac_shut"))
	if n, err := w.connect(clientIP, tcpAddr).Read(make([]byte, 1)); err == nil || n > 0 {
		t.Error("a tcp endpoint has taken the connection")
	}

	// Let in again on a connection that was refused: its connect phase has not run, and runs now or asks for
	// another connection.
	client := w.h1()
	wantStatus(t, do(t, client, "GET", "https://shut.example.com/", nil), 403, string(fault.ClientSourceRefused))
	shut.Store(false)
	wantStatus(t, do(t, client, "GET", "https://shut.example.com/", nil), 421, string(fault.Misdirected))
	w.offline(tcp)
	w.online(tcpURL, echo(t, "hello"), of("ac_shut"))
	wantRead(t, w.connect(clientIP, tcpAddr), "hello")
}
