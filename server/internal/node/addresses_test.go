package node_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// addressFiles makes a database and two lists in a folder, which know loopback.
func addressFiles(t *testing.T) (geoip []string, lists string) {
	t.Helper()
	names := func(s string) mmdbtype.Map { return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(s)}} }
	country := names("Norway")
	country["iso_code"] = mmdbtype.String("NO")
	dir, lists := t.TempDir(), t.TempDir()
	for kind, record := range map[string]mmdbtype.Map{
		"GeoLite2-City": {"city": names("Oslo"), "country": country},
		"GeoLite2-ASN":  {"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Example")},
	} {
		w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(&net.IPNet{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, record); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, kind)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteTo(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		geoip = append(geoip, path)
	}
	for name, text := range map[string]string{"com.example.office.txt": "127.0.0.1\n", "proxy.anonymous.tor.txt": "127.0.0.9 # a node\n"} {
		if err := os.WriteFile(filepath.Join(lists, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return geoip, lists
}

// facts answers with what is known of the client's address.
const facts = `
on_http_request:
  - actions:
      - type: custom-response
        config:
          body: ${conn.geo.city}|${conn.client_ip.geo.location.country_code}|${conn.client_ip.as.number}|${conn.client_ip.as.organization}|${conn.client_ip.categories}|${conn.client_ip.is_tor_node}|${conn.server_ip.geo.location.city}
`

func TestPolicy62_FactsAboutAddresses(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.GeoIP, c.IPCategories = addressFiles(t) })
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("upstream"), culvert.WithTrafficPolicy(facts))
	const want = `Oslo|NO|64500|Example|["com","com.example","com.example.office"]|false|Oslo`
	if resp, body := s.Get(ln.URL().String()); resp.StatusCode != http.StatusOK || body != want {
		t.Errorf("got %d %s, want %s", resp.StatusCode, body, want)
	}
	manual, err := os.ReadFile("../../../docs/addresses.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	seen := make(chan string, 1)
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Client-Country") + " " + r.Header.Get("X-Client-Network")
	})
	ln = s.ServeHTTP(s.Agent(), h, culvert.WithTrafficPolicy(example))
	if resp, _ := s.Get(ln.URL().String()); resp.StatusCode != http.StatusOK {
		t.Fatalf("the manual's example: got %d", resp.StatusCode)
	}
	if got := <-seen; got != "NO AS64500" {
		t.Errorf("the manual's example: got %q", got)
	}
}

func TestPolicy62_WithoutFiles(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("upstream"), culvert.WithTrafficPolicy(facts))
	if resp, body := s.Get(ln.URL().String()); resp.StatusCode != http.StatusOK || body != "||0||[]|false|" {
		t.Errorf("got %d %s, want zero values", resp.StatusCode, body)
	}
}

func TestPolicy62_BadFiles(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*node.Config){
		"database": func(c *node.Config) { c.GeoIP = []string{bad} },
		"missing":  func(c *node.Config) { c.GeoIP = []string{bad + "-missing"} },
		"folder":   func(c *node.Config) { c.IPCategories = bad },
	} {
		c := node.Config{DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", AgentAddr: "127.0.0.1:0", APIAddr: "127.0.0.1:0", SSHAddr: "127.0.0.1:0"}
		edit(&c)
		n, err := node.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context()); !fault.Has(err, fault.AddressFilesUnusable) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v, want %s that names the file", name, err, fault.AddressFilesUnusable)
		}
	}
}
