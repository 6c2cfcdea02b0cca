package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// env makes a Lookup of pairs.
func env(pairs ...string) config.Lookup {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// write puts files into a new folder and returns their paths.
func write(t *testing.T, texts ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range texts {
		p := filepath.Join(dir, string(rune('a'+i))+".yml")
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func load(t *testing.T, texts ...string) *config.Config {
	t.Helper()
	c, err := config.Load(write(t, texts...), env())
	if err != nil {
		t.Fatalf("Load: %v\n%v", err, errors.Unwrap(err))
	}
	return c
}

func names(specs []config.Spec) string {
	var out []string
	for _, s := range specs {
		out = append(out, s.Name+"="+s.URL.String()+"->"+s.Upstream.String())
	}
	return strings.Join(out, " ")
}

const sample = `version: 3
agent:
  authtoken: tok_12345678901234567890
  connect_url: tunnel.example.com:9444
  log_level: debug
  connect_timeout: 3s
endpoints:
  - name: web
    url: https://app.tunnel.example.com
    upstream:
      url: 8080
      protocol: http2
  - name: ssh
    url: tcp://
    upstream: {url: 22, proxy_protocol: v2}
tunnels:
  old:
    proto: http
    addr: 3000
    hostname: old.example.com
`

func TestVersion3(t *testing.T) {
	t.Parallel()
	c := load(t, sample)
	s, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	if s.Authtoken != "tok_12345678901234567890" || s.Server != "tunnel.example.com:9444" || s.ConnectTimeout != 3*time.Second || s.HeartbeatInterval != 10*time.Second || !s.RemoteManagement {
		t.Errorf("settings %+v", s)
	}
	specs, err := c.Specs()
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	want := "web=https://app.tunnel.example.com->http://localhost:8080 ssh=tcp://->tcp://localhost:22 old=https://old.example.com->http://localhost:3000"
	if got := names(specs); got != want {
		t.Errorf("specs\n got %s\nwant %s", got, want)
	}
	if !specs[0].HTTP2 || specs[1].ProxyProtocol != 2 {
		t.Errorf("http2 %v, proxy protocol %d; want true and 2", specs[0].HTTP2, specs[1].ProxyProtocol)
	}
}

func TestAgent13_NamesAreChosen(t *testing.T) {
	t.Parallel()
	c := load(t, sample)
	specs, err := c.Specs("ssh", "old", "ssh")
	if err != nil || len(specs) != 2 || specs[0].Name != "ssh" || specs[1].Name != "old" {
		t.Errorf("Specs(ssh, old, ssh) = %s, %v", names(specs), err)
	}
	_, err = c.Specs("nope")
	if !fault.Has(err, fault.EndpointNameUnknown) || !strings.Contains(err.Error(), "old, ssh, web") {
		t.Errorf("Specs(nope) = %v, want a refusal that lists the names", err)
	}
}

func TestAgent14_FilesMerge(t *testing.T) {
	t.Parallel()
	second := `version: 3
agent:
  log_level: warn
endpoints:
  - name: web
    upstream: {url: 9090}
  - name: extra
    upstream: {url: 9091}
tunnels:
  old: {proto: tcp, addr: 25}
  older: {proto: tls, addr: 26}
`
	c := load(t, sample, second)
	if c.Agent.LogLevel != "warn" || c.Agent.Authtoken == "" {
		t.Errorf("scalars: log_level %q, authtoken set %v; want warn, true", c.Agent.LogLevel, c.Agent.Authtoken != "")
	}
	specs, err := c.Specs()
	if err != nil {
		t.Fatal(err)
	}
	want := "web=https://->http://localhost:9090 ssh=tcp://->tcp://localhost:22 extra=https://->http://localhost:9091 old=tcp://->tcp://localhost:25 older=tls://->tcp://localhost:26"
	if got := names(specs); got != want {
		t.Errorf("merged\n got %s\nwant %s", got, want)
	}
	c = load(t, sample, "merge: replace\n"+second)
	specs, err = c.Specs()
	if err != nil {
		t.Fatal(err)
	}
	want = "web=https://->http://localhost:9090 extra=https://->http://localhost:9091 old=tcp://->tcp://localhost:25 older=tls://->tcp://localhost:26"
	if got := names(specs); got != want {
		t.Errorf("replaced\n got %s\nwant %s", got, want)
	}
}

func TestAgent15_MistakesNameTheLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string // one for each problem, in order
	}{
		{"unknown key", "version: 3\nendpoints:\n  - name: a\n    upsteam: {url: 80}\n", []string{`:4:5: endpoints[0].upsteam: unknown key; did you mean "upstream"?`}},
		{"version missing", "agent: {}\n", []string{`version: the key is missing`}},
		{"version unknown", "version: 7\n", []string{`:1:1: version: version "7" is not known`}},
		{"tab", "version: 3\nagent:\n\tauthtoken: x\n", []string{`:3:1: a tab indents the line; use spaces`}},
		{"name twice", "version: 3\nendpoints:\n- {name: a, upstream: {url: 1}}\n- {name: a, upstream: {url: 2}}\n", []string{`endpoints[1].name: "a" is used twice`}},
		{"name in both", "version: 3\nendpoints:\n- {name: a, upstream: {url: 1}}\ntunnels:\n  a: {proto: http, addr: 1}\n", []string{`:5:3: tunnels.a: "a" is the name of an endpoint too`}},
		{"several", "version: 3\nagent:\n  log_level: loud\n  console_ui: maybe\nendpoints:\n- name: a\n  url: ftp://x\n  upstream: {url: 70000}\n", []string{
			`:3:3: agent.log_level: The value "loud"`, `:4:3: agent.console_ui: The value "maybe"`, `:7:3: endpoints[0].url: `, `:8:14: endpoints[0].upstream.url: `,
		}},
		{"unknown keys and values", "version: 3\nagent:\n  log_levl: info\n  log_format: xml\n  heartbeat_interval: soon\nendpoints:\n- name: a\n  upsteam: {url: 1}\n  url: ftp://x\n- {name: b, url: \"tcp://h:x\", upstream: {url: 1}}\n", []string{
			`:3:3: agent.log_levl: unknown key`, `:4:3: agent.log_format: The value "xml"`, `:5:23: agent.heartbeat_interval: "soon" is not a duration`,
			`:8:3: endpoints[0].upsteam: unknown key`, `:9:3: endpoints[0].url: `, `:10:13: endpoints[1].url: `,
		}},
		{"older keys and values", "version: 2\nlog_levl: info\nlog_format: xml\ntunnels:\n  a: {proto: udp, addr: 80, adr: 80}\n", []string{
			`:2:1: log_levl: unknown key`, `:3:1: log_format: The value "xml"`, `:5:7: tunnels.a.proto: `, `:5:29: tunnels.a.adr: unknown key`,
		}},
		{"policy", "version: 3\nendpoints:\n- name: a\n  upstream: {url: 1}\n  traffic_policy: {}\n  traffic_policy_file: none.yml\n", []string{`:6:3: endpoints[0].traffic_policy_file: Both policy fields are set`, `: The traffic policy none.yml cannot be read`}},
		{"policy of a tunnel", "version: 2\ntunnels:\n  a:\n    proto: http\n    addr: 80\n    policy: {inbound: []}\n    traffic_policy: {}\n", []string{`:6:5: tunnels.a.policy: `}},
		{"no upstream", "version: 3\nendpoints:\n- name: a\n", []string{`:3:3: endpoints[0].upstream.url: The upstream "" is not valid: it is empty`}},
		{"tunnel", "version: 2\ntunnels:\n  a:\n    proto: http\n    addr: 80\n    basic_auth: [\"u:short\", \":password\"]\n    oauth: {provider: google}\n    circuit_breaker: 2\n    ip_restriction: {deny_cidrs: [10.0.0.0/8]}\n", []string{
			`:6:5: tunnels.a.basic_auth: A basic-auth password`, `:6:5: tunnels.a.basic_auth: A basic-auth credential has no user name`,
			`:7:5: tunnels.a.oauth: `, `:8:5: tunnels.a.circuit_breaker: `, `:9:5: tunnels.a.ip_restriction: `,
		}},
		{"web modules of a stream", "version: 2\ntunnels:\n  a:\n    proto: tcp\n    addr: 22\n    basic_auth: [\"u:password\"]\n    compression: true\n", []string{
			`:6:5: tunnels.a.basic_auth: `, `:7:5: tunnels.a.compression: `,
		}},
		{"proto", "version: 2\ntunnels:\n  a b:\n    proto: udp\n    addr: 80\n", []string{`:4:5: tunnels["a b"].proto: `}},
		{"labels", "version: 2\ntunnels:\n  a: {labels: [x=y], addr: 80, proto: http}\n", []string{`tunnels.a.labels: `}},
		{"env", "version: 3\nagent:\n  authtoken: ${env:NOT_SET}\n", []string{`:3:14: agent.authtoken: the environment variable NOT_SET is not set`}},
		{"crl", "version: 3\nagent:\n  crl_url: http://x\n", []string{`:3:3: agent.crl_url: `}},
		{"resolver", "version: 3\nagent:\n  dns_resolver_ips: [1.1.1.1, nope]\n", []string{`:3:31: agent.dns_resolver_ips[1]: The value "nope"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, tt.text)[0]
			c, err := config.Load([]string{path}, env())
			if err == nil {
				err = c.Check()
			}
			ps, ok := errors.AsType[strictyaml.Problems](err)
			if !ok || !fault.Has(err, fault.ConfigInvalid) {
				t.Fatalf("error %v, want ConfigInvalid with problems", err)
			}
			if len(ps) != len(tt.want) {
				t.Fatalf("problems\n%v\nwant %d of them", ps, len(tt.want))
			}
			for i, p := range ps {
				if !strings.HasPrefix(p.String(), path) || !strings.Contains(p.String(), tt.want[i]) {
					t.Errorf("problem %d is %q, want it to contain %q", i, p, tt.want[i])
				}
			}
		})
	}
}

func TestAgent16_Precedence(t *testing.T) {
	t.Parallel()
	secret := write(t, " tok_from_a_file_0123456789\n")[0]
	tests := []struct {
		name  string
		env   []string
		flag  string
		token string
	}{
		{"file", nil, "", "tok_12345678901234567890"},
		{"ngrok variable", []string{"NGROK_AUTHTOKEN", "n"}, "", "n"},
		{"culvert variable", []string{"NGROK_AUTHTOKEN", "n", "CULVERT_AUTHTOKEN", "c"}, "", "c"},
		{"empty culvert variable", []string{"NGROK_AUTHTOKEN", "n", "CULVERT_AUTHTOKEN", ""}, "", "n"},
		{"secret file", []string{"NGROK_AUTHTOKEN", "n", "CULVERT_AUTHTOKEN_FILE", secret}, "", "tok_from_a_file_0123456789"},
		{"flag", []string{"NGROK_AUTHTOKEN", "n", "CULVERT_AUTHTOKEN", "c"}, "f", "f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := load(t, sample)
			if err := c.SetFromEnviron(env(tt.env...)); err != nil {
				t.Fatal(err)
			}
			if tt.flag != "" {
				c.Set("authtoken", tt.flag, "--authtoken")
			}
			if c.Agent.Authtoken != tt.token {
				t.Errorf("token %q, want %q", c.Agent.Authtoken, tt.token)
			}
			ngrok := c.Agent.Authtoken == "n"
			if noticed := len(c.Notices) == 1 && strings.Contains(c.Notices[0], "NGROK_AUTHTOKEN"); noticed != ngrok {
				t.Errorf("notices %q, want one about NGROK_AUTHTOKEN: %v", c.Notices, ngrok)
			}
		})
	}
}

func TestOverridesAreBlamedByName(t *testing.T) {
	t.Parallel()
	c := load(t, sample)
	if err := c.SetFromEnviron(env("CULVERT_LOG_LEVEL", "loud")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Settings()
	if !fault.Has(err, fault.ValueInvalid) || !strings.Contains(err.Error(), "CULVERT_LOG_LEVEL") {
		t.Errorf("error %v, want one that names CULVERT_LOG_LEVEL", err)
	}
}

func TestVersion2(t *testing.T) {
	t.Parallel()
	c := load(t, `version: "2"
authtoken: tok_2_0123456789abcdef
server_addr: old.example.com:443
root_cas: host
log: false
http_proxy: http://proxy:3128
console_ui: iftty
tunnels:
  both:
    proto: http
    addr: 80
    schemes: [http, https]
    domain: x.example.com
  db:
    proto: tcp
    addr: db.lan:5432
    remote_addr: 1.tcp.example.com:12345
`)
	s, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	if s.Authtoken != "tok_2_0123456789abcdef" || s.Server != "old.example.com:443" || s.LogTarget != "false" || s.Proxy != "http://proxy:3128" || s.CAs != nil {
		t.Errorf("settings %+v", s)
	}
	specs, err := c.Specs()
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	want := "both=https://x.example.com->http://localhost:80 both-http=http://x.example.com->http://localhost:80 db=tcp://1.tcp.example.com:12345->tcp://db.lan:5432"
	if got := names(specs); got != want {
		t.Errorf("specs\n got %s\nwant %s", got, want)
	}
	if len(c.Notices) != 1 || !strings.Contains(c.Notices[0], "version 2") {
		t.Errorf("notices %q, want one about version 2", c.Notices)
	}
}

func TestFileProblems(t *testing.T) {
	t.Parallel()
	if _, err := config.Load([]string{filepath.Join(t.TempDir(), "none.yml")}, env()); !fault.Has(err, fault.ConfigUnreadable) {
		t.Errorf("missing file: %v, want ConfigUnreadable", err)
	}
	path := write(t, "version: 3\nagent: {authtoken: x}\n")[0]
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]string{path}, env())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Notices) != 1 || !strings.Contains(c.Notices[0], "chmod 600") {
		t.Errorf("notices %q, want one about the mode", c.Notices)
	}
}

func TestEnvironmentInValues(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("x.yml", []byte("version: 3\nagent: {authtoken: \"${env:TOKEN}\"}\nendpoints:\n- {name: a, upstream: {url: \"${env:PORT}\"}}\n"), env("TOKEN", "secret_1", "PORT", "81"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Agent.Authtoken != "secret_1" || c.Definitions[0].Upstream != "81" {
		t.Errorf("token %q, upstream %q", c.Agent.Authtoken, c.Definitions[0].Upstream)
	}
}

func TestServerAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"h:9444": "h:9444", "h": "h:443", "tls://h:1": "h:1", "https://h/": "h:443", "[::1]:9": "[::1]:9", "::1": "[::1]:443", "[::1]": "[::1]:443", "127.0.0.1": "127.0.0.1:443",
	} {
		if got, err := config.ParseServer(text); err != nil || got != want {
			t.Errorf("ParseServer(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":1", "h:0", "h:x", "http://h", "h/p", "h:1:2", "u@h:1", "h h:1"} {
		if got, err := config.ParseServer(text); !fault.Has(err, fault.ServerAddress) {
			t.Errorf("ParseServer(%q) = %q, %v, want a refusal", text, got, err)
		}
	}
}

func TestFingerprints(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	for _, text := range []string{"sha256:" + hex, "SHA256:" + strings.ToUpper(hex), "sha256:" + strings.TrimSuffix(strings.Repeat("AB:", 32), ":")} {
		if got, err := config.ParseFingerprint(text); err != nil || got != "sha256:"+hex {
			t.Errorf("ParseFingerprint(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", hex, "sha256:", "sha1:" + hex, "sha256:" + hex[2:], "sha256:zz" + hex[2:]} {
		if _, err := config.ParseFingerprint(text); !fault.Has(err, fault.FingerprintInvalid) {
			t.Errorf("ParseFingerprint(%q): %v, want a refusal", text, err)
		}
	}
}

func TestNewTrustReplacesOld(t *testing.T) {
	t.Parallel()
	hex := "sha256:" + strings.Repeat("ab", 32)
	c := load(t, "version: 3\nagent: {connect_cas: /no/such/file}\n")
	c.Set("connect_ca_fingerprint", hex, "--ca-fingerprint")
	if s, err := c.Settings(); err != nil || s.Fingerprint != hex {
		t.Errorf("fingerprint over a file: %+v, %v", s.Fingerprint, err)
	}
	c = load(t, "version: 3\nagent: {connect_ca_fingerprint: "+hex+"}\n")
	c.Set("connect_cas", "host", "--connect-cas")
	if s, err := c.Settings(); err != nil || s.Fingerprint != "" || s.CustomCAs {
		t.Errorf("host over a fingerprint: %+v, %v", s, err)
	}
}

func TestAgent34_ProxyChoice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, server, configured string
		env                      []string
		want                     string
		refused                  bool
	}{
		{name: "none", server: "h:1"},
		{name: "configured", server: "h:1", configured: "socks5://p:1", want: "socks5://p:1"},
		{name: "variable wins", server: "h:1", configured: "http://p:1", env: []string{"https_proxy", "http://e:1"}, want: "http://e:1"},
		{name: "upper case", server: "h:1", env: []string{"HTTP_PROXY", "http://e:1"}, want: "http://e:1"},
		{name: "all", server: "h:1", env: []string{"ALL_PROXY", "socks5://e:1"}, want: "socks5://e:1"},
		{name: "excluded", server: "a.corp:1", env: []string{"https_proxy", "http://e:1", "no_proxy", ".corp"}},
		{name: "loopback", server: "localhost:1", env: []string{"https_proxy", "http://e:1"}},
		{name: "without scheme", server: "h:1", env: []string{"https_proxy", "e:1"}, refused: true},
		{name: "odd scheme", server: "h:1", env: []string{"https_proxy", "ftp://e:1"}, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.ProxyFor(tt.server, tt.configured, env(tt.env...))
			if fault.Has(err, fault.ProxyInvalid) != tt.refused || got != tt.want {
				t.Errorf("ProxyFor = %q, %v, want %q, refused %v", got, err, tt.want, tt.refused)
			}
			if tt.name == "without scheme" && !strings.Contains(err.Error(), "http://") {
				t.Errorf("refusal %q does not say to add http://", err)
			}
		})
	}
	if err := config.CheckProxy("u:secret@proxy:1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("CheckProxy shows a password or accepts: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("version: 2\ntunnels: {a: {proto: http, addr: 80}}\n"))
	f.Add([]byte("version: 3\nagent: &a {log: &b false}\nendpoints: [*a]\n"))
	f.Add([]byte("\xff\x00: [}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("fuzz.yml", data, env("X", "y"))
		if err != nil {
			if !fault.Has(err, fault.ConfigInvalid) {
				t.Errorf("error without ConfigInvalid: %v", err)
			}
			return
		}
		_, _ = c.Settings()
		for _, d := range c.Definitions {
			d.Certificate, d.Key, d.ClientCAs, d.TLSVerifyCAs, d.TLSClientCert, d.TLSClientKey = "", "", nil, "", "", ""
			_, _ = d.Compile()
		}
	})
}
