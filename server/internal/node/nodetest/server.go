package nodetest

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/node"
)

// Token is the authtoken that every server of this package accepts.
const Token = "test_token_0123456789"

// Server is a node that runs, and the network it runs on.
type Server struct {
	tb   testing.TB
	cfg  node.Config
	Net  *memnet.Network
	Node *node.Node
	Info node.Info
	// CAs trusts the server's CA.
	CAs *x509.CertPool

	cancel context.CancelFunc
	ended  chan error
}

// Start runs a server with default settings, changed by edit, and waits until it
// is ready.
func Start(tb testing.TB, edit ...func(*node.Config)) *Server {
	tb.Helper()
	s := Begin(tb, edit...)
	s.AwaitReady()
	return s
}

// Begin is Start without the wait: the listeners are open, and what Info and CAs
// say is known after [Server.AwaitReady].
func Begin(tb testing.TB, edit ...func(*node.Config)) *Server {
	tb.Helper()
	s := &Server{tb: tb, Net: memnet.New()}
	s.cfg = node.Config{
		DataDir: tb.TempDir(), BootstrapAuthtoken: Token, BootstrapAPIKey: Key, Version: "test",
		Listen: func(_ context.Context, network, addr string) (net.Listener, error) {
			return s.Net.Listen(network, addr)
		},
		Logger: slog.New(slog.NewTextHandler(testWriter{tb}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, e := range edit {
		e(&s.cfg)
	}
	api := cmp.Or(s.cfg.APIAddr, node.DefaultAPIAddr)
	listen, opened := s.cfg.Listen, make(chan struct{})
	open := sync.OnceFunc(func() { close(opened) })
	if listen == nil { // edit wants real sockets
		listen = netx.Listen
	}
	s.cfg.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
		if addr == api { // the last one of those that are always there
			defer open()
		}
		return listen(ctx, network, addr)
	}
	s.run()
	tb.Cleanup(s.Stop)
	select {
	case <-opened:
	case err := <-s.ended:
		s.ended <- err
	}
	return s
}

func (s *Server) run() {
	s.tb.Helper()
	n, err := node.New(s.cfg)
	if err != nil {
		s.tb.Fatalf("new node: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	s.Node, s.cancel, s.ended = n, cancel, ended
}

// AwaitReady waits until the server is ready.
func (s *Server) AwaitReady() {
	s.tb.Helper()
	select {
	case <-s.Node.Ready():
	case err := <-s.ended:
		s.ended <- err
		s.tb.Fatalf("run node: %v", err)
	}
	s.Info = s.Node.Info()
	if s.Info.CAFile == "" {
		return
	}
	pem, err := os.ReadFile(s.Info.CAFile)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.CAs = x509.NewCertPool()
	if !s.CAs.AppendCertsFromPEM(pem) {
		s.tb.Fatalf("%s has no certificate", s.Info.CAFile)
	}
}

// Shutdown begins an orderly shutdown and returns without waiting for it.
func (s *Server) Shutdown() { s.cancel() }

// Wait waits for the end of the server, after Shutdown.
func (s *Server) Wait() {
	s.tb.Helper()
	err := <-s.ended
	s.ended <- err
	if err != nil {
		s.tb.Errorf("server ended with: %v", err)
	}
}

// Stop shuts the server down without a grace period and waits for its end.
func (s *Server) Stop() {
	s.tb.Helper()
	s.cancel()
	s.Node.Kill()
	s.Wait()
}

// Restart stops the server and runs it again with the same settings and data.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	s.run()
	s.AwaitReady()
}

// testWriter writes log lines to the test's output, which shows them if it
// fails.
type testWriter struct{ tb testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.tb.Helper()
	w.tb.Log(string(b[:max(0, len(b)-1)]))
	return len(b), nil
}
