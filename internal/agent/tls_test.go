package agent_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// pair writes a certificate for a host, its key and its authority into a new
// folder as cert.pem, key.pem and ca.pem.
func pair(t *testing.T, host string) (dir string, ca *wiretest.CA, cert tls.Certificate) {
	t.Helper()
	ca, err := wiretest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err = ca.Issue(x509.Certificate{DNSNames: []string{host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
		"ca.pem":   {Type: "CERTIFICATE", Bytes: ca.Cert().Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, ca, cert
}

// echo sends back what it reads.
func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func TestAgent11_TerminationAtTheAgent(t *testing.T) {
	t.Parallel()
	dir, ca, _ := pair(t, "h.example")
	w := newWorld(t, wiretest.Script{})
	seen := make(chan string, 1)
	upstream := web(t, func(c net.Conn) {
		b := make([]byte, 5)
		_, _ = io.ReadFull(c, b)
		seen <- string(b)
		_, _ = c.Write(b)
	})
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- name: t\n  url: tls://h.example\n  upstream: {url: "+upstream+"}\n"+
		"  agent_tls_termination: {server_certificate: "+dir+"/cert.pem, server_private_key: "+dir+"/key.pem}\n")})
	r.log.wait(t, `msg="started tunnel"`)
	st, err := w.server.Dial(t.Context(), "tls://h.example", wire.ProxyHeader{PassthroughTLS: true})
	if err != nil {
		t.Fatal(err)
	}
	client := tls.Client(st, &tls.Config{ServerName: "h.example", RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12})
	defer client.Close()
	if _, err := io.WriteString(client, "plain"); err != nil {
		t.Fatalf("the client does not accept the agent's certificate: %v", err)
	}
	if got := <-seen; got != "plain" {
		t.Errorf("upstream got %q, want plain text", got)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "plain" {
		t.Errorf("the client got %q, %v", b, err)
	}
}

func TestAgent12_VerificationOfTheUpstream(t *testing.T) {
	t.Parallel()
	dir, _, cert := pair(t, "localhost")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); hello(c) }()
		}
	}()

	w := newWorld(t, wiretest.Script{Features: wire.Features{FaultRecord: true}})
	entry := func(name, more string) string {
		return "- {name: " + name + ", url: https://" + name + ".example, upstream: {url: \"https://localhost:" + port + "\"" + more + "}}\n"
	}
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t,
		entry("unverified", "")+entry("verified", ", tls_verify: true")+entry("known", ", tls_verify_cas: "+dir+"/ca.pem"))})
	for _, name := range []string{"unverified", "verified", "known"} {
		r.log.wait(t, `msg="started tunnel"`, "name="+name)
	}
	for _, name := range []string{"unverified", "known"} {
		if _, got := ask(t, w, "https://"+name+".example", "/"); got != "hello app.example/" {
			t.Errorf("%s: body %q", name, got)
		}
	}
	st, err := w.server.Dial(t.Context(), "https://verified.example", wire.ProxyHeader{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b, _ := io.ReadAll(st)
	f, _, err := wire.ParseFault(b)
	if err != nil || f.Code != fault.UpstreamUnreachable || !strings.Contains(f.Message, "certificate") ||
		!strings.Contains(f.Remedy, "--upstream-tls-verify-cas") {
		t.Errorf("verified: fault %v, %v, want %s about the certificate", f, err, fault.UpstreamUnreachable)
	}
}

// Without termination the agent only carries the client's TLS.
func TestPassthrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	upstream := web(t, echo)
	r := start(t, agent.Config{Settings: w.settings(t), Specs: specs(t, "- {name: t, url: tls://h.example, upstream: {url: \"tls://"+upstream+"\"}}\n")})
	r.log.wait(t, `msg="started tunnel"`)
	st, err := w.server.Dial(t.Context(), "tls://h.example", wire.ProxyHeader{PassthroughTLS: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := io.WriteString(st, "\x16\x03\x01"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := io.ReadFull(st, b); err != nil || string(b) != "\x16\x03\x01" {
		t.Errorf("upstream saw other bytes: %q, %v", b, err)
	}
}
