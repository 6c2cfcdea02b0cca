package control_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// pairUntil makes a certificate for a name that is valid until then, and its key.
func pairUntil(t *testing.T, name string, until time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotBefore: until.Add(-365 * 24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// logged is a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// certificates are the resources about certificates over a database, and what is served of them.
type certificates struct {
	t      *testing.T
	dir    string
	shared *control.Shared
	keys   *vault.Vault
	live   *control.Certificates
	issues *control.Issuance
	log    *logged
}

var ofBase = control.DomainsConfig{Domains: []string{"example.com"}}

func newCertificates(t *testing.T) *certificates {
	t.Helper()
	c := &certificates{t: t, dir: t.TempDir(), log: &logged{}}
	db, keys := openDir(t, c.dir)
	c.keys = keys
	c.live = control.NewCertificates(keys, slog.New(slog.NewTextHandler(c.log, nil)), ofBase)
	c.shared = &control.Shared{Store: db, Now: time.Now, Settle: func(context.Context, store.Revision) error { return c.load() }}
	c.issues = control.NewIssuance(c.shared, keys, ofBase)
	return c
}

// load has the copy follow the database.
func (c *certificates) load() error {
	_, err := c.shared.Store.View(context.Background(), c.live.Load)
	return err
}

// domain reserves a name with an uploaded certificate and returns their ids.
func (c *certificates) domain(name string, until time.Time) (domain, cert string) {
	c.t.Helper()
	caller := owner
	text, key := pairUntil(c.t, name, until)
	body, err := json.Marshal(map[string]string{"certificate_pem": text, "private_key_pem": key})
	if err != nil {
		c.t.Fatal(err)
	}
	uploaded, err := control.NewTLSCertificates(c.shared, c.keys).Create(c.t.Context(), &caller, body)
	if err != nil {
		c.t.Fatal(err)
	}
	cert = uploaded.(*api.TLSCertificate).ID
	d, err := control.NewDomains(c.shared, free{}, ofBase).Create(c.t.Context(), &caller, fmt.Appendf(nil, `{"domain":%q,"certificate_id":%q}`, name, cert))
	if err != nil {
		c.t.Fatal(err)
	}
	return d.(*api.Domain).ID, cert
}

// TestAPI40_WarningsOfExpiry come at 21 and at 7 days, and when it is too late, once each.
func TestAPI40_WarningsOfExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		c := newCertificates(t)
		_, soon := c.domain("soon.example.org", time.Now().Add(30*day))
		c.domain("later.example.org", time.Now().Add(300*day))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.live.Run(ctx) }()
		for _, tt := range []struct {
			sleep        time.Duration
			warns, fails int
		}{{0, 0, 0}, {8 * day, 0, 0}, {2 * day, 1, 0}, {10 * day, 1, 0}, {5 * day, 2, 0}, {4 * day, 2, 0}, {2 * day, 2, 1}, {30 * day, 2, 1}} {
			time.Sleep(tt.sleep) // of the bubble
			synctest.Wait()
			text := c.log.String()
			if warns, fails := strings.Count(text, "expires soon"), strings.Count(text, "has expired"); warns != tt.warns || fails != tt.fails {
				t.Errorf("%s later: %d warnings and %d errors, want %d and %d in\n%s", tt.sleep, warns, fails, tt.warns, tt.fails, text)
			}
		}
		if text := c.log.String(); strings.Count(text, soon) != 3 || strings.Count(text, "domain=soon.example.org") != 3 {
			t.Errorf("the log does not say which certificate of which domain:\n%s", text)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestK04_KeysOfCertificates: they are sealed in the database, sealed anew by a rotation, and missed when the key file
// is another one.
func TestK04_KeysOfCertificates(t *testing.T) {
	t.Parallel()
	c := newCertificates(t)
	id, cert := c.domain("shop.example.org", time.Now().Add(time.Hour))
	path := filepath.Join(c.dir, vault.File)
	if err := vault.Rotate(path); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := control.Rewrap(t.Context(), c.shared.Store, v); err != nil || n != 1 {
		t.Errorf("Rewrap = %d, %v, want the key of the certificate", n, err)
	}
	if err := vault.DropOld(path); err != nil {
		t.Fatal(err)
	}
	if v, err = vault.Open(c.dir); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		keys *vault.Vault
		want bool
	}{"the new key": {v, true}, "a key of another server": {newVault(t), false}} {
		log := &logged{}
		live := control.NewCertificates(tt.keys, slog.New(slog.NewTextHandler(log, nil)), ofBase)
		if _, err := c.shared.Store.View(t.Context(), live.Load); err != nil {
			t.Fatal(err)
		}
		if got := live.Certificate("shop.example.org") != nil; got != tt.want || strings.Contains(log.String(), "cannot be opened") == tt.want {
			t.Errorf("with %s: served %t, want %t; log: %s", what, got, tt.want, log)
		}
	}
	_, err = c.shared.Store.View(t.Context(), func(tx store.Tx) error {
		r, err := tx.Get("tls_certificate", cert)
		if err == nil && bytes.Contains(r.Body, []byte("PRIVATE KEY")) {
			t.Errorf("the database holds the key: %s", r.Body)
		}
		return err
	})
	if err != nil {
		t.Error(err, id)
	}
}

// TestUnreadableCertificates: what cannot be read any more is served as it was, and can be deleted.
func TestUnreadableCertificates(t *testing.T) {
	t.Parallel()
	c := newCertificates(t)
	domain, cert := c.domain("shop.example.org", time.Now().Add(time.Hour))
	served := c.live.Certificate("shop.example.org")
	if served == nil {
		t.Fatal("it is not served")
	}
	for kind, id := range map[string]string{"reserved_domain": domain, "tls_certificate": cert} {
		if _, err := c.shared.Store.Update(t.Context(), func(tx store.Tx) error {
			r, err := tx.Get(kind, id)
			if err != nil {
				return err
			}
			r.Body = []byte(`{"domain":7,"certificate_pem":7}`)
			return tx.Put(r)
		}); err != nil {
			t.Fatal(err)
		}
	}
	changes := []store.Change{{Kind: "reserved_domain", ID: domain, Account: owner.Account}, {Kind: "tls_certificate", ID: cert, Account: owner.Account}}
	for what, follow := range map[string]func(store.Tx) error{
		"load": c.live.Load, "apply": func(tx store.Tx) error { return c.live.Apply(tx, changes) },
	} {
		_, err := c.shared.Store.View(t.Context(), follow)
		if bad, _ := err.(store.Unreadable); len(bad) != 2 { //nolint:errorlint // as followers see it
			t.Errorf("%s: %v, want the two", what, err)
		}
		if c.live.Certificate("shop.example.org") != served {
			t.Errorf("%s: it is not served as it was", what)
		}
	}
	caller := owner
	certs := control.NewTLSCertificates(c.shared, c.keys)
	if err := control.NewDomains(c.shared, free{}, ofBase).Delete(t.Context(), &caller, domain); err != nil {
		t.Errorf("delete the domain: %v", err)
	}
	if err := certs.Delete(t.Context(), &caller, cert); err != nil {
		t.Errorf("delete the certificate: %v", err)
	}
	if c.live.Certificate("shop.example.org") != nil {
		t.Error("it is still served")
	}
}

// TestF42_IssuedForTheServer are not served any more when they have expired: there is another certificate for names
// under a base domain.
func TestF42_IssuedForTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCertificates(t)
		cert, key := pairUntil(t, "app.example.com", time.Now().Add(time.Hour))
		is := control.Issue{Name: "app.example.com", CertificatePEM: cert, PrivateKeyPEM: vault.Secret(key), IssuedAt: time.Now(), RenewsAt: time.Now()}
		if err := c.issues.Issued(t.Context(), is); err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{true, false} {
			if got := c.live.Certificate("app.example.com") != nil; got != want {
				t.Errorf("served %t, want %t", got, want)
			}
			time.Sleep(time.Hour) // of the bubble
		}
	})
}

// free lets everybody have every name.
type free struct{}

func (free) Intend(string, string, string) error       { return nil }
func (free) Withdraw(string)                           {}
func (free) StoredBelow(string, string) []endpoint.URL { return nil }
