package reliability

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/node"
)

const (
	token = "test_token_0123456789"
	// patience bounds every single wait of a test.
	patience = 60 * time.Second
	// poll is how often something is looked at that tells nobody.
	poll = 5 * time.Millisecond
)

// memory is a network in memory. Every name leads to its one host.
type memory struct{ *memnet.Network }

func newMemory() memory { return memory{memnet.New()} }

func (m memory) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return m.Dial(ctx, network, addr)
}

// Dial is for culvert.Dialer.
type dialer struct{ Network }

func (d dialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// world is a server on a network.
type world struct {
	t    *testing.T
	net  Network
	cfg  node.Config
	log  *logbook // what the server logs
	acc  *logbook // its access log
	node *node.Node
	info node.Info
	cas  *x509.CertPool

	cancel context.CancelFunc
	ended  chan error
}

func newWorld(t *testing.T, n Network, edit ...func(*node.Config)) *world {
	t.Helper()
	w := &world{t: t, net: n, log: &logbook{}, acc: &logbook{}}
	const free = "127.0.0.1:0"
	w.cfg = node.Config{
		DataDir: t.TempDir(), BootstrapAuthtoken: token, Version: "test",
		HTTPAddr: free, HTTPSAddr: free, AgentAddr: free, APIAddr: free, SSHAddr: free,
		Listen: func(_ context.Context, network, addr string) (net.Listener, error) { return n.Listen(network, addr) },
		Logger: slog.New(slog.NewTextHandler(w.log, nil)), AccessLog: slog.New(slog.NewTextHandler(w.acc, nil)),
		ShutdownGrace: 10 * time.Second,
	}
	for _, e := range edit {
		e(&w.cfg)
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("server log:\n%s", w.log.tail(4000))
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	n, err := node.New(w.cfg)
	if err != nil {
		w.t.Fatalf("new node: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	w.node, w.cancel, w.ended = n, cancel, ended
	select {
	case <-n.Ready():
	case err := <-ended:
		ended <- err
		w.t.Fatalf("run node: %v", err)
	}
	w.info = n.Info()
	// The server is found there again when it is started again.
	w.cfg.HTTPAddr, w.cfg.HTTPSAddr = w.info.HTTP.String(), w.info.HTTPS.String()
	w.cfg.AgentAddr, w.cfg.APIAddr = w.info.Agent.String(), w.info.API.String()
	pem, err := os.ReadFile(w.info.CAFile)
	if err != nil {
		w.t.Fatal(err)
	}
	w.cas = x509.NewCertPool()
	w.cas.AppendCertsFromPEM(pem)
}

// shutdown stops the server in order.
func (w *world) shutdown() {
	w.t.Helper()
	w.cancel()
	err := <-w.ended
	w.ended <- err
	if err != nil {
		w.t.Errorf("server ended with: %v", err)
	}
}

// stop stops the server without a grace period.
func (w *world) stop() {
	w.t.Helper()
	w.cancel()
	w.node.Kill()
	w.shutdown()
}

// link puts a link between agents and the server.
func (w *world) link() *Link {
	w.t.Helper()
	l, err := NewLink(w.net, w.info.Agent.String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(l.Close)
	return l
}

func (w *world) upstream(name string) *Upstream {
	w.t.Helper()
	u, err := NewUpstream(w.net, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(u.Close)
	return u
}

// agent makes an agent that finds the server at addr, or directly if it is "".
func (w *world) agent(addr string, opts ...culvert.AgentOption) culvert.Agent {
	w.t.Helper()
	if addr == "" {
		addr = w.info.Agent.String()
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := culvert.NewAgent(append([]culvert.AgentOption{
		culvert.WithAuthtoken(token), culvert.WithAgentConnectURL("localhost:" + port),
		culvert.WithDialer(dialer{w.net}), culvert.WithCAFingerprint(w.info.CAFingerprint),
	}, opts...)...)
	if err != nil {
		w.t.Fatalf("new agent: %v", err)
	}
	w.t.Cleanup(func() { _ = a.Disconnect() }) // may be disconnected already
	return a
}

// forward brings an endpoint online in front of an upstream and returns its URL.
func (w *world) forward(a culvert.Agent, u *Upstream, opts ...culvert.EndpointOption) string {
	w.t.Helper()
	return w.forwardTo(a, "http://"+u.Addr(), opts...).URL().String()
}

func (w *world) forwardTo(a culvert.Agent, upstream string, opts ...culvert.EndpointOption) culvert.EndpointForwarder {
	w.t.Helper()
	f, err := a.Forward(context.Background(), culvert.WithUpstream(upstream, culvert.WithUpstreamDialer(dialer{w.net})), opts...)
	if err != nil {
		w.t.Fatalf("forward: %v", err)
	}
	return f
}

func (w *world) client(h2 bool) *http.Client {
	w.t.Helper()
	c := Client(w.net, w.cas, h2)
	w.t.Cleanup(c.CloseIdleConnections)
	return c
}

// load is the usual load on an endpoint; Rest lets bubbles advance their clock.
func (w *world) load(url string, edit ...func(*LoadConfig)) *Load {
	w.t.Helper()
	cfg := LoadConfig{
		Net: w.net, CAs: w.cas, URL: url, H1: 4, H2: 4, WebSockets: 3, Upload: 4 << 20, Rest: 5 * time.Millisecond,
	}
	for _, e := range edit {
		e(&cfg)
	}
	l := StartLoad(w.t.Context(), cfg)
	w.t.Cleanup(func() { l.Stop() })
	return l
}

// dial opens a connection to addr.
func (w *world) dial(addr string) net.Conn {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := w.net.DialContext(ctx, "tcp", addr)
	if err != nil {
		w.t.Fatalf("dial %s: %v", addr, err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// dialTLS opens a TLS connection to the https listener for the host of url.
func (w *world) dialTLS(u string) *tls.Conn {
	w.t.Helper()
	at, err := url.Parse(u)
	if err != nil {
		w.t.Fatal(err)
	}
	c := tls.Client(w.dial(w.info.HTTPS.String()), &tls.Config{ServerName: at.Hostname(), RootCAs: w.cas, MinVersion: tls.VersionTLS12})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// await waits until every kind of traffic gets through.
func await(t *testing.T, l *Load, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Await(ctx, n); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// only wants no outcomes but fine ones and those allowed, which may name a part
// of an outcome.
func only(t *testing.T, c Counts, allowed ...string) {
	t.Helper()
	for k, n := range c {
		fine := strings.HasSuffix(k, " "+string(OK))
		for _, a := range allowed {
			fine = fine || strings.Contains(k, a)
		}
		if !fine {
			t.Errorf("%q happened %d times; allowed are %q", k, n, allowed)
		}
	}
}

// cutShort is what requests may come to whose agent's connection is lost: the
// 3004 family, and answers that visibly end early.
func cutShort() []string {
	return []string{"502 ERR_NGROK_3004", "502 ERR_NGROK_3007", "502 ERR_NGROK_3210", string(Truncated), string(Lost)}
}

// logbook collects log lines.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logbook) count(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), part)
}

func (b *logbook) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.text.String()
	return s[max(0, len(s)-n):]
}

// hold sends n requests that their upstream does not answer, and returns once
// it has them. Their outcomes arrive on the channel.
func (w *world) hold(c *http.Client, base string, u *Upstream, n int) <-chan Outcome {
	w.t.Helper()
	out := make(chan Outcome, n)
	want := u.Held.Load() + int64(n)
	for range n {
		go func() {
			req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, base+"/hold", http.NoBody)
			if err != nil {
				panic(err)
			}
			resp, err := c.Do(req)
			if err != nil {
				out <- failure(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				out <- OK
				return
			}
			out <- Answered(resp)
		}()
	}
	eventually(w.t, fmt.Sprintf("%d requests are held", n), func() bool { return u.Held.Load() >= want })
	return out
}
