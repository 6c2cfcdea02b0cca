package oracle

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/node"
)

// Server is a real server in the test's process, on loopback ports of its own.
type Server struct {
	// Domain is the base domain of endpoint names.
	Domain string
	// AgentAddr, HTTPAddr and HTTPSAddr are the addresses of the listeners. They survive a restart.
	AgentAddr, HTTPAddr, HTTPSAddr string
	// Token is an authtoken that the server knows.
	Token string
	// CA is the certificate of the development CA in PEM, and Pool trusts it.
	CA   []byte
	Pool *x509.CertPool

	dir  string
	log  *slog.Logger
	node *node.Node
	stop func()     // asks the node to shut down
	done chan error // receives what its Run returns
}

// token is the first authtoken of every oracle server.
const token = "2oracle0oracle0oracle0oracle_7oracle0oracle0oracle"

// Start starts a server with a data directory of its own. It ends with the test.
func Start(t *testing.T) *Server {
	t.Helper()
	any := "127.0.0.1:0"
	s := &Server{
		Domain: "culvert.localhost", AgentAddr: any, HTTPAddr: any, HTTPSAddr: any, Token: token,
		dir: t.TempDir(), log: slog.New(slog.NewTextHandler(newTestLog(t), nil)),
	}
	t.Cleanup(func() {
		if s.stop != nil {
			s.Kill(t)
		}
	})
	s.Again(t)
	s.trust(t)
	return s
}

// trust reads the server's CA.
func (s *Server) trust(t *testing.T) {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.CA, s.Pool = ca, x509.NewCertPool()
	s.Pool.AppendCertsFromPEM(ca)
}

// Again starts a server that was stopped, on the same addresses and data.
func (s *Server) Again(t *testing.T) {
	t.Helper()
	n, err := node.New(node.Config{
		DataDir: s.dir, Domains: []string{s.Domain},
		HTTPAddr: s.HTTPAddr, HTTPSAddr: s.HTTPSAddr, AgentAddr: s.AgentAddr, APIAddr: "127.0.0.1:0", SSHAddr: "127.0.0.1:0",
		BootstrapAuthtoken: s.Token, ShutdownGrace: 2 * time.Second, Logger: s.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // the server's life: Cleanup of the test ends it
	s.node, s.stop, s.done = n, cancel, make(chan error, 1)
	go func() { s.done <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-s.done:
		s.stop = nil
		t.Fatalf("start the server: %v", err)
	}
	info := n.Info()
	s.HTTPAddr, s.HTTPSAddr, s.AgentAddr = info.HTTP.String(), info.HTTPS.String(), info.Agent.String()
}

// Stop shuts the server down in order: it gives what is open two seconds.
func (s *Server) Stop(t *testing.T) {
	t.Helper()
	s.end(t)
}

// Kill shuts the server down without any grace.
func (s *Server) Kill(t *testing.T) {
	t.Helper()
	s.node.Kill()
	s.end(t)
}

func (s *Server) end(t *testing.T) {
	t.Helper()
	s.stop()
	s.stop = nil
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not end")
	}
}

// HTTPPort is the port of http URLs.
func (s *Server) HTTPPort() string { return portOf(s.HTTPAddr) }

// HTTPSPort is the port of https and tls URLs.
func (s *Server) HTTPSPort() string { return portOf(s.HTTPSAddr) }

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr) // the address of a listener
	return port
}

// Command has the server send its only session a command, "stop" or "restart".
func (s *Server) Command(t *testing.T, verb string) error {
	t.Helper()
	tunnels := s.node.Tunnels()
	agents := tunnels.Agents()
	if len(agents) != 1 {
		return fmt.Errorf("the server has %d sessions, want 1", len(agents))
	}
	if verb == "stop" {
		return tunnels.StopSession(t.Context(), agents[0].SessionID)
	}
	return tunnels.RestartSession(t.Context(), agents[0].SessionID)
}

// testLog is a test's log as a writer. What comes after the test is dropped.
type testLog struct {
	t    *testing.T
	mu   sync.Mutex
	over bool
}

func newTestLog(t *testing.T) *testLog {
	t.Helper()
	l := &testLog{t: t}
	t.Cleanup(func() { l.mu.Lock(); defer l.mu.Unlock(); l.over = true })
	return l
}

// Write logs one line.
func (l *testLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.t.Log(strings.TrimSuffix(string(b), "\n"))
	}
	return len(b), nil
}
