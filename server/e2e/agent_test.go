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
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
)

// runNode runs a server in this process, on free ports, for tests that order
// things from it which have no command yet.
func runNode(t *testing.T) *node.Node {
	t.Helper()
	any := "127.0.0.1:0"
	n, err := node.New(node.Config{
		DataDir: t.TempDir(), BootstrapAuthtoken: token, HTTPAddr: any, HTTPSAddr: any, AgentAddr: any, APIAddr: any, SSHAddr: any,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		n.Kill()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	select {
	case <-n.Ready():
	case err := <-ended:
		t.Fatalf("server: %v", err)
	}
	return n
}

// writeConfig writes an agent's configuration for a server.
func writeConfig(t *testing.T, connect, pin, agent, endpoints string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "culvert.yml")
	text := fmt.Sprintf("version: 3\nagent:\n  authtoken: %s\n  connect_url: %s\n  connect_ca_fingerprint: %s\n"+
		"  log: stdout\n  log_format: logfmt\n%s%s", token, connect, pin, agent, endpoints)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAgent31_SilentNetwork(t *testing.T) {
	t.Parallel()
	home, n := t.TempDir(), runNode(t)
	info := n.Info()
	l := newLink(t, info.Agent.String())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "web") }))
	defer web.Close()
	config := writeConfig(t, fmt.Sprintf("localhost:%d", portOf(t, l.Addr().String())), info.CAFingerprint,
		"  heartbeat_interval: 1s\n  heartbeat_tolerance: 1s\n",
		"endpoints:\n  - {name: web, upstream: {url: \""+web.URL+"\"}}\n  - {name: port, url: \"tcp://\", upstream: {url: \"tcp://"+web.Listener.Addr().String()+"\"}}\n")
	agent := start(t, home, nil, "culvert", "start", "--all", "--config", config)
	u := agent.await(`msg="started tunnel".*name=web .*url=(\S+)`)[1]
	agent.await(`msg="started tunnel".*name=port `)
	c, err := client(info.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := reach(c, u); err != nil {
		t.Fatal(err)
	}

	l.silence()
	cut := time.Now()
	agent.await(`session closed, starting reconnect loop`)
	noticed := time.Since(cut)
	if noticed > 5*time.Second { // a fifth of the default, as the beats are
		t.Errorf("the agent noticed after %v", noticed)
	}
	eventually(t, "the server notices", func() bool { return n.Tunnels().NumSessions() == 0 })
	gone := time.Since(cut)

	l.heal()
	healed := time.Now()
	eventually(t, "the endpoint is back", func() bool { return reach(c, u) == nil })
	if d := time.Since(healed); d > 5*time.Second {
		t.Errorf("the endpoint was back %v after the network", d)
	}
	t.Logf("agent noticed after %v, server after %v, back after %v", noticed, gone, time.Since(healed))
	if got := strings.Count(agent.text(), "starting reconnect loop"); got != 1 {
		t.Errorf("the loss was told %d times", got)
	}
	if strings.Contains(agent.text(), "previous=") {
		t.Error("an endpoint came back under another URL")
	}
}

func TestAgent38_RemoteCommands(t *testing.T) {
	t.Parallel()
	n := runNode(t)
	info := n.Info()
	endpoints := "endpoints:\n  - {name: web, upstream: {url: \"http://127.0.0.1:1\"}}\n"
	session := `client session established.*id=(ts_\w+)`

	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		config := writeConfig(t, info.ConnectURL, info.CAFingerprint, "  remote_management: true\n", endpoints)
		agent := start(t, t.TempDir(), nil, "culvert", "start", "--all", "--config", config)
		id := agent.await(session)[1]
		agent.await(`started tunnel`)
		if err := n.Tunnels().StopSession(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if code := agent.finish(); code != 0 {
			t.Errorf("got exit code %d, want 0", code)
		}
	})
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		config := writeConfig(t, info.ConnectURL, info.CAFingerprint, "  remote_management: true\n", endpoints)
		agent := start(t, t.TempDir(), nil, "culvert", "start", "--all", "--config", config)
		id := agent.await(session)[1]
		agent.await(`started tunnel`)
		if err := n.Tunnels().RestartSession(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if again := agent.awaitN(session, 2)[1]; again == id {
			t.Errorf("the restarted agent has the session id %s still", id)
		}
		agent.awaitN(`started tunnel`, 2)
	})
	t.Run("restart with a broken configuration", func(t *testing.T) {
		t.Parallel()
		config := writeConfig(t, info.ConnectURL, info.CAFingerprint, "  remote_management: true\n", endpoints)
		agent := start(t, t.TempDir(), nil, "culvert", "start", "--all", "--config", config)
		id := agent.await(session)[1]
		agent.await(`started tunnel`)
		if err := os.WriteFile(config, []byte("version: 3\nnonsense: true\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := n.Tunnels().RestartSession(t.Context(), id); !fault.Has(err, fault.CommandFailed) {
			t.Errorf("got %v, want 807", err)
		}
		if err := n.Tunnels().StopSession(t.Context(), id); err != nil {
			t.Errorf("the agent is not up any more: %v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		config := writeConfig(t, info.ConnectURL, info.CAFingerprint, "  remote_management: false\n", endpoints)
		agent := start(t, t.TempDir(), nil, "culvert", "start", "--all", "--config", config)
		id := agent.await(session)[1]
		for code, order := range map[fault.Code]func(context.Context, string) error{
			fault.StopUnsupported: n.Tunnels().StopSession, fault.CommandUnsupported: n.Tunnels().RestartSession,
		} {
			if err := order(t.Context(), id); !fault.Has(err, code) {
				t.Errorf("got %v, want %s", err, code)
			}
		}
	})
}

// TestTCPEndpointPasses needs no more than a socket on either side.
func TestTCPEndpointPasses(t *testing.T) {
	t.Parallel()
	n := runNode(t)
	info := n.Info()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go func() {
		for {
			c, err := upstream.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				text, _ := io.ReadAll(c) // until the client has finished its half
				fmt.Fprintf(c, "got %d", len(text))
			}()
		}
	}()
	agent := start(t, t.TempDir(), []string{
		"CULVERT_AUTHTOKEN=" + token, "CULVERT_CONNECT_URL=" + info.ConnectURL, "CULVERT_CA_FINGERPRINT=" + info.CAFingerprint,
	}, "culvert", "tcp", upstream.Addr().String(), "--log", "stdout", "--log-format", "logfmt")
	port := agent.await(`started tunnel.*url=tcp://localhost:(\d+)`)[1]
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c); string(text) != "got 1048576" {
		t.Errorf("got %q, %v", text, err)
	}
}
