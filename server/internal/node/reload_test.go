package node_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// certFiles writes a certificate and its key to files in a directory.
func certFiles(t *testing.T, dir string, c tls.Certificate) (cert, key string) {
	t.Helper()
	secret, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestD7_ReloadDropsNothing: other certificates are in force for new connections,
// and those that are open go on, whatever becomes of the reload.
func TestD7_ReloadDropsNothing(t *testing.T) {
	t.Parallel()
	const host = "h.t.example.com"
	first, second := nodetest.Certificate(t, "*.t.example.com", "t.example.com"), nodetest.Certificate(t, "*.t.example.com", "t.example.com")
	oldCert, oldKey := certFiles(t, t.TempDir(), first)
	newCert, newKey := certFiles(t, t.TempDir(), second)
	var cfg node.Config
	s := nodetest.Start(t, func(c *node.Config) {
		c.Domains, c.TLSCert, c.TLSKey = []string{"t.example.com"}, oldCert, oldKey
		cfg = *c
	})
	s.CAs = nodetest.Pool(t, first, second)
	a := s.Agent(culvert.WithTLSConfig(func(c *tls.Config) { c.InsecureSkipVerify = true }))
	s.ServeHTTP(a, nodetest.Text("hello"), culvert.WithURL("https://"+host))
	echo := s.ServeEcho(a, "hi", endpointTCP())
	stream := s.Dial(s.HostPort(echo.URL()))
	kept := s.Client()
	ask := func() string {
		t.Helper()
		resp, body := s.Do(kept, http.MethodGet, "https://"+host+":9443/", nil)
		if resp.StatusCode != http.StatusOK || body != "hello" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	say := func(greeting string) {
		t.Helper()
		if _, err := io.WriteString(stream, "x"); err != nil {
			t.Errorf("the open connection is gone: %v", err)
		}
		got := make([]byte, len(greeting)+1)
		if _, err := io.ReadFull(stream, got); err != nil || string(got) != greeting+"x" {
			t.Errorf("the open connection: got %q, %v", got, err)
		}
	}
	fresh := func() string {
		t.Helper()
		c, err := s.DialTLS(host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	was := ask()
	say("hi")

	bad := cfg
	bad.TLSCert, bad.ShutdownGrace = filepath.Join(t.TempDir(), "missing.pem"), time.Hour
	if _, err := s.Node.Reload(bad); !fault.Has(err, fault.ServerCertificate) {
		t.Errorf("a certificate that is missing: got %v", err)
	}
	bad = cfg
	bad.TLSCert, bad.TLSKey, bad.BootstrapAuthtoken = newCert, newKey, "short"
	if _, err := s.Node.Reload(bad); !fault.Has(err, fault.BootstrapTokenInvalid) {
		t.Errorf("a bad setting beside a good certificate: got %v", err)
	}
	if fresh() != was || ask() != was || s.Node.Grace() != node.DefaultGrace {
		t.Error("a refused configuration has changed something")
	}
	say("")

	good := cfg
	good.TLSCert, good.TLSKey, good.ShutdownGrace, good.Region = newCert, newKey, time.Minute, "elsewhere"
	good.Edge.SourceConnections = 1
	held := s.DialFrom("192.0.2.9", "127.0.0.1:9080") // the one that it may have
	if _, err := io.WriteString(held, "GET / HTTP/1.1\r\nHost: none\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Read(make([]byte, 1)); err != nil { // it has been let in
		t.Fatal(err)
	}
	later, err := s.Node.Reload(good)
	if err != nil || !slices.Equal(later, []string{"region"}) {
		t.Errorf("Reload = %v, %v, want region to wait", later, err)
	}
	if now := fresh(); now == was || now != second.Leaf.SerialNumber.String() {
		t.Error("new connections get the old certificate")
	}
	if ask() != was {
		t.Error("the kept connection was dropped")
	}
	if c := s.DialFrom("192.0.2.9", "127.0.0.1:9080"); !closed(c) {
		t.Error("a source that may have no connection gets one")
	}
	if s.Node.Grace() != time.Minute {
		t.Errorf("grace = %v", s.Node.Grace())
	}
	say("")
}

// closed reports whether the other side closes a connection without a word.
func closed(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second)) // fails when it is closed already
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestD7_LimitsAndOrigins: limits and origins of the API, and most limits of agents, hold at once; of the others the
// names are told.
func TestD7_LimitsAndOrigins(t *testing.T) {
	t.Parallel()
	var cfg node.Config
	s := nodetest.Start(t, func(c *node.Config) { cfg = *c })
	api, a := s.API(), s.Agent()
	s.ServeHTTP(a, nodetest.Text("hello"))
	const page = "Origin: https://console.example.com"
	if _, h, _ := api.Do("GET", "/vaults", "", page); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page may call the API before it is allowed to: %v", h)
	}
	cfg.APIOrigins = []string{"https://console.example.com"}
	cfg.API.Rate, cfg.Agents.Endpoints = 2, 1
	cfg.Agents.Pending, cfg.Edge.HeadBytes, cfg.Endpoints.Grace = 7, 8<<10, time.Hour
	later, err := s.Node.Reload(cfg)
	if want := []string{"limits.head_bytes", "limits.agent_pending", "limits.hold_time"}; err != nil || !slices.Equal(later, want) {
		t.Errorf("Reload = %v, %v, want %v to wait", later, err, want)
	}
	for i, want := range []int{200, 200, 429} {
		status, h, answer := api.Do("GET", "/vaults", "", page)
		if status != want || h.Get("Access-Control-Allow-Origin") != "https://console.example.com" {
			t.Errorf("request %d of two a minute: got %d %v, origin %q", i+1, status, answer, h.Get("Access-Control-Allow-Origin"))
		}
	}
	if _, err := a.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), string(fault.TooManyEndpointsSession)) {
		t.Errorf("a second endpoint of a session that may have one: got %v", err)
	}
	cfg.API.Rate, cfg.Endpoints.Endpoints = 0, 1
	if _, err := s.Node.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if status, _, answer := api.Do("POST", "/endpoints", `{"url":"https://one-more.culvert.localhost","traffic_policy":"on_http_request: [{actions: [{type: deny}]}]"}`); status != http.StatusBadRequest || answer["error_code"] != "ERR_NGROK_18021" {
		t.Errorf("an endpoint more than the server takes: got %d %v", status, answer)
	}
}
