package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/node"
)

// poolOfTwo runs two agent programs in front of services that answer with their
// names, as a pool, and returns the first of them and the pool's URL. The first
// service holds requests for /hold; held receives one value for each.
func poolOfTwo(t *testing.T, n *node.Node) (first *process, url string, held chan string) {
	t.Helper()
	info := n.Info()
	held = make(chan string, 10)
	release := make(chan struct{})
	service := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" {
				held <- name
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
			io.WriteString(w, name)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	t.Cleanup(func() { close(release) })
	url = "https://pool.culvert.localhost"
	for _, name := range []string{"one", "two"} {
		config := writeConfig(t, info.ConnectURL, info.CAFingerprint, "  heartbeat_interval: 1s\n  heartbeat_tolerance: 1s\n",
			fmt.Sprintf("endpoints:\n  - {name: web, url: %q, pooling_enabled: true, upstream: {url: %q}}\n", url, service(name)))
		p := start(t, t.TempDir(), nil, "culvert", "start", "--all", "--config", config)
		p.await(`started tunnel`)
		if first == nil {
			first = p
		}
	}
	return first, fmt.Sprintf("%s:%d", url, info.HTTPSPort), held
}

// answers asks, on a new connection each time since one stays with its member,
// until each name has answered.
func answers(c *http.Client, url string, names ...string) func() bool {
	var seen []string
	return func() bool {
		c.CloseIdleConnections()
		if resp, err := c.Get(url); err == nil {
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				seen = append(seen, string(text))
			}
		}
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(seen, n) })
	}
}

// inFlight sends requests until the first member holds one of them, and returns
// what comes of all of them. Those that the second member holds go on.
func inFlight(t *testing.T, c *http.Client, url string, held <-chan string) <-chan int {
	t.Helper()
	status := make(chan int, 4)
	for range 4 { // two for each member, in turn
		c.CloseIdleConnections()
		go func() {
			resp, err := c.Get(url + "/hold")
			if err != nil {
				return // the test is over
			}
			resp.Body.Close()
			status <- resp.StatusCode
		}()
		<-held
	}
	return status
}

// TestF08_AgentKilled: as when the link is cut, requests in flight fail, others
// go to the other member at once.
func TestF08_AgentKilled(t *testing.T) {
	t.Parallel()
	n := runNode(t)
	first, url, held := poolOfTwo(t, n)
	c, err := client(n.Info().CAFile)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "both members serve", answers(c, url, "one", "two"))
	status := inFlight(t, c, url, held)
	killed := time.Now()
	first.kill()
	for range 2 {
		if got := <-status; got != http.StatusBadGateway {
			t.Errorf("request in flight: got %d, want 502", got)
		}
	}
	t.Logf("noticed after %v", time.Since(killed))
	wantOnly(t, c, url, "two")
}

// TestF08_AgentStopped: as when the link falls silent, the member leaves the
// pool, and comes back when it goes on.
func TestF08_AgentStopped(t *testing.T) {
	t.Parallel()
	n := runNode(t)
	first, url, held := poolOfTwo(t, n)
	c, err := client(n.Info().CAFile)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "both members serve", answers(c, url, "one", "two"))
	status := inFlight(t, c, url, held)
	stopped := time.Now()
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server notices", func() bool { return n.Tunnels().NumSessions() == 1 })
	t.Logf("noticed after %v, with 1 s interval and 1 s tolerance", time.Since(stopped))
	for range 2 {
		if got := <-status; got != http.StatusBadGateway {
			t.Errorf("request in flight: got %d, want 502", got)
		}
	}
	wantOnly(t, c, url, "two")
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both members serve again", answers(c, url, "one", "two"))
}

// wantOnly wants one member to answer everything.
func wantOnly(t *testing.T, c *http.Client, url, name string) {
	t.Helper()
	for i := range 30 {
		c.CloseIdleConnections()
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(text) != name {
			t.Errorf("request %d: got %d %q, %v, want %q", i, resp.StatusCode, text, err, name)
		}
	}
}
