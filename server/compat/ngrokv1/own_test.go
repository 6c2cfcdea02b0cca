package ngrokv1_test

import (
	"context"
	"crypto/x509"
	"testing"

	"golang.ngrok.com/ngrok"
	"golang.ngrok.com/ngrok/config"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// TestLegs binds one endpoint over two connections to the server, which only this SDK can be told to make.
func TestLegs(t *testing.T) {
	t.Parallel()
	s := oracle.Start(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sess ngrok.Session
	for sess == nil || !whole(sess) {
		sess = legs(ctx, t, s, pool)
		defer sess.Close()
	}
	tun, err := sess.Listen(ctx, config.HTTPEndpoint(config.WithDomain("legs."+s.Domain)))
	if err != nil {
		t.Fatal(err)
	}
	go oracle.Serve(tun, oracle.App{Name: "app", Kind: "http"})
	for range 10 {
		if seen := oracle.Get(t, s.Client(t), tun.URL()+"/"); seen.Name != "app" { // each on a connection of its own
			t.Fatalf("answered by %q", seen.Name)
		}
	}
	if err := tun.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	oracle.WantOffline(t, s, tun.URL())
}

// legs opens a session of two connections to s.
func legs(ctx context.Context, t *testing.T, s *oracle.Server, pool *x509.CertPool) ngrok.Session {
	t.Helper()
	sess, err := ngrok.Connect(ctx, ngrok.WithAuthtoken(s.Token), ngrok.WithCA(pool),
		ngrok.WithServer(s.AgentAddr), ngrok.WithMultiLeg(true), ngrok.WithAdditionalServers([]string{s.AgentAddr}))
	if err != nil {
		t.Fatal(err)
	}
	return sess
}
