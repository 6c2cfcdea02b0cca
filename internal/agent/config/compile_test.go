package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// certificates writes cert.pem, key.pem and ca.pem, all of one self-signed
// certificate, and other.pem, an unrelated key, into a new folder.
func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"key.pem", "other.pem"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		put(name, "PRIVATE KEY", der)
		if name != "key.pem" {
			continue
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"h.example"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
		if der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
			t.Fatal(err)
		}
		put("cert.pem", "CERTIFICATE", der)
		put("ca.pem", "CERTIFICATE", der)
	}
	return dir
}

func base(kind endpoint.Scheme, upstream string) config.Definition {
	return config.Definition{Name: "x", Kind: kind, Upstream: upstream}
}

func one(t *testing.T, d config.Definition) config.Spec {
	t.Helper()
	specs, issues := d.Compile()
	if len(issues) > 0 || len(specs) != 1 {
		t.Fatalf("Compile(%+v): %d specs, issues %v", d, len(specs), issues)
	}
	return specs[0]
}

func TestURLsByVerb(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind      endpoint.Scheme
		url, want string
		code      fault.Code
	}{
		{endpoint.HTTP, "", "https://", ""},
		{endpoint.HTTP, "App.Example.com", "https://app.example.com", ""},
		{endpoint.HTTP, "http://app.example.com", "http://app.example.com", ""},
		{endpoint.TCP, "1.tcp.example:12345", "tcp://1.tcp.example:12345", ""},
		{endpoint.TCP, "", "tcp://", ""},
		{endpoint.TLS, "app.example.com", "tls://app.example.com", ""},
		{"", "app.example.com", "https://app.example.com", ""},
		{"", "tls://", "tls://", ""},
		{endpoint.HTTP, "tcp://x:1", "", fault.SchemeRefused},
		{endpoint.TCP, "https://x", "", fault.SchemeRefused},
		{endpoint.TCP, "tcp://x", "", fault.PortMissing},
		{endpoint.HTTP, "https://x/", "", fault.URLTrailingSlash},
		{endpoint.HTTP, "https://a_b.example", "", fault.HostUnderscore},
		{endpoint.HTTP, "https://a.internal", "https://a.internal", ""},
		{endpoint.TCP, "db.internal:22", "tcp://db.internal:22", ""},
	}
	for _, tt := range tests {
		d := base(tt.kind, "80")
		d.URL = tt.url
		specs, issues := d.Compile()
		if tt.code != "" {
			if len(issues) == 0 || !fault.Has(issues[0].Err, tt.code) {
				t.Errorf("%s %q: %v, want %s", tt.kind, tt.url, issues, tt.code)
			}
			continue
		}
		if len(issues) > 0 || specs[0].URL.String() != tt.want {
			t.Errorf("%s %q = %v, %v, want %s", tt.kind, tt.url, specs, issues, tt.want)
		}
	}
}

func TestTermination(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	tests := []struct {
		name   string
		edit   func(*config.Definition)
		agent  bool // terminated at the agent
		edge   bool // settings for the edge
		client bool // clients are verified
		code   fault.Code
	}{
		{name: "passthrough", edit: func(*config.Definition) {}},
		{name: "pair means agent", edit: func(d *config.Definition) { d.Certificate, d.Key = "cert.pem", "key.pem" }, agent: true},
		{name: "agent with clients", edit: func(d *config.Definition) {
			d.Certificate, d.Key, d.ClientCAs = "cert.pem", "key.pem", []string{"ca.pem"}
		}, agent: true, client: true},
		{name: "agent without pair", edit: func(d *config.Definition) { d.TerminateAt = "agent" }, code: fault.CertificatePair},
		{name: "edge", edit: func(d *config.Definition) { d.TerminateAt = "edge" }, edge: true},
		{name: "edge with pair and clients", edit: func(d *config.Definition) {
			d.TerminateAt, d.Certificate, d.Key, d.ClientCAs = "edge", "cert.pem", "key.pem", []string{"ca.pem"}
		}, edge: true, client: true},
		{name: "clients of a passthrough", edit: func(d *config.Definition) { d.ClientCAs = []string{"ca.pem"} }, code: fault.ValueInvalid},
		{name: "upstream with pair", edit: func(d *config.Definition) {
			d.TerminateAt, d.Certificate, d.Key = "upstream", "cert.pem", "key.pem"
		}, code: fault.OptionConflict},
		{name: "odd place", edit: func(d *config.Definition) { d.TerminateAt = "moon" }, code: fault.ValueInvalid},
		{name: "half a pair", edit: func(d *config.Definition) { d.Certificate = "cert.pem" }, code: fault.CertificatePair},
		{name: "wrong key", edit: func(d *config.Definition) { d.Certificate, d.Key = "cert.pem", "other.pem" }, code: fault.CertificatePair},
		{name: "missing file", edit: func(d *config.Definition) { d.Certificate, d.Key = "none.pem", "key.pem" }, code: fault.CertificatePair},
		{name: "https with clients", edit: func(d *config.Definition) { d.Kind, d.ClientCAs = endpoint.HTTP, []string{"ca.pem"} }, edge: true, client: true},
		{name: "http with clients", edit: func(d *config.Definition) {
			d.Kind, d.ClientCAs, d.Schemes = endpoint.HTTP, []string{"ca.pem"}, []string{"https", "http"}
		}, code: fault.ValueInvalid},
		{name: "https with pair", edit: func(d *config.Definition) {
			d.Kind, d.Certificate, d.Key = endpoint.HTTP, "cert.pem", "key.pem"
		}, code: fault.ValueInvalid},
		{name: "CA file without CA", edit: func(d *config.Definition) { d.Kind, d.ClientCAs = endpoint.HTTP, []string{"key.pem"} }, code: fault.CAFileInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := base(endpoint.TLS, "80")
			d.Dir = dir
			tt.edit(&d)
			specs, issues := d.Compile()
			if tt.code != "" {
				if len(issues) == 0 || !fault.Has(issues[0].Err, tt.code) {
					t.Fatalf("issues %v, want %s", issues, tt.code)
				}
				return
			}
			if len(issues) > 0 {
				t.Fatal(issues)
			}
			s := specs[0]
			if (s.AgentTLS != nil) != tt.agent || (s.EdgeTLS != nil) != tt.edge {
				t.Errorf("agent %v, edge %v; want %v, %v", s.AgentTLS != nil, s.EdgeTLS != nil, tt.agent, tt.edge)
			}
			client := (s.AgentTLS != nil && s.AgentTLS.ClientAuth == tls.RequireAndVerifyClientCert && s.AgentTLS.ClientCAs != nil) ||
				(s.EdgeTLS != nil && len(s.EdgeTLS.ClientCAs) > 0)
			if client != tt.client {
				t.Errorf("clients verified %v, want %v", client, tt.client)
			}
		})
	}
}

func TestAgent12_UpstreamVerification(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	d := base(endpoint.HTTP, "https://app.lan")
	d.Dir = dir
	if s := one(t, d); s.UpstreamTLS == nil || !s.UpstreamTLS.InsecureSkipVerify || s.UpstreamTLS.ServerName != "app.lan" {
		t.Errorf("default: %+v, want no verification and the upstream's name", s.UpstreamTLS)
	}
	d.TLSVerify = true
	if s := one(t, d); s.UpstreamTLS.InsecureSkipVerify || s.UpstreamTLS.RootCAs != nil {
		t.Error("tls_verify: want verification by the host's store")
	}
	d.TLSVerify, d.TLSVerifyCAs = false, "ca.pem"
	if s := one(t, d); s.UpstreamTLS.InsecureSkipVerify || s.UpstreamTLS.RootCAs == nil {
		t.Error("a CA file alone: want verification by it")
	}
	d.Protocol = "http2"
	if s := one(t, d); len(s.UpstreamTLS.NextProtos) != 1 || s.UpstreamTLS.NextProtos[0] != "h2" {
		t.Errorf("http2: ALPN %v, want h2", s.UpstreamTLS.NextProtos)
	}
	d.Upstream = "http://app.lan"
	if _, issues := d.Compile(); len(issues) != 1 || !fault.Has(issues[0].Err, fault.ValueInvalid) {
		t.Errorf("verification of a plain upstream: %v, want a refusal", issues)
	}
	tlsThrough := base(endpoint.TLS, "tls://db:5432")
	if s := one(t, tlsThrough); s.UpstreamTLS != nil {
		t.Error("passthrough to a tls:// upstream got a second layer of TLS")
	}
	tlsThrough.TerminateAt = "edge"
	if s := one(t, tlsThrough); s.UpstreamTLS == nil {
		t.Error("a terminated endpoint does not speak TLS to its tls:// upstream")
	}
	if s := one(t, base(endpoint.TCP, "tls://db:5432")); s.UpstreamTLS == nil {
		t.Error("a tcp endpoint does not speak TLS to its tls:// upstream")
	}
}

func TestOtherOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*config.Definition)
		code fault.Code // "" is fine
	}{
		{"subdomain", func(d *config.Definition) { d.Subdomain = "app" }, ""},
		{"subdomain and URL", func(d *config.Definition) { d.Subdomain, d.URL = "app", "https://x.example" }, fault.OptionConflict},
		{"subdomain and scheme", func(d *config.Definition) { d.Subdomain, d.Schemes = "app", []string{"http"} }, ""},
		{"bad subdomain", func(d *config.Definition) { d.Subdomain = "a_b" }, fault.HostUnderscore},
		{"scheme and URL", func(d *config.Definition) { d.Schemes, d.URL = []string{"http"}, "https://x.example" }, fault.OptionConflict},
		{"odd scheme", func(d *config.Definition) { d.Schemes = []string{"ftp"} }, fault.ValueInvalid},
		{"odd protocol", func(d *config.Definition) { d.Protocol = "spdy" }, fault.UpstreamProtocol},
		{"odd PROXY version", func(d *config.Definition) { d.ProxyProtocol = "3" }, fault.ValueInvalid},
		{"host header", func(d *config.Definition) { d.HostHeader = "app.lan:80" }, ""},
		{"odd host header", func(d *config.Definition) { d.HostHeader = "a\r\nX: y" }, fault.ValueInvalid},
		{"host header and PROXY", func(d *config.Definition) { d.HostHeader, d.ProxyProtocol = "rewrite", "1" }, fault.OptionConflict},
		{"host header of tcp", func(d *config.Definition) { d.Kind, d.HostHeader = endpoint.TCP, "rewrite" }, fault.ValueInvalid},
		{"two bindings", func(d *config.Definition) { d.Bindings = []string{"public", "internal"} }, fault.BindingInvalid},
		{"public", func(d *config.Definition) { d.Bindings = []string{"public"} }, ""},
		{"internal", func(d *config.Definition) { d.Bindings, d.URL = []string{"internal"}, "https://a.internal" }, ""},
		{"internal without a name", func(d *config.Definition) { d.Bindings = []string{"internal"} }, fault.InternalNoHost},
		{"public under an internal name", func(d *config.Definition) { d.Bindings, d.URL = []string{"public"}, "https://a.internal" }, fault.PublicInternal},
		{"internal under a public name", func(d *config.Definition) { d.Bindings, d.URL = []string{"internal"}, "https://a.example" }, fault.InternalSuffix},
		{"kubernetes", func(d *config.Definition) { d.Bindings, d.URL = []string{"kubernetes"}, "http://a.b" }, fault.BindingNotBuilt},
		{"http2 of tcp", func(d *config.Definition) { d.Kind, d.Protocol = endpoint.TCP, "http2" }, fault.ValueInvalid},
		{"PROXY of files", func(d *config.Definition) { d.Upstream, d.ProxyProtocol = "file:///srv", "1" }, fault.OptionConflict},
		{"no name", func(d *config.Definition) { d.Name = "" }, fault.ValueInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := base(endpoint.HTTP, "80")
			tt.edit(&d)
			_, issues := d.Compile()
			switch {
			case tt.code == "" && len(issues) > 0:
				t.Errorf("issues %v, want none", issues)
			case tt.code != "" && (len(issues) == 0 || !fault.Has(issues[0].Err, tt.code)):
				t.Errorf("issues %v, want %s", issues, tt.code)
			}
		})
	}
}

func TestSelectFiles(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	place := func(pairs ...string) config.Place {
		return config.Place{GOOS: "linux", Env: env(append(pairs, "HOME", home)...)}
	}
	own := filepath.Join(home, ".config", "culvert", "culvert.yml")
	theirs := filepath.Join(home, ".config", "ngrok", "ngrok.yml")
	check := func(name string, p config.Place, flag []string, reference bool, want string, notices int) {
		t.Helper()
		s, err := p.Select(flag, reference)
		if err != nil || strings.Join(s.Paths, " ") != want || len(s.Notices) != notices {
			t.Errorf("%s: %q, notices %q, %v; want %q and %d notices", name, s.Paths, s.Notices, err, want, notices)
		}
	}
	check("nothing", place(), nil, false, "", 0)
	check("flag", place("CULVERT_CONFIG", "c"), []string{"a,b", "d"}, false, "a b d", 0)
	check("variable", place("CULVERT_CONFIG", "c", "NGROK_CONFIG", "n"), nil, false, "c", 0)
	check("reference variable", place("NGROK_CONFIG", "n"), nil, false, "n", 1)
	for i, p := range []string{theirs, own} {
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("version: 3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			check("reference file", place(), nil, false, theirs, 1)
		}
	}
	check("own file", place(), nil, false, own, 0)
	check("under the other name", place(), nil, true, theirs, 0)
	check("XDG", place("XDG_CONFIG_HOME", filepath.Join(home, "none")), nil, false, "", 0)
	for goos, want := range map[string]string{
		"darwin":  filepath.Join(home, "Library", "Application Support", "culvert", "culvert.yml"),
		"freebsd": own,
	} {
		if got, err := (config.Place{GOOS: goos, Env: env("HOME", home)}).Path("culvert"); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", goos, got, err, want)
		}
	}
	if got, err := (config.Place{GOOS: "windows", Env: env("LocalAppData", home)}).Path("culvert"); err != nil || got != filepath.Join(home, "culvert", "culvert.yml") {
		t.Errorf("windows: %q, %v", got, err)
	}
}
