package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runPolicyCommand runs "culvertd policy ARGS" with a text as standard input.
func runPolicyCommand(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	p := &program{
		stdin: strings.NewReader(in), stdout: &out, stderr: &err, called: "culvertd",
		getenv: func(string) (string, bool) { return "", false }, terminal: func(io.Writer) bool { return false },
	}
	code = p.run(t.Context(), append([]string{"policy"}, args...))
	return code, out.String(), err.String()
}

// certificate writes a certificate for a name.
func certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "client.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPolicyRunFacts asks for each fact that flags give.
func TestPolicyRunFacts(t *testing.T) {
	t.Parallel()
	list := filepath.Dir(writeFile(t, "com.example.office.txt", "198.51.100.0/24\n"))
	for _, tt := range []struct {
		expression string
		args       []string
	}{
		{"conn.tls.client.subject == 'CN=somebody'", []string{"--client-cert", certificate(t, "somebody")}},
		{"conn.tls.version == '1.2'", []string{"--tls-version", "1.2"}},
		{"conn.tls.version == '1.3' && conn.tls.sni == 'a.example'", nil},
		{"conn.tls.sni == 'b.example'", []string{"--sni", "b.example"}},
		{"'com.example' in conn.client_ip.categories", []string{"--ip-categories", list, "--client", "198.51.100.7"}},
		{"conn.client_ip == '::1' && conn.client_port == 7", []string{"--client", "[::1]:7"}},
		{"secrets.get('v', 's') == 'a=b'", []string{"--secret", "v/s=a=b"}},
		{"time.now == '2026-01-02T03:04:05Z'", []string{"--now", "2026-01-02T03:04:05Z"}},
		{"endpoint.url == 'https://c.example'", []string{"--endpoint", "c.example"}},
		{"conn.tls.version == '' && req.url.scheme == 'http'", []string{"--endpoint", "http://a.example"}},
	} {
		doc := "on_http_request:\n  - expressions: [\"" + tt.expression + "\"]\n    actions: [{type: deny}]\n"
		args := append([]string{"run", "-", "--curl", "https://a.example/x"}, tt.args...)
		code, out, stderr := runPolicyCommand(t, doc, args...)
		if code != 0 || !strings.Contains(out, ": match") {
			t.Errorf("%s with %v: exit code %d\n%s%s", tt.expression, tt.args, code, out, stderr)
		}
	}
}

// TestPolicyRunUsage refuses what cannot be with exit code 2.
func TestPolicyRunUsage(t *testing.T) {
	t.Parallel()
	doc := writeFile(t, "p.yml", "on_http_request: [{actions: [{type: deny}]}]\n")
	for _, tt := range []struct{ args, want string }{
		{"--curl a --request b", "two requests"},
		{"--curl a.example --client nonsense", "no IP address"},
		{"--curl https://a.example --tls-version 1.1", "takes 1.2, 1.3"},
		{"--curl http://a.example --tls-version 1.3", "for https endpoints"},
		{"--curl https://a.example --client-cert -", "holds no PEM"},
		{"--curl https://a.example --client-cert /nonexistent/x", "ERR_CULVERT_1235"},
		{"--curl a.example --geoip-db /nonexistent/x", "ERR_CULVERT_1019"},
		{"--curl a.example --now today", "--now"},
		{"--curl a.example --secret x", "VAULT/NAME=VALUE"},
		{"--curl a.example --type x", "takes agent, cloud"},
		{"--request -", "malformed"},
		{"--endpoint https://a.example", "there is none"},
		{"--endpoint tcp://a.example:1 --curl a.example", "no request"},
	} {
		code, out, stderr := runPolicyCommand(t, "nonsense", append([]string{"run", doc}, strings.Fields(tt.args)...)...)
		if code != 2 || out != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want 2 and %q", tt.args, code, out, stderr, tt.want)
		}
	}
}
