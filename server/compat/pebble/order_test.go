package pebble_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// world is the public side of a server on loopback ports, without endpoints.
type world struct {
	places
	names    *nameserver
	proofs   *acme.Challenges
	accounts *control.ACMEAccounts
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{names: newNameserver(t, "example.org"), proofs: &acme.Challenges{}}
	w.dns = w.names.addr
	open := map[string]net.Listener{}
	listen := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open[ln.Addr().String()] = ln
		return ln.Addr().String()
	}
	plain, secure := listen(), listen()
	w.http, w.tls = port(open[plain]), port(open[secure])
	srv := edge.New(edge.Config{
		Router: route.NewRouter(), Certs: noCertificates{}, Domains: []string{"example.org"}, HTTPAddr: plain, HTTPSAddr: secure,
		Challenges: w.proofs, StartedAt: time.Now().Add(-time.Hour),
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) { return open[addr], nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	<-srv.Ready()
	w.accounts = accounts(t)
	return w
}

// accounts keeps accounts in a store of its own.
func accounts(t *testing.T) *control.ACMEAccounts {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return control.NewACMEAccounts(db, keys)
}

func port(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// noCertificates is a server that has none of its own.
type noCertificates struct{}

func (noCertificates) GetCertificate(name string) (*tls.Certificate, error) {
	return nil, fmt.Errorf("no certificate for %s", name)
}

// client is one of the server at some authorities.
func (w *world) client(edit func(*acme.Config), all ...*authority) *acme.Client {
	cfg := acme.Config{
		Email: "admin@example.org", Roots: x509.NewCertPool(), Challenges: w.proofs, Accounts: w.accounts, Resolver: resolver(w.dns), Version: "test",
	}
	for _, a := range all {
		cfg.Directories = append(cfg.Directories, a.directory)
		cfg.Roots.AddCert(a.web.Certificate())
	}
	if edit != nil {
		edit(&cfg)
	}
	return acme.New(cfg)
}

// want orders a certificate and checks that clients would take it.
func want(t *testing.T, c *acme.Client, a *authority, o acme.Order) *acme.Issued {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	issued, err := c.Obtain(ctx, o)
	if err != nil {
		t.Fatalf("order %v: %v", o.Names, err)
	}
	pair, err := tls.X509KeyPair(issued.CertificatePEM, issued.PrivateKeyPEM)
	if err != nil {
		t.Fatalf("certificate of %v: %v", o.Names, err)
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for _, name := range o.Names {
		opts := x509.VerifyOptions{DNSName: strings.Replace(name, "*.", "any.", 1), Roots: a.issuer, Intermediates: between}
		if _, err := pair.Leaf.Verify(opts); err != nil {
			t.Errorf("certificate for %s: %v", name, err)
		}
	}
	if issued.Authority != a.directory {
		t.Errorf("issued by %s, want %s", issued.Authority, a.directory)
	}
	return issued
}

// TestEndpoints13_IssuedOverTheListeners: Pebble finds the proofs on the ports of
// endpoints, by HTTP and by TLS, though it refuses every second nonce.
func TestEndpoints13_IssuedOverTheListeners(t *testing.T) {
	t.Parallel()
	const nobody = 1 // a port that nobody listens on
	for kind, leave := range map[string]func(*places){
		"http-01":     func(p *places) { p.tls = nobody },
		"tls-alpn-01": func(p *places) { p.http = nobody },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			at := w.places
			leave(&at)
			a := newAuthority(t, at, time.Hour, nil)
			want(t, w.client(nil, a), a, acme.Order{Names: []string{"shop.example.com"}})
			url := fmt.Sprintf("http://127.0.0.1:%d/.well-known/acme-challenge/unknown", w.http)
			resp, err := http.Get(url) //nolint:noctx // bounded by the test
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				t.Errorf("an unknown token is answered with %d", resp.StatusCode)
			}
		})
	}
}

// TestF42_NextAuthority: an authority that is not there, and one that fails, are
// passed over.
func TestF42_NextAuthority(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := newAuthority(t, w.places, time.Hour, nil)
	failing, root := broken(t)
	c := w.client(func(cfg *acme.Config) {
		cfg.Directories = []string{dead(t), failing, a.directory}
		cfg.Roots.AddCert(root)
	}, a)
	want(t, c, a, acme.Order{Names: []string{"shop.example.com"}, RSA: true})
}

// TestF42_AccountLasts: the account serves the next process too, and one that the
// authority has forgotten is opened anew.
func TestF42_AccountLasts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := newAuthority(t, w.places, time.Hour, nil)
	order := acme.Order{Names: []string{"shop.example.com"}}
	want(t, w.client(nil, a), a, order)
	before, err := w.accounts.Load(t.Context(), a.directory+" admin@example.org")
	if err != nil || len(before) == 0 {
		t.Fatalf("kept account: %q, %v", before, err)
	}
	want(t, w.client(nil, a), a, order)
	after, err := w.accounts.Load(t.Context(), a.directory+" admin@example.org")
	if err != nil || string(after) != string(before) {
		t.Errorf("the second process has opened another account: %v", err)
	}
	// An authority that lost its memory, at the same address.
	fresh := newAuthority(t, w.places, time.Hour, nil)
	a.web.Config.Handler = fresh.web.Config.Handler
	a.issuer = fresh.issuer
	want(t, w.client(nil, a), a, order)
}

// TestACME_Binding: an authority that knows its customers issues to those alone
// who prove to be one.
func TestACME_Binding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const kid, key = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	a := newAuthority(t, w.places, time.Hour, map[string]string{kid: key})
	order := acme.Order{Names: []string{"shop.example.com"}}
	if _, err := w.client(nil, a).Obtain(t.Context(), order); err == nil {
		t.Fatal("a stranger got a certificate")
	}
	c := w.client(func(cfg *acme.Config) { cfg.Binding = &acme.Binding{KeyID: kid, Key: key} }, a)
	want(t, c, a, order)
}

// TestACME_DNS: wildcards are proven by records, which a program or a dynamic
// update writes and removes again.
func TestACME_DNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := newAuthority(t, places{dns: w.dns, http: 1, tls: 1}, time.Hour, nil)
	names := []string{"example.org", "*.example.org"}
	var none *acme.Error
	if _, err := w.client(nil, a).Obtain(t.Context(), acme.Order{Names: names}); !errors.As(err, &none) {
		t.Fatalf("without a way to write records: %v, want an acme.Error", err)
	}
	update := acme.Update{Server: w.dns, Key: strings.TrimSuffix(keyName, "."), Secret: keySecret}
	for what, how := range map[string]acme.DNS{"update": update, "program": program(t, w)} {
		want(t, w.client(func(cfg *acme.Config) { cfg.DNS = how }, a), a, acme.Order{Names: names})
		if left := w.names.left(); len(left) > 0 {
			t.Errorf("%s: records are left: %v", what, left)
		}
		if w.names.seen["_acme-challenge.example.org."] == 0 {
			t.Errorf("%s: no record was written", what)
		}
		clear(w.names.seen)
	}
	update.Secret = "d3Jvbmc="
	if err := update.Present(t.Context(), "_acme-challenge.example.org", "x"); err == nil {
		t.Error("an update with a wrong key succeeds")
	}
	// A name whose records lead elsewhere: the proof is written there.
	w.names.alias["_acme-challenge.shop.example.com."] = "x1.acme.example.org."
	update.Secret = keySecret
	c := w.client(func(cfg *acme.Config) { cfg.DNS = update }, a)
	want(t, c, a, acme.Order{Names: []string{"*.shop.example.com"}, Record: "x1.acme.example.org"})
}

// program is a script that tells the name server through files.
func program(t *testing.T, w *world) acme.DNS {
	t.Helper()
	dir := t.TempDir()
	path, queue := filepath.Join(dir, "dns"), filepath.Join(dir, "queue")
	if err := os.Mkdir(queue, 0o700); err != nil {
		t.Fatal(err)
	}
	// The script hands over the request as a file and waits for it to go away.
	script := "#!/bin/sh\nset -e\nf=\"" + queue + "/$$\"\nprintf '%s %s %s' \"$1\" \"$2\" \"$3\" > \"$f.new\"\nmv \"$f.new\" \"$f\"\nwhile [ -e \"$f\" ]; do sleep 0.05; done\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
			}
			files, _ := filepath.Glob(queue + "/*")
			for _, f := range files {
				if strings.HasSuffix(f, ".new") {
					continue
				}
				text, err := os.ReadFile(f)
				if err != nil {
					continue
				}
				var verb, name, value string
				_, _ = fmt.Sscan(string(text), &verb, &name, &value)
				w.names.set(name, value, verb == "present")
				_ = os.Remove(f)
			}
		}
	}()
	return acme.Program{Path: path, Env: []string{"PATH=/usr/bin:/bin"}}
}
