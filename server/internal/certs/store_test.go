package certs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/certs"
)

func open(t testing.TB, cfg certs.Config) *certs.Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := certs.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// roots is a pool with the CA of a store alone.
func roots(t testing.TB, s *certs.Store) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("CAPEM is no certificate")
	}
	return p
}

// handshake connects to a server with cfg and returns the client's view.
func handshake(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	defer a.Close()
	defer b.Close()
	var wg sync.WaitGroup
	wg.Go(func() { _ = tls.Server(a, server).HandshakeContext(context.Background()) })
	defer wg.Wait()
	c := tls.Client(b, client)
	err := c.HandshakeContext(context.Background())
	if err != nil {
		_ = b.Close()
	}
	return c.ConnectionState(), err
}

func TestLeavesVerify(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"culvert.localhost", "tunnel.example.com", "deep.tunnel.example.com", "single"}})
	tests := []struct {
		name string
		want []string
	}{
		{"culvert.localhost", []string{"culvert.localhost", "*.culvert.localhost"}},
		{"app.culvert.localhost", []string{"culvert.localhost", "*.culvert.localhost"}},
		{"a.app.culvert.localhost", []string{"*.app.culvert.localhost"}},
		{"x.tunnel.example.com", []string{"tunnel.example.com", "*.tunnel.example.com"}},
		{"x.deep.tunnel.example.com", []string{"deep.tunnel.example.com", "*.deep.tunnel.example.com"}},
		{"single", []string{"single"}},
		{"app.single", []string{"app.single"}},
		{"a.app.single", []string{"*.app.single"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := s.GetCertificate(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(c.Leaf.DNSNames); got != fmt.Sprint(tt.want) {
				t.Errorf("names %s, want %v", got, tt.want)
			}
			if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: tt.name, Roots: roots(t, s)}); err != nil {
				t.Errorf("does not verify: %v", err)
			}
		})
	}
}

// TestEndpoints14_ForeignNamesGetTheDefault serves reserved names before they have a certificate (api.md 4.2).
func TestEndpoints14_ForeignNamesGetTheDefault(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"tunnel.example.com"}})
	for _, name := range []string{"example.com", "nottunnel.example.com", "example.org", "localhost"} {
		c, err := s.GetCertificate(name)
		if err != nil || !slices.Equal(c.Leaf.DNSNames, []string{"tunnel.example.com", "*.tunnel.example.com"}) {
			t.Errorf("%q: got %v, want the base domain's certificate", name, err)
		}
	}
}

func TestLeafIsSignedOnce(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"tunnel.example.com"}})
	got := make([]*tls.Certificate, 20)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], _ = s.GetCertificate(fmt.Sprintf("n%d.tunnel.example.com", i)) })
	}
	wg.Wait()
	for i := range got {
		if got[i] == nil || got[i] != got[0] {
			t.Fatal("names under one wildcard got different certificates")
		}
	}
}

func TestLeafIsSignedAnewInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, certs.Config{Domains: []string{"tunnel.example.com"}})
		first, err := s.GetCertificate("tunnel.example.com")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * 24 * time.Hour)
		if c, _ := s.GetCertificate("tunnel.example.com"); c != first {
			t.Error("signed anew with more than a third of its life left")
		}
		time.Sleep(2 * 24 * time.Hour)
		c, err := s.GetCertificate("tunnel.example.com")
		if err != nil || !c.Leaf.NotAfter.After(first.Leaf.NotAfter) {
			t.Errorf("after 61 days: got %v, want a new leaf", err)
		}
	})
}

func TestLeavesAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"tunnel.example.com"}})
	first, _ := s.GetCertificate("a.n.tunnel.example.com")
	kept, _ := s.GetCertificate("a.kept.tunnel.example.com")
	for i := range 4100 {
		if _, err := s.GetCertificate(fmt.Sprintf("a.n%d.tunnel.example.com", i)); err != nil {
			t.Fatal(err)
		}
		if c, _ := s.GetCertificate("a.kept.tunnel.example.com"); c != kept {
			t.Fatal("a leaf in use was driven out")
		}
	}
	if again, _ := s.GetCertificate("a.n.tunnel.example.com"); again == first {
		t.Error("the oldest leaf is still there after 4100 others")
	}
}

func TestAgentTLS(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"culvert.localhost", "example.com"}, AgentHost: "gateway.example.net"})
	byIP := open(t, certs.Config{Domains: []string{"culvert.localhost"}, AgentHost: "192.0.2.7"})
	tests := []struct {
		store *certs.Store
		name  string
		want  bool
	}{
		{s, "connect.culvert.localhost", true},
		{s, "connect.example.com", true},
		{s, "localhost", true},
		{s, "127.0.0.1", true},
		{s, "::1", true},
		{s, "gateway.example.net", true},
		{s, "192.0.2.7", false},
		{s, "example.net", false},
		{byIP, "192.0.2.7", true},
	}
	for _, tt := range tests {
		// For an address crypto/tls sends no server name.
		state, err := handshake(t, tt.store.AgentTLS(), &tls.Config{ServerName: tt.name, RootCAs: roots(t, tt.store)})
		if (err == nil) != tt.want {
			t.Errorf("%s: handshake ends with %v, want success %t", tt.name, err, tt.want)
			continue
		}
		if err != nil {
			continue
		}
		last := state.PeerCertificates[len(state.PeerCertificates)-1]
		sum := sha256.Sum256(last.Raw)
		if got := "sha256:" + hex.EncodeToString(sum[:]); got != tt.store.Fingerprint() {
			t.Errorf("%s: the last certificate sent is %s, want the CA %s", tt.name, got, tt.store.Fingerprint())
		}
		if state.CurveID != tls.X25519MLKEM768 {
			t.Errorf("%s: key exchange %v, want the hybrid", tt.name, state.CurveID)
		}
	}
}

// sign issues a certificate with the key of the CA in dir, as a thief would.
func sign(t *testing.T, dir string, tmpl *x509.Certificate) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	var ca *x509.Certificate
	var key *ecdsa.PrivateKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			ca, err = x509.ParseCertificate(block.Bytes)
		} else if k, kerr := x509.ParsePKCS8PrivateKey(block.Bytes); kerr == nil {
			key = k.(*ecdsa.PrivateKey)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tmpl.SerialNumber = big.NewInt(1)
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestK08_CAIsConstrained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, certs.Config{Dir: dir, Domains: []string{"tunnel.example.com"}})
	tests := []struct {
		name, verify string
		tmpl         *x509.Certificate
		want         bool
	}{
		{"under the base domain", "a.b.tunnel.example.com", &x509.Certificate{DNSNames: []string{"a.b.tunnel.example.com"}}, true},
		{"localhost", "localhost", &x509.Certificate{DNSNames: []string{"localhost"}}, true},
		{"loopback", "127.0.0.1", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1).To4()}}, true},
		{"parent of the base domain", "example.com", &x509.Certificate{DNSNames: []string{"example.com"}}, false},
		{"wildcard beside it", "x.example.com", &x509.Certificate{DNSNames: []string{"*.example.com"}}, false},
		{"elsewhere", "bank.example", &x509.Certificate{DNSNames: []string{"bank.example"}}, false},
		{"elsewhere as well", "tunnel.example.com", &x509.Certificate{DNSNames: []string{"tunnel.example.com", "bank.example"}}, false},
		{"other loopback", "127.0.0.2", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 2).To4()}}, false},
		{"other address", "192.0.2.7", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7).To4()}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := sign(t, dir, tt.tmpl).Verify(x509.VerifyOptions{DNSName: tt.verify, Roots: roots(t, s)})
			if (err == nil) != tt.want {
				t.Errorf("verification ends with %v, want success %t", err, tt.want)
			}
			var inv x509.CertificateInvalidError
			if !tt.want && (!errors.As(err, &inv) || inv.Reason != x509.CANotAuthorizedForThisName) {
				t.Errorf("refused with %v, want the name constraints as reason", err)
			}
		})
	}
	block, _ := pem.Decode(s.CAPEM())
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !ca.PermittedDNSDomainsCritical || !ca.MaxPathLenZero || ca.MaxPathLen != 0 {
		t.Errorf("CA: %v; want critical constraints and no CA below it", err)
	}
}

func TestK08_FilesOfTheCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := certs.Config{Dir: dir, Domains: []string{"culvert.localhost"}}
	first := open(t, cfg)
	info, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode of the key file: %v, %v; want 0600", info.Mode(), err)
	}
	if again := open(t, cfg); again.Fingerprint() != first.Fingerprint() {
		t.Error("the second start made another CA")
	}
	text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || string(text) != string(first.CAPEM()) || strings.Contains(string(text), "PRIVATE") {
		t.Errorf("ca.pem holds %q, %v; want the certificate alone", text, err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
	if again, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || string(again) != string(text) {
		t.Errorf("ca.pem was not written again: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestChangedDomains(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		first, then certs.Config
		wantNew     bool
	}{
		{"same", certs.Config{Domains: []string{"a.example"}}, certs.Config{Domains: []string{"a.example"}}, false},
		{"below", certs.Config{Domains: []string{"a.example"}}, certs.Config{Domains: []string{"b.a.example"}}, false},
		{"localhost covers its names", certs.Config{Domains: []string{"a.localhost"}}, certs.Config{Domains: []string{"b.localhost"}}, false},
		{"fewer", certs.Config{Domains: []string{"a.example", "b.example"}}, certs.Config{Domains: []string{"b.example"}}, false},
		{"other", certs.Config{Domains: []string{"a.example"}}, certs.Config{Domains: []string{"b.example"}}, true},
		{"one more", certs.Config{Domains: []string{"a.example"}}, certs.Config{Domains: []string{"a.example", "b.example"}}, true},
		{"above", certs.Config{Domains: []string{"b.a.example"}}, certs.Config{Domains: []string{"a.example"}}, true},
		{"host of agents", certs.Config{Domains: []string{"a.example"}}, certs.Config{Domains: []string{"a.example"}, AgentHost: "gw.example"}, true},
		{"address of agents", certs.Config{Domains: []string{"a.example"}}, certs.Config{Domains: []string{"a.example"}, AgentHost: "192.0.2.7"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.first.Dir, tt.then.Dir = dir, dir
			first := open(t, tt.first)
			var log strings.Builder
			tt.then.Logger = slog.New(slog.NewTextHandler(&log, nil))
			then := open(t, tt.then)
			if got := then.Fingerprint() != first.Fingerprint(); got != tt.wantNew {
				t.Errorf("new CA: %t, want %t", got, tt.wantNew)
			}
			if got := strings.Contains(log.String(), "level=WARN"); got != tt.wantNew {
				t.Errorf("warned: %t, want %t; log: %s", got, tt.wantNew, log.String())
			}
			for _, d := range tt.then.Domains {
				c, err := then.GetCertificate("app." + d)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: "app." + d, Roots: roots(t, then)}); err != nil {
					t.Errorf("app.%s does not verify: %v", d, err)
				}
			}
		})
	}
}

func TestOldCAIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := certs.Config{Dir: t.TempDir(), Domains: []string{"a.example"}}
		first := open(t, cfg).Fingerprint()
		time.Sleep(9 * 365 * 24 * time.Hour)
		if open(t, cfg).Fingerprint() != first {
			t.Error("replaced a year before its end")
		}
		time.Sleep(200 * 24 * time.Hour)
		if open(t, cfg).Fingerprint() == first {
			t.Error("not replaced half a year before its end")
		}
	})
}

func TestDamagedCAIsRefused(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	open(t, certs.Config{Dir: other, Domains: []string{"a.example"}})
	foreign, err := os.ReadFile(filepath.Join(other, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, secret string) error
		want   fault.Code
	}{
		{"key file gone", func(_ *testing.T, f string) error { return os.Remove(f) }, fault.CAUnusable},
		{"empty", func(_ *testing.T, f string) error { return os.WriteFile(f, nil, 0o600) }, fault.CAUnusable},
		{"cut", func(_ *testing.T, f string) error { return os.Truncate(f, 300) }, fault.CAUnusable},
		{"readable by others", func(_ *testing.T, f string) error { return os.Chmod(f, 0o640) }, fault.SecretFileMode},
		{"foreign certificate", func(t *testing.T, f string) error {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			_, key := pem.Decode(text)
			return os.WriteFile(f, append(foreign, key...), 0o600)
		}, fault.CAUnusable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := certs.Config{Dir: t.TempDir(), Domains: []string{"a.example"}}
			open(t, cfg)
			if err := tt.damage(t, filepath.Join(cfg.Dir, "ca-key.pem")); err != nil {
				t.Fatal(err)
			}
			_, err := certs.Open(cfg)
			if !fault.Has(err, tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDirectoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	_, err := certs.Open(certs.Config{Dir: filepath.Join(t.TempDir(), "missing"), Domains: []string{"a.example"}})
	if !fault.Has(err, fault.DataDirUnusable) {
		t.Errorf("got %v, want %s", err, fault.DataDirUnusable)
	}
}

// pair writes a certificate for name, and returns the paths of its files.
func pair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	src := t.TempDir()
	s := open(t, certs.Config{Dir: src, Domains: []string{name}})
	c, err := s.GetCertificate(name)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := pair(t, dir, "mine.example")
	s := open(t, certs.Config{Dir: dir, Domains: []string{"a.example"}, CertFile: cert, KeyFile: key})
	for _, name := range []string{"mine.example", "app.a.example", "other.example"} {
		c, err := s.GetCertificate(name)
		if err != nil || c.Leaf.DNSNames[0] != "mine.example" {
			t.Errorf("%s: got %v, want the one of the files", name, err)
		}
	}
	if s.Fingerprint() != "" || s.CAPEM() != nil {
		t.Error("there is a CA besides the files")
	}
	if _, err := os.Stat(filepath.Join(dir, "ca-key.pem")); err == nil {
		t.Error("a CA was made besides the files")
	}
	state, err := handshake(t, s.AgentTLS(), &tls.Config{InsecureSkipVerify: true})
	if err != nil || state.PeerCertificates[0].DNSNames[0] != "mine.example" {
		t.Errorf("agents get %v, want the certificate of the files", err)
	}
}

func TestD7_ChangedFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cert, key := pair(t, dir, "old.example")
		var log strings.Builder
		s := open(t, certs.Config{CertFile: cert, KeyFile: key, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		name := func() string {
			c, err := s.GetCertificate("x.example")
			if err != nil {
				t.Fatal(err)
			}
			return c.Leaf.DNSNames[0]
		}
		if err := os.WriteFile(cert, []byte("half a cer"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if got := name(); got != "old.example" || !strings.Contains(log.String(), "the old one stays") {
			t.Errorf("while the files are broken: %s; log: %s", got, log.String())
		}
		pair(t, dir, "new.example")
		if got := name(); got != "old.example" {
			t.Errorf("looked at the files at every call: %s", got)
		}
		time.Sleep(6 * time.Second)
		if got := name(); got != "new.example" {
			t.Errorf("after the change: %s", got)
		}
	})
}

func TestBadCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := pair(t, dir, "a.example")
	_, otherKey := pair(t, t.TempDir(), "a.example")
	for _, files := range [][2]string{{cert, ""}, {"", key}, {cert, filepath.Join(dir, "none")}, {key, cert}, {cert, otherKey}} {
		if _, err := certs.Open(certs.Config{CertFile: files[0], KeyFile: files[1]}); !fault.Has(err, fault.ServerCertificate) {
			t.Errorf("%v: got %v, want %s", files, err, fault.ServerCertificate)
		}
	}
}

// TestOpenSSLVerifies asks OpenSSL, whose rules for wildcards and constraints
// are its own.
func TestOpenSSLVerifies(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	s := open(t, certs.Config{Dir: dir, Domains: []string{"culvert.localhost"}})
	write := func(name string, der []byte) string {
		f := filepath.Join(dir, name+".crt")
		if err := os.WriteFile(f, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, name := range []string{"culvert.localhost", "app.culvert.localhost", "a.b.culvert.localhost"} {
		c, err := s.GetCertificate(name)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "verify", "-x509_strict", "-CAfile", filepath.Join(dir, "ca.pem"),
			"-verify_hostname", name, "-purpose", "sslserver", write(name, c.Leaf.Raw)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	evil := sign(t, dir, &x509.Certificate{DNSNames: []string{"bank.example"}})
	out, err := exec.CommandContext(t.Context(), program, "verify", "-CAfile", filepath.Join(dir, "ca.pem"), write("evil", evil.Raw)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "permitted subtree violation") {
		t.Errorf("bank.example: %v, want a violation of the constraints\n%s", err, out)
	}
}

// TestAgentsGetThePolicyOfAll: what clients may not use with the public, agents
// may not use either.
func TestAgentsGetThePolicyOfAll(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"a.example"}})
	for name, tt := range map[string]struct {
		client *tls.Config
		want   bool
	}{
		"1.3 hybrid":  {&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}, true},
		"1.2":         {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"1.1":         {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"1.2 CBC":     {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		"P-521 alone": {&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}, false},
	} {
		tt.client.RootCAs, tt.client.ServerName = roots(t, s), "connect.a.example"
		if _, err := handshake(t, s.AgentTLS(), tt.client); (err == nil) != tt.want {
			t.Errorf("%s: handshake ends with %v, want success %t", name, err, tt.want)
		}
	}
}

// TestT14_TicketsForTLS13Only: a ticket of TLS 1.2 would undo forward secrecy
// for as long as its key is kept.
func TestT14_TicketsForTLS13Only(t *testing.T) {
	t.Parallel()
	s := open(t, certs.Config{Domains: []string{"a.example"}})
	for version, want := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			server := s.AgentTLS()
			client := &tls.Config{
				RootCAs: roots(t, s), ServerName: "connect.a.example", MaxVersion: version,
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			resumed := false
			for range 2 {
				a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
				var wg sync.WaitGroup
				wg.Go(func() {
					defer a.Close()
					_, _ = io.WriteString(tls.Server(a, server), "x") // and a ticket
				})
				c := tls.Client(b, client)
				if _, err := io.ReadAll(io.LimitReader(c, 1)); err != nil {
					t.Error(err)
				}
				resumed = c.ConnectionState().DidResume
				wg.Wait()
				_ = b.Close()
			}
			if resumed != want {
				t.Errorf("second session resumed: got %t, want %t", resumed, want)
			}
		})
	}
}

// TestReload: other files are in force at once, and those that cannot be used
// change nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	write := func() (certFile, keyFile string) {
		dir := t.TempDir()
		s, err := certs.Open(certs.Config{Dir: dir, Domains: []string{"a.test"}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.GetCertificate("x.a.test")
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		certFile, keyFile = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
		for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return certFile, keyFile
	}
	oldCert, oldKey := write()
	newCert, newKey := write()
	s, err := certs.Open(certs.Config{CertFile: oldCert, KeyFile: oldKey})
	if err != nil {
		t.Fatal(err)
	}
	serving := func() string {
		c, err := s.GetCertificate("x.a.test")
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.String()
	}
	was := serving()
	if err := s.Reload(newCert, oldKey); !fault.Has(err, fault.ServerCertificate) || serving() != was {
		t.Errorf("files that do not belong together: got %v", err)
	}
	if err := s.Reload(newCert, newKey); err != nil || serving() == was {
		t.Errorf("other files: got %v, changed %v", err, serving() != was)
	}
}
