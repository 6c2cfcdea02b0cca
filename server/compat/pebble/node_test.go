package pebble_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// gateway is a whole server whose public ports are on loopback, with an
// authority.
type gateway struct {
	*nodetest.Server
	t     *testing.T
	names *nameserver
	from  *authority
	https string
}

// newGateway starts one with the base domain gw.example.org, whose certificates
// live for a time. An authority that is dead comes first.
func newGateway(t *testing.T, life time.Duration, edit ...func(*gateway, *node.Config)) *gateway {
	t.Helper()
	g := &gateway{t: t, names: newNameserver(t, "example.org")}
	open := map[string]net.Listener{}
	listen := func() (string, int) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open[ln.Addr().String()] = ln
		return ln.Addr().String(), port(ln)
	}
	at := places{dns: g.names.addr}
	var plain string
	plain, at.http = listen()
	g.https, at.tls = listen()
	g.from = newAuthority(t, at, life, nil)
	ca := filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.from.web.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	g.Server = nodetest.Start(t, func(c *node.Config) {
		c.Domains, c.HTTPAddr, c.HTTPSAddr = []string{"gw.example.org"}, plain, g.https
		c.ACME = node.ACME{
			Email: "admin@example.org", Directories: []string{dead(t), g.from.directory}, CAFile: ca, Resolver: resolver(g.names.addr),
		}
		memory := c.Listen
		c.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
			if ln := open[addr]; ln != nil {
				return ln, nil
			}
			return memory(ctx, network, addr)
		}
		for _, e := range edit {
			e(g, c)
		}
	})
	return g
}

// serial is the number of the certificate that clients of a name get, "" if it is
// not one of the authority.
func (g *gateway) serial(name string) string {
	g.t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", g.https, &tls.Config{ServerName: name, RootCAs: g.from.issuer})
	if err != nil {
		return ""
	}
	defer c.Close() //nolint:errcheck // it was for the handshake
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within time", what)
		case <-tick.C:
		}
	}
}

// probe asks for a page of a name all the time, each time over a new connection,
// until the returned function is called: that reports every failure.
func (g *gateway) probe(name string) (stop func()) {
	var asked atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true}, //nolint:gosec // any certificate: the page counts
	}}
	wg.Go(func() {
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+g.https+"/", nil)
			if err != nil {
				g.t.Error(err)
				return
			}
			req.Host = name
			resp, err := client.Do(req)
			if err != nil {
				if ctx.Err() == nil {
					g.t.Errorf("probe %d of %s: %v", asked.Load(), name, err)
				}
				continue
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if ctx.Err() == nil && (err != nil || resp.StatusCode != http.StatusOK || string(body) != name) {
				g.t.Errorf("probe %d of %s: %d %q, %v", asked.Load(), name, resp.StatusCode, body, err)
			}
			asked.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if asked.Load() == 0 {
			g.t.Errorf("%s was never asked", name)
		}
	}
}

// status is what a domain says of its certificate.
func (g *gateway) status(id string) (certificate string, job map[string]any, renewsAt string) {
	g.t.Helper()
	d := g.API().Must(http.StatusOK, http.MethodGet, "/reserved_domains/"+id, "")
	if ref, ok := d["certificate"].(map[string]any); ok {
		certificate, _ = ref["id"].(string)
	}
	if s, ok := d["certificate_management_status"].(map[string]any); ok {
		job, _ = s["provisioning_job"].(map[string]any)
		renewsAt, _ = s["renews_at"].(string)
	}
	return certificate, job, renewsAt
}

// TestEndpoints14_API17_CustomDomain: a custom domain is served with the default
// certificate while its records are missing, says so, and with its own one when
// they are there: without a restart, and without a request that fails.
func TestEndpoints14_API17_CustomDomain(t *testing.T) {
	t.Parallel()
	const name = "shop.example.com"
	g := newGateway(t, time.Hour)
	g.names.drop(name, true)
	id := g.API().Create("/reserved_domains", map[string]any{"domain": name})
	g.ServeHTTP(g.Agent(), nodetest.Text(name), culvert.WithURL("https://"+name))
	defer g.probe(name)()

	await(t, "the lack of records", func() bool {
		_, job, _ := g.status(id)
		return job["error_code"] == "DNS_ERROR"
	})
	if _, job, _ := g.status(id); !strings.Contains(fmt.Sprint(job["msg"]), name) || job["retries_at"] == nil || job["started_at"] == nil {
		t.Errorf("job of a domain without records: %v", job)
	}
	c, err := tls.Dial("tcp", g.https, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // to look at it
	if err != nil {
		t.Fatalf("before issuance: %v", err)
	}
	if err := c.ConnectionState().PeerCertificates[0].VerifyHostname("any.gw.example.org"); err != nil {
		t.Errorf("before issuance: %v; want the default wildcard", err)
	}
	_ = c.Close()

	g.names.drop(name, false)
	g.API().Must(http.StatusOK, http.MethodPatch, "/reserved_domains/"+id, `{"certificate_management_policy":{"authority":"letsencrypt","private_key_type":"ecdsa"}}`)
	await(t, "the certificate", func() bool { return g.serial(name) != "" })
	certificate, job, renewsAt := g.status(id)
	if certificate == "" || job != nil || renewsAt == "" {
		t.Errorf("after issuance: certificate %q, job %v, renews at %q", certificate, job, renewsAt)
	}
	cert := g.API().Must(http.StatusOK, http.MethodGet, "/tls_certificates/"+certificate, "")
	if cert["issued_at"] == nil || fmt.Sprint(cert["subject_alternative_names"]) == "" {
		t.Errorf("the certificate as a resource: %v", cert)
	}
	for _, v := range cert {
		if s, ok := v.(string); ok && strings.Contains(s, "PRIVATE KEY") && !strings.Contains(s, "CERTIFICATE") {
			t.Error("the private key is in an answer")
		}
	}
}

// TestF42_Renewal: a certificate is renewed before it ends, and no request fails
// meanwhile. The resource stays the same one.
func TestF42_Renewal(t *testing.T) {
	t.Parallel()
	const name = "shop.example.com"
	g := newGateway(t, 30*time.Second)
	id := g.API().Create("/reserved_domains", map[string]any{"domain": name})
	g.ServeHTTP(g.Agent(), nodetest.Text(name), culvert.WithURL("https://"+name))
	defer g.probe(name)()
	var first string
	await(t, "the certificate", func() bool { first = g.serial(name); return first != "" })
	was, _, _ := g.status(id)
	await(t, "the next one", func() bool { s := g.serial(name); return s != "" && s != first })
	if is, _, _ := g.status(id); is != was {
		t.Errorf("the renewed certificate is %s, and was %s", is, was)
	}
}

// TestT17_NamesOfTheServer: of the names under a base domain those get a
// certificate that somebody has chosen, and that for agents; never random ones.
func TestT17_NamesOfTheServer(t *testing.T) {
	t.Parallel()
	g := newGateway(t, time.Hour)
	agent := g.Agent()
	g.ServeHTTP(agent, nodetest.Text("x"), culvert.WithURL("https://app.gw.example.org"))
	random := g.ServeHTTP(agent, nodetest.Text("x"))
	g.API().Create("/reserved_domains", map[string]any{"domain": "other.gw.example.org"})
	await(t, "the certificate", func() bool { return g.serial("app.gw.example.org") != "" })
	await(t, "that for agents", func() bool { return g.serial("connect.gw.example.org") != "" })
	if s := g.serial(random.URL().Hostname()); s != "" {
		t.Errorf("a random name has certificate %s", s)
	}
	if s := g.serial("other.gw.example.org"); s != "" {
		t.Errorf("a name without an endpoint has certificate %s", s)
	}
	certs := g.API().List("/tls_certificates")
	if len(certs) != 2 {
		t.Errorf("%d certificates, want 2", len(certs))
	}
}

// TestACME_WildcardOfTheServer: with a way to write records one certificate is for
// all names below a base domain.
func TestACME_WildcardOfTheServer(t *testing.T) {
	t.Parallel()
	g := newGateway(t, time.Hour, func(g *gateway, c *node.Config) {
		c.ACME.DNS = acme.Update{Server: g.names.addr, Key: keyName, Secret: keySecret}
	})
	await(t, "the certificate", func() bool { return g.serial("gw.example.org") != "" })
	if a, b := g.serial("gw.example.org"), g.serial("any.gw.example.org"); a != b {
		t.Errorf("certificates %s of the domain and %s of a name below differ", a, b)
	}
}
