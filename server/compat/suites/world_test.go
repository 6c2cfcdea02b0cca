package suites_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// name is the host of every endpoint.
const name = "localhost"

// world is a server on loopback ports with an agent.
type world struct {
	*nodetest.Server
	agent culvert.Agent
}

// start runs a server under the given limits and connects an agent.
func start(t *testing.T, limits edge.Limits) *world {
	t.Helper()
	s := nodetest.Start(t, func(c *node.Config) {
		port := "127.0.0.1:0"
		c.HTTPAddr, c.HTTPSAddr, c.AgentAddr, c.APIAddr, c.SSHAddr = port, port, port, port, port
		c.Domains = []string{name}
		c.Edge = limits
		c.Listen = nil // real ports
		c.Logger = slog.New(slog.DiscardHandler)
	})
	return &world{s, s.Agent(culvert.WithDialer(new(net.Dialer)))}
}

// forward brings an endpoint online that leads to an upstream.
func (w *world) forward(t *testing.T, url, upstream string, opts ...culvert.UpstreamOption) {
	t.Helper()
	// The context of the first call would end the agent's session.
	_, err := w.agent.Forward(context.Background(), culvert.WithUpstream(upstream, opts...), culvert.WithURL(url))
	if err != nil {
		t.Fatalf("forward %s to %s: %v", url, upstream, err)
	}
}

// web is an upstream that answers with h. It returns its URL.
func web(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := netx.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// It shares the system's memory for sockets with the server that is attacked, which elsewhere it would not.
	netx.LimitUnsent(ln, 16<<10)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }() // ends with the server
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + ln.Addr().String()
}

// client returns an HTTP client that trusts the server's CA.
func (w *world) client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.CAs, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// httpURL and httpsURL are where the endpoints are.
func (w *world) httpURL() string  { return "http://" + w.hostPort(w.Info.HTTP) }
func (w *world) httpsURL() string { return "https://" + w.hostPort(w.Info.HTTPS) }

func (w *world) hostPort(a net.Addr) string {
	return net.JoinHostPort(name, strconv.Itoa(a.(*net.TCPAddr).Port))
}

// program returns the path of an outside program. Without it the test is skipped, but not in CI.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CULVERT_CI") != "":
		t.Fatalf("%v; CI installs it in its step \"programs\"", err)
	}
	t.Skipf("%v", err)
	return ""
}
