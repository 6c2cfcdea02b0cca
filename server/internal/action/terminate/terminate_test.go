package terminate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/action/note"
	"github.com/culvert-project/culvert/server/internal/action/terminate"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func registry(t testing.TB) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(append(terminate.Definitions(), note.Definitions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t), "testdata/*.txtar")
}

// pair makes a certificate of its own and its key, in PEM.
func pair(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// compile compiles a policy of one terminate-tls.
func compile(t *testing.T, target policy.Target, config map[string]any, more string) (*policy.Program, policy.Diagnostics) {
	t.Helper()
	c, err := policy.NewCompiler(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	d, found := policy.Parse("", []byte(`{"on_tcp_connect": [{"actions": [{"type": "terminate-tls", "config": `+string(text)+`}]}`+more+`]}`))
	if found.Failed() {
		t.Fatal(found)
	}
	return c.Compile(d, target)
}

func run(t *testing.T, config map[string]any) (*policy.Exchange, *policy.Program, error) {
	t.Helper()
	p, found := compile(t, policy.Target{Scheme: endpoint.HTTPS}, config, "")
	if found.Failed() {
		t.Fatal(found)
	}
	x := policy.NewExchange(p.Env(), &policy.Conn{SNI: "h.example", Client: netip.MustParseAddrPort("127.0.0.1:1")})
	_, err := p.Run(t.Context(), policy.OnTCPConnect, x)
	return x, p, err
}

func TestSettings(t *testing.T) {
	t.Parallel()
	certificate, key := pair(t, "h.example")
	ca, _ := pair(t, "authority")
	for name, tt := range map[string]struct {
		config map[string]any
		want   policy.Terminate
		cas    int
		served bool
	}{
		"nothing":       {nil, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, 0, false},
		"scenario 46":   {map[string]any{"min_version": 1.3}, policy.Terminate{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS13}, 0, false},
		"certificate":   {map[string]any{"server_certificate": certificate, "server_private_key": key}, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, 0, true},
		"interpolated":  {map[string]any{"server_certificate": "${'" + strings.ReplaceAll(certificate, "\n", `\n`) + "'}", "server_private_key": key}, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, 0, true},
		"authorities":   {map[string]any{"mutual_tls_certificate_authorities": []string{ca, ca + certificate}}, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert}, 3, false},
		"request":       {map[string]any{"mutual_tls_verification_strategy": "request"}, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert}, 0, false},
		"require any":   {map[string]any{"mutual_tls_verification_strategy": "require-any"}, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}, 0, false},
		"verify nobody": {map[string]any{"mutual_tls_verification_strategy": "require-and-verify"}, policy.Terminate{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, 0, false},
	} {
		x, _, err := run(t, tt.config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := x.Conn.Terminate
		if got.MinVersion != tt.want.MinVersion || got.MaxVersion != tt.want.MaxVersion || got.ClientAuth != tt.want.ClientAuth {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
		if n := strings.Count(string(got.ClientCAs), "BEGIN CERTIFICATE"); n != tt.cas || (got.Certificate != nil) != tt.served {
			t.Errorf("%s: got %d authorities and certificate %v, want %d and %v", name, n, got.Certificate != nil, tt.cas, tt.served)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	certificate, key := pair(t, "h.example")
	other, _ := pair(t, "other.example")
	for name, tt := range map[string]struct {
		config map[string]any
		want   string
	}{
		"versions":       {map[string]any{"min_version": "1.3", "max_version": "1.2"}, "2222"},
		"version":        {map[string]any{"min_version": "1.1"}, "2222"},
		"no key":         {map[string]any{"server_certificate": certificate}, "2240"},
		"no certificate": {map[string]any{"server_private_key": key}, "2240"},
		"no pair":        {map[string]any{"server_certificate": other, "server_private_key": key}, "2204"},
		"no PEM":         {map[string]any{"server_certificate": "x", "server_private_key": "y"}, "2204"},
		"empty list":     {map[string]any{"mutual_tls_certificate_authorities": []string{}}, "2223"},
		"bad authority":  {map[string]any{"mutual_tls_certificate_authorities": []string{"x"}}, "2204"},
		"key for one":    {map[string]any{"mutual_tls_certificate_authorities": []string{key}}, "2204"},
		"strategy":       {map[string]any{"mutual_tls_verification_strategy": "x"}, "2222"},
	} {
		_, found := compile(t, policy.Target{Scheme: endpoint.HTTPS}, tt.config, "")
		if !found.Failed() || !strings.Contains(found.Error(), tt.want) {
			t.Errorf("%s: got %q, want %s", name, found.Error(), tt.want)
		}
		if strings.Contains(found.Error(), "PRIVATE KEY") {
			t.Errorf("%s: %q shows a key", name, found.Error())
		}
	}
}

// TestT15_AuthoritiesByID are found when a connection comes, not when the policy is saved.
func TestT15_AuthoritiesByID(t *testing.T) {
	t.Parallel()
	ca, _ := pair(t, "authority")
	p, found := compile(t, policy.Target{Scheme: endpoint.HTTPS}, map[string]any{"mutual_tls_certificate_authorities": []string{"ca_123", "${'ca_456'}"}}, "")
	if found.Failed() {
		t.Fatal(found)
	}
	if named := p.Authorities(); len(named) != 1 || named[0].ID != "ca_123" || !named[0].Unknown("certificate authority").Warning {
		t.Errorf("the policy names %v, want ca_123 and no mistake", named)
	}
	known := map[string]string{}
	for _, tt := range []struct {
		add          string
		cas, unknown int
	}{{"", 0, 2}, {"ca_456", 1, 1}, {"ca_123", 2, 0}} {
		if tt.add != "" {
			known[tt.add] = strings.TrimSpace(ca)
		}
		x := policy.NewExchange(p.Env(), &policy.Conn{SNI: "h.example"})
		x.Endpoint.Account = "ac_1"
		x.Services.Authority = func(account, id string) (string, bool) {
			pem, ok := known[id]
			return pem, ok && account == "ac_1"
		}
		if _, err := p.Run(t.Context(), policy.OnTCPConnect, x); err != nil {
			t.Fatal(err)
		}
		got, pool := x.Conn.Terminate, x509.NewCertPool()
		pool.AppendCertsFromPEM(got.ClientCAs)
		if n := strings.Count(string(got.ClientCAs), "BEGIN CERTIFICATE"); n != tt.cas || got.ClientAuth != tls.RequireAndVerifyClientCert || tt.cas > 0 == pool.Equal(x509.NewCertPool()) {
			t.Errorf("with %d known: got %d authorities and %v, want %d and a verified certificate", len(known), n, got.ClientAuth, tt.cas)
		}
		if warnings, _ := x.Result("terminate_tls.warnings"); len(warnings.([]string)) != tt.unknown {
			t.Errorf("with %d known: got warnings %v, want %d", len(known), warnings, tt.unknown)
		}
	}
}

// TestPolicy45_UnknownAuthorities leaves no authority: a warning, and nobody
// can be verified.
func TestPolicy45_UnknownAuthorities(t *testing.T) {
	t.Parallel()
	x, _, err := run(t, map[string]any{"mutual_tls_certificate_authorities": []string{"${'ca_' + '123'}"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := x.Conn.Terminate; got.ClientAuth != tls.RequireAndVerifyClientCert || len(got.ClientCAs) != 0 {
		t.Errorf("got %v with %d bytes of authorities", got.ClientAuth, len(got.ClientCAs))
	}
	warnings, _ := x.Result("terminate_tls.warnings")
	if list, _ := warnings.([]string); len(list) != 1 || !strings.Contains(list[0], "ca_123") {
		t.Errorf("got warnings %v", warnings)
	}
}

// TestPolicy15_ResultsOfTheHandshake are read by each request of a connection.
func TestPolicy15_ResultsOfTheHandshake(t *testing.T) {
	t.Parallel()
	certificate, key := pair(t, "h.example")
	p, found := compile(t, policy.Target{Scheme: endpoint.HTTPS}, map[string]any{"server_certificate": certificate, "server_private_key": key},
		`], "on_http_request": [{"actions": [{"type": "log", "config": {"metadata": {
			"version": "${actions.ngrok.terminate_tls.version}", "sni": "${actions.ngrok.terminate_tls.sni}",
			"server": "${actions.ngrok.terminate_tls.server.subject.common_name}", "client": "${actions.ngrok.terminate_tls.client.subject.common_name}",
			"warnings": "${actions.ngrok.terminate_tls.warnings}"}}}]}`)
	if found.Failed() {
		t.Fatal(found)
	}
	conn := &policy.Conn{SNI: "h.example"}
	if _, err := p.Run(t.Context(), policy.OnTCPConnect, policy.NewExchange(p.Env(), conn)); err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(conn.Terminate.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	conn.TLS = &tls.ConnectionState{Version: tls.VersionTLS13}
	conn.ServerCertificate = &tls.Certificate{Leaf: leaf}
	for range 2 {
		x := policy.NewExchange(p.Env(), conn)
		x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
		if _, err := p.Run(t.Context(), policy.OnHTTPRequest, x); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(x.Logs)
		if want := `[{"metadata":{"client":"","server":"h.example","sni":"h.example","version":"1.3","warnings":[]}}]`; err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestTwice(t *testing.T) {
	t.Parallel()
	x, p, err := run(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context(), policy.OnTCPConnect, x); !fault.Has(err, fault.PolicyUnresolved) {
		t.Errorf("got %v, want %s", err, fault.PolicyUnresolved)
	}
}

func TestTCPIsAccepted(t *testing.T) {
	t.Parallel()
	if _, found := compile(t, policy.Target{Scheme: endpoint.TCP}, nil, ""); found.Failed() {
		t.Errorf("got %v", found)
	}
}
