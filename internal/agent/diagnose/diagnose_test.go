package diagnose_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	culvert "github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/diagnose"
	"github.com/culvert-project/culvert/internal/agent/target"
	"github.com/culvert-project/culvert/internal/fault"
)

// prober answers as scripted.
type prober struct {
	result culvert.DiagnoseResult
	err    error
}

func (p prober) Diagnose(context.Context, string) (culvert.DiagnoseResult, error) {
	return p.result, p.err
}

func listener(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// closed returns an address at which nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func find(r *diagnose.Report, stage, name string) *diagnose.Check {
	for i, c := range r.Checks {
		if strings.HasPrefix(c.Stage, stage) && c.Name == name {
			return &r.Checks[i]
		}
	}
	return nil
}

func TestEverythingWorks(t *testing.T) {
	t.Parallel()
	upstream, err := target.Parse(listener(t), target.Web)
	if err != nil {
		t.Fatal(err)
	}
	r := diagnose.Run(t.Context(), diagnose.Config{
		Server: "localhost:9444", Dialer: &net.Dialer{}, Version: "1.2.3",
		Prober:       prober{result: culvert.DiagnoseResult{Region: "here", Latency: time.Millisecond}},
		Authenticate: func(context.Context) error { return nil },
		Upstreams:    []diagnose.Upstream{{Endpoint: "web", Target: upstream}},
	})
	var text bytes.Buffer
	r.WriteText(&text)
	if r.Failed() || !strings.Contains(text.String(), "Everything works: region here, latency 1ms.") {
		t.Errorf("failed %v:\n%s", r.Failed(), text.String())
	}
	if c := find(r, "Upstreams", "web"); c == nil || c.State != diagnose.OK {
		t.Errorf("upstream check %+v, want OK", c)
	}
}

func TestUpstreamThatIsDownIsAWarning(t *testing.T) {
	t.Parallel()
	down, err := target.Parse(closed(t), target.Web)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := target.Parse("file:///no/such/folder", target.Web)
	if err != nil {
		t.Fatal(err)
	}
	r := diagnose.Run(t.Context(), diagnose.Config{
		Server: "localhost:9444", Dialer: &net.Dialer{}, Prober: prober{},
		Upstreams: []diagnose.Upstream{{Endpoint: "web", Target: down}, {Endpoint: "files", Target: folder}},
	})
	for _, name := range []string{"web", "files"} {
		if c := find(r, "Upstreams", name); c == nil || c.State != diagnose.Warn || c.Code != string(fault.DiagUpstream) || c.Remedy == "" {
			t.Errorf("check of %s: %+v, want a warning with code and remedy", name, c)
		}
	}
	if r.Failed() {
		t.Error("an upstream that is down failed the report")
	}
}

func TestAuthtoken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		authenticate func(context.Context) error
		state        diagnose.State
		code         fault.Code
	}{
		{"accepted", func(context.Context) error { return nil }, diagnose.OK, ""},
		{"unknown", func(context.Context) error { return fault.New(fault.TokenUnknown, "x") }, diagnose.Err, fault.TokenUnknown},
		{"none", nil, diagnose.Warn, fault.TokenMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := diagnose.Run(t.Context(), diagnose.Config{Server: "localhost:9444", Dialer: &net.Dialer{}, Prober: prober{}, Authenticate: tt.authenticate})
			if c := find(r, "Server", "Authtoken"); c == nil || c.State != tt.state || c.Code != string(tt.code) {
				t.Errorf("check %+v, want state %s and code %q", c, tt.state, tt.code)
			}
		})
	}
}

func TestWhoseCertificate(t *testing.T) {
	t.Parallel()
	culvertCA := pkix.Name{CommonName: "Culvert development CA 1234"}
	tests := []struct {
		name string
		peer *x509.Certificate
		want fault.Code
	}{
		{"another Culvert server", &x509.Certificate{Issuer: culvertCA, IsCA: true}, fault.FingerprintMismatch},
		{"the address for HTTPS", &x509.Certificate{Issuer: culvertCA}, fault.DiagServerProtocol},
		{"somebody else", &x509.Certificate{Issuer: pkix.Name{CommonName: "Proxy"}, IsCA: true}, fault.DiagIntercepted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fault.New(fault.FingerprintMismatch, "localhost:9444", "sha256:a", "sha256:b")
			if got := diagnose.TLSFault(f, []*x509.Certificate{tt.peer}); !fault.Has(got, tt.want) {
				t.Errorf("fault %v, want %s", got, tt.want)
			}
		})
	}
	f := fault.New(fault.DiagServerProtocol, "localhost:9080", "it does not speak TLS")
	if got := diagnose.TLSFault(f, nil); !fault.Has(got, fault.DiagServerProtocol) {
		t.Errorf("fault %v, want %s", got, fault.DiagServerProtocol)
	}
}

func TestProxySteps(t *testing.T) {
	t.Parallel()
	r := diagnose.Run(t.Context(), diagnose.Config{
		Server: "server.invalid:1", Proxy: "http://user:secret@" + closed(t), Dialer: &net.Dialer{}, Prober: prober{err: errors.New("not asked")},
	})
	if c := find(r, "Proxy", "TCP"); c == nil || c.Code != string(fault.DiagProxyConnect) || strings.Contains(c.Detail, "secret") {
		t.Errorf("proxy check %+v, want %s and no password", c, fault.DiagProxyConnect)
	}
	if c := find(r, "Server", "Connection"); c != nil {
		t.Errorf("the server was tried though its proxy cannot be reached: %+v", c)
	}
	var report bytes.Buffer
	if err := r.WriteJSON(&report); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(report.String(), "secret") {
		t.Errorf("report with a password:\n%s", report.String())
	}
}

func TestNameThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	// A resolver whose every server is unreachable fails without a network.
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	r := diagnose.Run(t.Context(), diagnose.Config{Server: "server.invalid:1", Dialer: &net.Dialer{}, Resolver: resolver, Prober: prober{}})
	if c := find(r, "Server", "Name resolution"); c == nil || c.Code != string(fault.DiagServerResolve) || c.Remedy == "" {
		t.Errorf("check %+v, want %s with a remedy", c, fault.DiagServerResolve)
	}
}

func TestNamesBelowLocalhost(t *testing.T) {
	t.Parallel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	r := diagnose.Run(t.Context(), diagnose.Config{Server: "connect.tunnel.localhost:1", Dialer: &net.Dialer{}, Resolver: resolver, Prober: prober{}})
	if c := find(r, "Server", "Name resolution"); c == nil || c.State != diagnose.OK {
		t.Errorf("check %+v, want OK", c)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	r := diagnose.Run(t.Context(), diagnose.Config{Server: listener(t), IPv6: true, Dialer: &net.Dialer{}, Prober: prober{}})
	if c := find(r, "IPv6", "TCP"); c == nil || c.Code != string(fault.DiagIPv6) {
		t.Errorf("check of an IPv4 address over IPv6: %+v, want %s", c, fault.DiagIPv6)
	}
}

func TestAgent36_SecretsStayOut(t *testing.T) {
	t.Parallel()
	env := diagnose.Environment([]string{
		"CULVERT_AUTHTOKEN=tok_secret", "NGROK_API_KEY=ak_secret", "https_proxy=http://u:secret@p:1", "CULVERT_LOG=stdout", "HOME=/h", "odd_proxy=u:secret@p",
		"CULVERT_AUTHTOKEN_FILE=/run/token",
	})
	want := map[string]string{
		"CULVERT_AUTHTOKEN": "(set)", "NGROK_API_KEY": "(set)", "https_proxy": "http://p:1", "CULVERT_LOG": "stdout", "odd_proxy": "(hidden)",
		"CULVERT_AUTHTOKEN_FILE": "/run/token",
	}
	for name, value := range want {
		if env[name] != value {
			t.Errorf("%s = %q, want %q", name, env[name], value)
		}
	}
	if len(env) != len(want) {
		t.Errorf("environment %v, want %d variables", env, len(want))
	}
	b, err := json.Marshal(diagnose.Report{Environment: env})
	if err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("report %s, %v", b, err)
	}
}

func TestIssuerInText(t *testing.T) {
	t.Parallel()
	peer := &x509.Certificate{Issuer: pkix.Name{CommonName: "Some Authority"}}
	r := diagnose.Run(t.Context(), diagnose.Config{
		Server: "localhost:9444", Dialer: &net.Dialer{}, Prober: prober{result: culvert.DiagnoseResult{PeerCertificates: []*x509.Certificate{peer}}},
	})
	if c := find(r, "Server", "TLS"); c == nil || !strings.Contains(c.Detail, "Some Authority") {
		t.Errorf("check %+v, want one that names the issuer", c)
	}
}
