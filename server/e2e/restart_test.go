package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
)

// TestKilledServerComesBackUnderLoad kills a server with SIGKILL while requests
// and connections come in, starts it again, and wants every endpoint back under
// its URL: those of the agent program and those of a program with the SDK.
func TestKilledServerComesBackUnderLoad(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	addrs := freeAddrs(t, 4)
	args := []string{
		"serve", "--data-dir", filepath.Join(home, "data"), "--http-addr", addrs[0], "--https-addr", addrs[1],
		"--agent-addr", addrs[2], "--api-addr", addrs[3], "--tcp-ports", "22000-22999",
	}
	server := start(t, home, nil, "culvertd", args...)
	pin := server.await(`--ca-fingerprint (sha256:[0-9a-f]{64})`)[1]
	ca := filepath.Join(home, "data", "ca.pem")

	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "web") }))
	defer web.Close()
	config := filepath.Join(home, "agent.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `version: 3
agent: {authtoken: %s, connect_url: "localhost:%d", connect_ca_fingerprint: "%s", log: stdout, log_format: logfmt}
endpoints:
  - {name: chosen, url: "https://chosen.culvert.localhost", upstream: {url: "%[4]s"}}
  - {name: random, upstream: {url: "%[4]s"}}
  - {name: port, url: "tcp://", upstream: {url: "tcp://%[5]s"}}
`, token, portOf(t, addrs[2]), pin, web.URL, web.Listener.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := start(t, home, nil, "culvert", "start", "--all", "--config", config)
	urls := map[string]string{}
	for _, name := range []string{"chosen", "random", "port"} {
		urls[name] = agent.await(`msg="started tunnel".*name=` + name + ` .*url=(\S+)`)[1]
	}
	urls["sdk"] = sdkEndpoint(t, addrs[2], pin)

	c, err := client(ca)
	if err != nil {
		t.Fatal(err)
	}
	c.Timeout = 5 * time.Second
	load := startLoad(t, c, urls)
	eventually(t, "load gets through", func() bool { return load.ok.Load() > 200 })

	killed := time.Now()
	server.kill()
	start(t, home, nil, "culvertd", args...)
	eventually(t, "the server listens again", func() bool {
		conn, err := net.Dial("tcp", addrs[2])
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	listening := time.Since(killed)
	back := map[string]time.Duration{}
	eventually(t, "every endpoint is back", func() bool {
		for name, u := range urls {
			if _, done := back[name]; !done && reach(c, u) == nil {
				back[name] = time.Since(killed)
			}
		}
		return len(back) == len(urls)
	})
	before := load.ok.Load()
	eventually(t, "load gets through again", func() bool { return load.ok.Load() > before+200 })
	load.stop()

	t.Logf("after SIGKILL under load: listening after %.2f s; back on the same URLs after: %s", listening.Seconds(), seconds(back))
	t.Logf("requests: %d answered, %d failed", load.ok.Load(), load.failed.Load())
	fmt.Fprintf(os.Stdout, "restart under load: listening %.2f s, endpoints back: %s\n", listening.Seconds(), seconds(back))
	for name, d := range back {
		if d > 5*time.Second {
			t.Errorf("%s was away for %v", name, d)
		}
	}
	if strings.Contains(agent.text(), "reconnect=true") {
		t.Error("an endpoint of the agent came back under another URL")
	}
}

// sdkEndpoint puts an endpoint online from this process.
func sdkEndpoint(t *testing.T, addr, pin string) string {
	t.Helper()
	a, err := culvert.NewAgent(culvert.WithAuthtoken(token), culvert.WithAgentConnectURL(addr), culvert.WithCAFingerprint(pin))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := a.Listen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "sdk") //nolint:errcheck // the client checks it
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); a.Disconnect(); <-done })
	return ln.URL().String()
}

// reach makes one request through an endpoint.
func reach(c *http.Client, u string) error {
	if port, ok := strings.CutPrefix(u, "tcp://"); ok {
		u = "http://" + port
	}
	resp, err := c.Get(u)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || len(text) != 3) {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}

// load is many requests at once.
type load struct {
	ok, failed atomic.Int64
	cancel     context.CancelFunc
	wg         sync.WaitGroup
}

func startLoad(t *testing.T, c *http.Client, urls map[string]string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	t.Cleanup(l.stop)
	for range 4 {
		for _, u := range urls {
			l.wg.Go(func() {
				for ctx.Err() == nil {
					if reach(c, u) == nil {
						l.ok.Add(1)
						continue
					}
					l.failed.Add(1)
					select {
					case <-time.After(poll):
					case <-ctx.Done():
					}
				}
			})
		}
	}
	return l
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

func seconds(m map[string]time.Duration) string {
	var parts []string
	for name, d := range m {
		parts = append(parts, fmt.Sprintf("%s %.2f s", name, d.Seconds()))
	}
	return strings.Join(parts, ", ")
}
