package target_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/agent/target"
	"github.com/culvert-project/culvert/internal/fault"
)

func TestAgent05_UpstreamForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		kind target.Kind
		want string
	}{
		{"8080", target.Web, "http://localhost:8080"},
		{"443", target.Web, "https://localhost:443"},
		{"localhost:443", target.Web, "https://localhost:443"},
		{"http://localhost:443", target.Web, "http://localhost:443"},
		{"localhost:1234", target.Web, "http://localhost:1234"},
		{"Host.LAN:1234", target.Web, "http://host.lan:1234"},
		{"example.org", target.Web, "http://example.org:80"},
		{"https://example.org", target.Web, "https://example.org:443"},
		{"https://", target.Web, "https://localhost:443"},
		{"http://", target.Web, "http://localhost:80"},
		{"HTTPS://host:8443", target.Web, "https://host:8443"},
		{"https://host:8443/", target.Web, "https://host:8443"},
		{"[::1]:80", target.Web, "http://[::1]:80"},
		{"::1", target.Web, "http://[::1]:80"},
		{"[::1]", target.Web, "http://[::1]:80"},
		{"https://[2001:db8::1]:8443", target.Web, "https://[2001:db8::1]:8443"},
		{"unix:/run/app.sock", target.Web, "unix:/run/app.sock"},
		{"unix://app.sock", target.Web, "unix:app.sock"},
		{"22", target.Stream, "tcp://localhost:22"},
		{"host:22", target.Stream, "tcp://host:22"},
		{"tcp://host:22", target.Stream, "tcp://host:22"},
		{"tls://host:22", target.Stream, "tls://host:22"},
		{"https://host", target.Stream, "tls://host:443"},
		{":22", target.Stream, "tcp://localhost:22"},
		{"443", target.Stream, "tcp://localhost:443"},
		{"unix:/run/db.sock", target.Stream, "unix:/run/db.sock"},
	}
	for _, tt := range tests {
		got, err := target.Parse(tt.text, tt.kind)
		if err != nil {
			t.Errorf("Parse(%q): %v, want %s", tt.text, err, tt.want)
			continue
		}
		if got.String() != tt.want {
			t.Errorf("Parse(%q) = %s, want %s", tt.text, got, tt.want)
		}
		if again, err := target.Parse(got.String(), tt.kind); err != nil || again != got {
			t.Errorf("Parse(%q) again = %+v, %v, want %+v", got, again, err, got)
		}
	}
}

func TestAgent06_Folders(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("paths are written otherwise")
	}
	for text, want := range map[string]string{
		"file:///srv/x":        "/srv/x",
		"file:/srv/x":          "/srv/x",
		"file:///srv/x/../y/":  "/srv/y",
		"file:///srv/my%20dir": "/srv/my dir",
		"file:///srv/my dir":   "/srv/my dir",
		"file:///srv/100%":     "/srv/100%",
		"file:///":             "/",
	} {
		got, err := target.Parse(text, target.Web)
		if err != nil || got.Path != want || got.Scheme != target.File {
			t.Errorf("Parse(%q) = %+v, %v, want the folder %q", text, got, err, want)
		}
	}
	for _, text := range []string{"file://srv/x", "file://./x", "file://", "file:x", "file://~/x"} {
		if got, err := target.Parse(text, target.Web); err == nil {
			t.Errorf("Parse(%q) = %+v, want a refusal: the path is relative", text, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		kind target.Kind
		says string
	}{
		{"", target.Web, "empty"},
		{"0", target.Web, "1 to 65535"},
		{"65536", target.Web, "1 to 65535"},
		{"99999999999999999999", target.Web, "1 to 65535"},
		{"host:", target.Web, "port is missing"},
		{"host:http", target.Web, "1 to 65535"},
		{"host:-1", target.Web, "1 to 65535"},
		{"a:b:c", target.Web, "brackets"},
		{"http://host/path", target.Web, "path"},
		{"http://host?q", target.Web, "path"},
		{"http://u:p@host", target.Web, "user name"},
		{"ftp://host", target.Web, "not known"},
		{"tcp://host:1", target.Web, "tcp or tls endpoint"},
		{"tls://host:1", target.Web, "tcp or tls endpoint"},
		{"ho st:1", target.Web, "character"},
		{"host\x00:1", target.Web, "character"},
		{"*.example:1", target.Web, "character"},
		{strings.Repeat("a", 300) + ":1", target.Web, "too long"},
		{"http://host:1", target.Stream, "http endpoint"},
		{"host", target.Stream, "port is required"},
		{"tcp://host", target.Stream, "port is required"},
		{"file:///srv", target.Stream, "http endpoint"},
		{"pipe:x", target.Web, "not supported yet"},
		{"unix:", target.Web, "missing"},
	}
	for _, tt := range tests {
		got, err := target.Parse(tt.text, tt.kind)
		if !fault.Has(err, fault.UpstreamInvalidURL) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Parse(%q) = %+v, %v, want a refusal that says %q", tt.text, got, err, tt.says)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, host, network, address string
		kind                         target.Kind
		secure                       bool
	}{
		{"8080", "localhost", "tcp", "localhost:8080", target.Web, false},
		{"http://app.lan", "app.lan", "tcp", "app.lan:80", target.Web, false},
		{"https://[::1]", "::1", "tcp", "[::1]:443", target.Web, true},
		{"https://a:80", "a", "tcp", "a:80", target.Web, true},
		{"tls://db:5432", "db", "tcp", "db:5432", target.Stream, true},
		{"unix:/run/x", "localhost", "unix", "/run/x", target.Web, false},
	}
	for _, tt := range tests {
		got, err := target.Parse(tt.text, tt.kind)
		if err != nil {
			t.Fatalf("Parse(%q): %v", tt.text, err)
		}
		network, address := got.Network()
		if got.Host() != tt.host || network != tt.network || address != tt.address || got.Secure() != tt.secure {
			t.Errorf("%q: host %q, %s %s, secure %v; want %q, %s %s, %v",
				tt.text, got.Host(), network, address, got.Secure(), tt.host, tt.network, tt.address, tt.secure)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"8080", "https://h:1", "[::1]:80", "file:///x", "unix:/y", "tcp://", ":", "a:b:c", "\x00"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, web bool) {
		kind := target.Stream
		if web {
			kind = target.Web
		}
		got, err := target.Parse(text, kind)
		if err != nil {
			return
		}
		if got.Scheme == target.File || strings.ContainsAny(got.Path, " \t\n\r") || strings.TrimSpace(got.Path) != got.Path {
			return // a path may hold anything, an escape among it
		}
		again, err := target.Parse(got.String(), kind)
		if err != nil || again != got {
			t.Errorf("Parse(%q) = %+v, but Parse(%q) = %+v, %v", text, got, got.String(), again, err)
		}
	})
}
