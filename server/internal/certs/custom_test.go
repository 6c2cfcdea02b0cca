package certs_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/certs"
)

// custom has certificates by name.
type custom map[string]*tls.Certificate

func (c custom) Certificate(name string) *tls.Certificate { return c[name] }

// TestEndpoints14_CustomCertificates come before those of the CA, and before files.
func TestEndpoints14_CustomCertificates(t *testing.T) {
	t.Parallel()
	own := &tls.Certificate{Certificate: [][]byte{{1}}}
	cfg := certs.Config{Domains: []string{"tunnel.example.com"}, Custom: custom{"shop.example.org": own, "a.tunnel.example.com": own}}
	withFiles := cfg
	withFiles.CertFile, withFiles.KeyFile = pair(t, t.TempDir(), "file.example.com")
	for what, s := range map[string]*certs.Store{"CA": open(t, cfg), "files": open(t, withFiles)} {
		for name, want := range map[string]bool{"shop.example.org": true, "a.tunnel.example.com": true, "b.tunnel.example.com": false} {
			c, err := s.GetCertificate(name)
			if err != nil || c == own != want {
				t.Errorf("%s, %s: got %v, %v; want the custom one %t", what, name, c, err, want)
			}
			c, err = s.APITLS().GetCertificate(&tls.ClientHelloInfo{ServerName: strings.ToUpper(name)})
			if err != nil || c == own != want {
				t.Errorf("%s, %s at the API: got %v, %v; want the custom one %t", what, name, c, err, want)
			}
		}
	}
}

// TestCustomCertificatesForAgents are there for those alone who come by a listener for clients: the others were told of
// the server's CA.
func TestCustomCertificatesForAgents(t *testing.T) {
	t.Parallel()
	own := &tls.Certificate{Certificate: [][]byte{{1}}}
	s := open(t, certs.Config{Domains: []string{"tunnel.example.com"}, Custom: custom{"connect.tunnel.example.com": own}})
	for _, tt := range []struct {
		name        string
		own, shared bool
	}{
		{"connect.tunnel.example.com", false, true},
		{"CONNECT.tunnel.example.com", false, true},
		{"localhost", false, false},
		{"", false, false},
	} {
		for cfg, want := range map[*tls.Config]bool{s.AgentTLS(): tt.own, s.SharedAgentTLS(): tt.shared} {
			c, err := cfg.GetCertificate(&tls.ClientHelloInfo{ServerName: tt.name})
			if err != nil || c == own != want {
				t.Errorf("%q: got %v, %v; want the custom one %t", tt.name, c, err, want)
			}
		}
	}
}
