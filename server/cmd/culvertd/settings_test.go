package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/node"
)

// loadFrom reads settings from a file's text, variables and flags.
func loadFrom(t *testing.T, file string, env map[string]string, args ...string) (*options, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "culvertd.yml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	addFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	o := &options{}
	err := load(o, fs, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	return o, err
}

func TestEverySettingFromEverySource(t *testing.T) {
	t.Parallel()
	want := node.Config{
		DataDir: "/data", Domains: []string{"a.test", "b.test"},
		HTTPAddr: "127.0.0.1:1", HTTPSAddr: "127.0.0.1:2", AgentAddr: ":3", APIAddr: "[::1]:4", SSHAddr: ":22",
		TCPAddr: "127.0.0.2", TCPPorts: node.PortRange{First: 5, Last: 6}, TLSCert: "c.pem", TLSKey: "k.pem",
		AdvertiseHTTPPort: 80, AdvertiseHTTPSPort: 443, AdvertiseAgent: "a.test:443",
		APITLS: node.TLSOn, APIOnHTTPS: true, APIOrigins: []string{"https://c.test", "http://localhost:3000"}, APIURL: "https://api.a.test", MasterKeyFile: "/keys/master",
		ShutdownGrace: time.Minute, GeoIP: []string{"city.mmdb", "asn.mmdb"}, IPCategories: "/lists",
		PolicyEgress: node.EgressPublic, OutboundAllow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.7/32")},
	}
	hmac := filepath.Join(t.TempDir(), "hmac")
	want.ACME = node.ACME{
		Email: "admin@a.test", Directories: []string{"https://ca1.test/dir", "https://ca2.test/dir"}, CAFile: "ca.pem",
		BindingID: "kid", BindingFile: hmac, DNS: acme.Program{Path: "/bin/dns", Env: environment()},
	}
	values := map[string]string{
		"acme-email": "admin@a.test", "acme-directory": "https://ca1.test/dir,https://ca2.test/dir", "acme-ca": "ca.pem",
		"acme-eab-kid": "kid", "acme-eab-hmac-file": hmac, "acme-dns": "exec:/bin/dns",
		"data-dir": "/data", "domain": "a.test,b.test", "http-addr": "127.0.0.1:1", "https-addr": "127.0.0.1:2",
		"agent-addr": ":3", "api-addr": "[::1]:4", "ssh-addr": ":22", "tcp-addr": "127.0.0.2", "tcp-ports": "5-6", "tls-cert": "c.pem",
		"tls-key": "k.pem", "advertise-http-port": "80", "advertise-https-port": "443", "advertise-agent": "a.test:443",
		"api-tls": "on", "api-on-https": "true", "api-origins": "https://c.test,http://localhost:3000", "advertise-api": "https://api.a.test/", "master-key-file": "/keys/master",
		"log-format": "json", "log-level": "debug", "access-log": "stderr", "shutdown-grace": "1m",
		"geoip-db": "city.mmdb,asn.mmdb", "ip-categories": "/lists",
		"policy-egress": "public", "outbound-allow": "10.1.0.0/16,192.0.2.7",
	}
	env, file, args := map[string]string{}, "", []string{}
	for _, s := range settings() {
		if s.file {
			continue
		}
		v, ok := values[s.name]
		if !ok {
			t.Fatalf("the test has no value for --%s", s.name)
		}
		env[envName(s.name)] = v
		args = append(args, "--"+s.name+"="+v)
		if s.list {
			v = "[" + v + "]"
		} else if strings.ContainsAny(v, "[]") || strings.HasPrefix(v, ":") {
			v = `"` + v + `"`
		}
		file += keyName(s.name) + ": " + v + "\n"
	}
	check := func(source string, o *options, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if diff := cmp.Diff(want, o.node, cmp.AllowUnexported(), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", source, diff)
		}
		if o.logFormat != "json" || o.logLevel.String() != "DEBUG" || o.accessLog != "stderr" {
			t.Errorf("%s: log settings %v %v %q", source, o.logFormat, o.logLevel, o.accessLog)
		}
	}
	o, err := loadFrom(t, "", nil, args...)
	check("flags", o, err)
	o, err = loadFrom(t, "", env)
	check("variables", o, err)
	o, err = loadFrom(t, file, nil)
	check("file", o, err)
}

func TestSettingsOfTheFileAlone(t *testing.T) {
	t.Parallel()
	o, err := loadFrom(t, `
trusted_proxies: [10.0.0.0/8, 192.0.2.7]
extra_listeners: ["https:8443", "tls:5671"]
redirect_http: off
forwarded_headers: replace
region: here
limits:
  idle_timeout: 90s
  connections: -1
  agent_streams: 7
  api_rate: 120
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}; !reflect.DeepEqual(o.node.TrustedProxies, want) {
		t.Errorf("trusted proxies: got %v", o.node.TrustedProxies)
	}
	if want := []node.ExtraListener{{Scheme: endpoint.HTTPS, Port: 8443}, {Scheme: endpoint.TLS, Port: 5671}}; !reflect.DeepEqual(o.node.ExtraListeners, want) {
		t.Errorf("extra listeners: got %v", o.node.ExtraListeners)
	}
	if o.node.Region != "here" || o.node.RedirectHTTP != -1 || o.node.ForwardedHeaders != "replace" {
		t.Errorf("got redirect %d, forwarded headers %q", o.node.RedirectHTTP, o.node.ForwardedHeaders)
	}
	if o.node.Edge.IdleTimeout != 90*time.Second || o.node.Edge.Connections != -1 || o.node.Agents.Streams != 7 || o.node.API.Rate != 120 {
		t.Errorf("got limits %+v, %+v, %+v", o.node.Edge, o.node.Agents, o.node.API)
	}
}

func TestFlagGoesBeforeVariableBeforeFile(t *testing.T) {
	t.Parallel()
	const file = "http_addr: 127.0.0.1:1\nhttps_addr: 127.0.0.1:1\nagent_addr: 127.0.0.1:1\ndomain: file.test\n"
	env := map[string]string{
		"CULVERTD_HTTP_ADDR": "127.0.0.1:2", "CULVERTD_HTTPS_ADDR": "127.0.0.1:2", "CULVERTD_DOMAIN": "env.test",
		"CULVERTD_API_ADDR": "", "CULVERTD_NO_SUCH_THING": "ignored",
	}
	o, err := loadFrom(t, file, env, "--http-addr", "127.0.0.1:3", "--domain", "flag.test")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{o.node.HTTPAddr, o.node.HTTPSAddr, o.node.AgentAddr, o.node.APIAddr, strings.Join(o.node.Domains, ",")}
	want := []string{"127.0.0.1:3", "127.0.0.1:2", "127.0.0.1:1", "", "flag.test"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

func TestBadValuesNameTheirPlaceAndRemedy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		args       []string
		env        map[string]string
		code       fault.Code
		want       []string
	}{
		{
			name: "unknown key", file: "domain: a.test\nhtp_addr: x\n", code: fault.ServerConfigInvalid,
			want: []string{"culvertd.yml:2:1: htp_addr: ", `did you mean "http_addr"?`},
		},
		{
			name: "unknown limit", file: "limits:\n  idle_timeut: 1s\n", code: fault.ServerConfigInvalid,
			want: []string{":2:3: limits.idle_timeut: ", `did you mean "idle_timeout"?`},
		},
		{
			name: "limit of the wrong type", file: "limits:\n  idle_timeout: soon\n", code: fault.ServerConfigInvalid,
			want: []string{":2:", "limits.idle_timeout"},
		},
		{
			name: "limit of nothing", file: "limits:\n  agent_streams: 0\n  head_bytes: 0\n", code: fault.ServerConfigInvalid,
			want: []string{":2:3: limits.agent_streams: must be above zero", ":3:3: limits.head_bytes: must not be zero"},
		},
		{
			name: "several at once", file: "http_addr: nowhere\nredirect_http: 301\nextra_listeners: [https:8443, ftp:21]\n",
			code: fault.ServerConfigInvalid,
			want: []string{":1:1: http_addr: ", ":2:1: redirect_http: ", "extra_listeners[1]: ", "not one of http, https, tls"},
		},
		{
			name: "not yaml", file: "domain: [a\n", code: fault.ServerConfigInvalid,
			want: []string{"culvertd.yml:", "not valid YAML"},
		},
		{
			name: "list for a scalar", file: "http_addr: [a]\n", code: fault.ServerConfigInvalid,
			want: []string{":1:", "http_addr"},
		},
		{
			name: "map in a list", file: "domain: [{a: b}]\n", code: fault.ServerConfigInvalid,
			want: []string{":1:", "domain[0]: must be plain text"},
		},
		{
			name: "flag", args: []string{"--https-addr", "9443"}, code: fault.SettingInvalid,
			want: []string{"--https-addr", "127.0.0.1:9443"},
		},
		{
			name: "variable", env: map[string]string{"CULVERTD_TCP_PORTS": "9-8"}, code: fault.SettingInvalid,
			want: []string{"CULVERTD_TCP_PORTS", "above the last"},
		},
		{
			name: "missing file", args: []string{"--config", "/nowhere/x.yml"}, code: fault.ServerConfigUnreadable,
			want: []string{"/nowhere/x.yml", "no such file"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadFrom(t, tt.file, tt.env, tt.args...)
			if !fault.Has(err, tt.code) {
				t.Fatalf("got %v, want %s", err, tt.code)
			}
			var b strings.Builder
			printError(&b, err)
			for _, want := range append(tt.want, string(tt.code)) {
				if !strings.Contains(b.String(), want) {
					t.Errorf("%q is not in\n%s", want, b.String())
				}
			}
		})
	}
}

func TestBadLimitIsToldOnce(t *testing.T) {
	t.Parallel()
	_, err := loadFrom(t, "limits:\n  idle_timeout: soon\n  agent_streams: many\n  head_bytes: 0\n", nil)
	var ps strictyaml.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("got %v, want problems of the file", err)
	}
	var got []string
	for _, p := range ps {
		got = append(got, p.Key)
	}
	if diff := cmp.Diff([]string{"limits.idle_timeout", "limits.agent_streams", "limits.head_bytes"}, got); diff != "" {
		t.Errorf("keys with problems differ (-want +got):\n%s\n%v", diff, ps)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ good, bad []string }{
		"domain":            {[]string{"a.test", "A.Test.", "localhost"}, []string{"", "https://a.test", "a.test:80", "*.a.test", "a.internal", "a_b.test", "a b", "-x.test"}},
		"http-addr":         {[]string{":80", "127.0.0.1:0", "[::1]:80", "host:80"}, []string{"80", "host", "host:http", "host:99999"}},
		"tcp-addr":          {[]string{"127.0.0.1", "::1", "host", ""}, []string{"127.0.0.1:80"}},
		"tcp-ports":         {[]string{"1-2", "7", "7 - 9"}, []string{"", "0-1", "a-b", "2-1", "1-70000"}},
		"api-tls":           {[]string{"auto", "on", "off"}, []string{"", "true"}},
		"advertise-api":     {[]string{"https://api.test", "http://127.0.0.1:9400/"}, []string{"", "api.test", "ftp://api.test", "https://api.test/v1", "https://u@api.test"}},
		"log-format":        {[]string{"term", "logfmt", "json"}, []string{"xml", ""}},
		"log-level":         {[]string{"debug", "INFO", "warn", "error"}, []string{"loud"}},
		"shutdown-grace":    {[]string{"30s", "0s", "2m"}, []string{"30", "-1s", ""}},
		"trusted-proxies":   {[]string{"10.0.0.0/8", "::1"}, []string{"ten", "10.0.0.0/33"}},
		"extra-listeners":   {[]string{"https:8443", "http:81", "tls:5671"}, []string{"tcp:1", "https", "https:0", "8443"}},
		"redirect-http":     {[]string{"307", "308", "off", "true", "false"}, []string{"301", ""}},
		"forwarded-headers": {[]string{"append", "replace", "off"}, []string{"drop"}},
		"access-log":        {[]string{"true", "false", "stdout", "/tmp/x"}, nil},
	} {
		var set func(*options, string) error
		for _, s := range settings() {
			if s.name == name {
				set = s.set
			}
		}
		for _, v := range tt.good {
			if err := set(&options{}, v); err != nil {
				t.Errorf("%s %q: got %v", name, v, err)
			}
		}
		for _, v := range tt.bad {
			if err := set(&options{}, v); err == nil {
				t.Errorf("%s %q is accepted", name, v)
			}
		}
	}
}

func TestFileKeysAreTheSettings(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{"limits": true}
	for _, s := range settings() {
		keys[keyName(s.name)] = true
	}
	typ := reflect.TypeFor[fileKeys]()
	for i := range typ.NumField() {
		key := typ.Field(i).Tag.Get("yaml")
		if !keys[key] {
			t.Errorf("the file has key %s, which is no setting", key)
		}
		delete(keys, key)
	}
	for key := range keys {
		t.Errorf("the setting %s has no key in the file", key)
	}
}

func FuzzLoadFile(f *testing.F) {
	f.Add("domain: a.test\n")
	f.Add("limits: {idle_timeout: 1s}\nextra_listeners: [https:1]\n")
	f.Add("&a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "f.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		addFlags(fs)
		if err := fs.Parse([]string{"--config", path}); err != nil {
			t.Fatal(err)
		}
		if err := load(&options{}, fs, func(string) (string, bool) { return "", false }); err != nil {
			printError(&strings.Builder{}, err)
		}
	})
}

// TestAPIOrigins: they become what browsers send, and what is none is refused.
func TestAPIOrigins(t *testing.T) {
	t.Parallel()
	o, err := loadFrom(t, "api_origins: [https://Console.example.com:443, http://localhost:3000]\n", nil)
	if want := []string{"https://console.example.com", "http://localhost:3000"}; err != nil || !reflect.DeepEqual(o.node.APIOrigins, want) {
		t.Errorf("got %v, %v, want %v", o.node.APIOrigins, err, want)
	}
	for _, bad := range []string{"*", "console.example.com", "https://console.example.com/", "https://u@console.example.com", "null", "ftp://x"} {
		if _, err := loadFrom(t, "api_origins: '"+bad+"'\n", nil); !fault.Has(err, fault.ServerConfigInvalid) {
			t.Errorf("%q: got %v, want %s", bad, err, fault.ServerConfigInvalid)
		}
	}
}

// TestRefusedSettingsInTheLog: the log has all that is wrong on one line, and nothing of how a terminal shows it.
func TestRefusedSettingsInTheLog(t *testing.T) {
	t.Parallel()
	_, err := loadFrom(t, "htp_addr: x\nlog_level: loud\n", nil, "--tcp-ports", "many")
	what, codes := refusal(err)
	for _, want := range []string{"htp_addr", "log_level", "--tcp-ports"} {
		if !strings.Contains(what, want) {
			t.Errorf("got %q, want %s in it", what, want)
		}
	}
	if strings.ContainsAny(what, "\n") || strings.Contains(what, "ERROR") || codes != string(fault.ServerConfigInvalid)+" "+string(fault.SettingInvalid) {
		t.Errorf("got %q, codes %q", what, codes)
	}
}
