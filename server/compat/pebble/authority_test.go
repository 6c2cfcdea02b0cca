package pebble_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP":      "1",
		"PEBBLE_WFE_NONCEREJECT": "50",
		"PEBBLE_AUTHZREUSE":      "0", // every order proves its names
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run()) //nolint:forbidigo // the way for TestMain
}

// authority is one that runs in this process.
type authority struct {
	directory string
	// server trusts who the requests go to, issuer what it issues.
	server, issuer *x509.CertPool
	web            *httptest.Server
}

// places is where an authority looks for proofs.
type places struct {
	http, tls int
	dns       string
}

// newAuthority starts one whose certificates live for a time. With keys it wants
// accounts to be bound to one of these.
func newAuthority(t *testing.T, at places, life time.Duration, keys map[string]string) *authority {
	t.Helper()
	a := &authority{server: x509.NewCertPool(), issuer: x509.NewCertPool()}
	logger := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	memory := db.NewMemoryStore()
	for id, key := range keys {
		if err := memory.AddExternalAccountKeyByID(id, key); err != nil {
			t.Fatal(err)
		}
	}
	signer := ca.New(logger, memory, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(life / time.Second)}})
	prover := va.New(logger, at.http, at.tls, true, at.dns, memory)
	front := wfe.New(logger, memory, prover, signer, []string{"pebble.letsencrypt.org"}, true, len(keys) > 0, 1, 1)
	a.web = httptest.NewTLSServer(front.Handler())
	t.Cleanup(a.web.Close)
	a.web.Config.ErrorLog = logger
	a.directory = a.web.URL + wfe.DirectoryPath
	a.server.AddCert(a.web.Certificate())
	a.issuer.AppendCertsFromPEM(signer.GetRootCert(0).PEM())
	return a
}

// dead is the directory of an authority that does not answer requests: it
// refuses connections.
func dead(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return "https://" + ln.Addr().String() + "/dir"
}

// broken is the directory of an authority that answers every request with 503.
func broken(t *testing.T) (directory string, root *x509.Certificate) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "closed for today", http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/dir", s.Certificate()
}

// resolver returns one that asks a name server.
func resolver(addr string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
}
