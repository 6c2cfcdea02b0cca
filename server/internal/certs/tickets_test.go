package certs_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/certs"
	"github.com/culvert-project/culvert/server/internal/vault"
)

func keys(t *testing.T, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// session connects, reads what the server sends, its tickets among that, and
// reports the client's view.
func session(t *testing.T, server, client *tls.Config) tls.ConnectionState {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	var wg sync.WaitGroup
	wg.Go(func() {
		s := tls.Server(a, server)
		if err := s.HandshakeContext(context.Background()); err == nil {
			_, _ = s.Write([]byte("x"))
		}
		_ = s.Close()
	})
	defer wg.Wait()
	defer b.Close()
	c := tls.Client(b, client)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatalf("connect: %v", err)
	}
	return c.ConnectionState()
}

// TestT14_AgentsResume is an agent that comes back: to a server that was
// started again it need not verify anything, in all other cases it has to.
func TestT14_AgentsResume(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := map[string]struct {
		after    time.Duration
		otherKey bool
		otherCA  bool
		change   func(*tls.Config)
		want     bool
	}{
		"at once":                 {want: true},
		"the next day":            {after: day, want: true},
		"after six days":          {after: 6 * day, want: true},
		"after eight days":        {after: 8 * day},
		"the server has new keys": {otherKey: true},
		"the server has a new CA": {otherCA: true},
		"TLS 1.2":                 {change: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dir, keyDir := t.TempDir(), t.TempDir()
				cfg := certs.Config{Dir: dir, Domains: []string{"culvert.localhost"}, Tickets: keys(t, keyDir)}
				first := open(t, cfg)
				client := &tls.Config{ServerName: "localhost", RootCAs: roots(t, first), ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				if tt.change != nil {
					tt.change(client)
				}
				if session(t, first.AgentTLS(), client).DidResume {
					t.Fatal("the first session was resumed")
				}
				time.Sleep(tt.after)
				if tt.otherKey {
					cfg.Tickets = keys(t, t.TempDir())
				}
				if tt.otherCA {
					cfg.Dir = t.TempDir()
				}
				second := open(t, cfg)
				client.RootCAs.AppendCertsFromPEM(second.CAPEM())
				state := session(t, second.AgentTLS(), client)
				if state.DidResume != tt.want {
					t.Errorf("resumed = %v, want %v", state.DidResume, tt.want)
				}
				if state.Version == tls.VersionTLS13 && state.CurveID != tls.X25519MLKEM768 {
					t.Errorf("keys were agreed on by %v, want the hybrid of the hello", state.CurveID)
				}
			})
		})
	}
}

// TestT14_DamagedTickets are no reason to refuse a handshake.
func TestT14_DamagedTickets(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"culvert.localhost"}, Tickets: keys(t, t.TempDir())})
	cfg := s.AgentTLS()
	day := make([]byte, 4)
	for name, ticket := range map[string][]byte{
		"empty": nil, "short": {1, 2}, "of 1970": day, "of the future": {255, 255, 255, 255, 'x'}, "long": make([]byte, 1<<16),
	} {
		if state, err := cfg.UnwrapSession(ticket, tls.ConnectionState{}); state != nil || err != nil {
			t.Errorf("%s: a session %v, error %v, want neither", name, state, err)
		}
	}
}
