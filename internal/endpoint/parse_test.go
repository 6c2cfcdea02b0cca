package endpoint_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

func codeOf(err error) fault.Code {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return ""
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		def  endpoint.Scheme
		want endpoint.URL
	}{
		{"", "", endpoint.URL{Scheme: endpoint.HTTPS}},
		{"", endpoint.TCP, endpoint.URL{Scheme: endpoint.TCP}},
		{"https://", "", endpoint.URL{Scheme: endpoint.HTTPS}},
		{"http://", "", endpoint.URL{Scheme: endpoint.HTTP}},
		{"tls://", endpoint.HTTPS, endpoint.URL{Scheme: endpoint.TLS}},
		{"tcp://", "", endpoint.URL{Scheme: endpoint.TCP}},
		{"app.example.com", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "app.example.com"}},
		{"app.example.com", endpoint.TLS, endpoint.URL{Scheme: endpoint.TLS, Host: "app.example.com"}},
		{"app.example.com:8443", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "app.example.com", Port: 8443}},
		{"foo.internal", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "foo.internal"}},
		{"1.tcp.example:12345", endpoint.TCP, endpoint.URL{Scheme: endpoint.TCP, Host: "1.tcp.example", Port: 12345}},
		{"http://h", "", endpoint.URL{Scheme: endpoint.HTTP, Host: "h"}},
		{"HTTPS://App.Example.COM", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "app.example.com"}},
		{"https://app.example.com.", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "app.example.com"}},
		{"https://app.example.com.:443", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "app.example.com", Port: 443}},
		{"https://bücher.example", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "xn--bcher-kva.example"}},
		{"https://BÜCHER。example", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "xn--bcher-kva.example"}},
		{"https://*.bücher.example", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "*.xn--bcher-kva.example"}},
		{"https://xn--bcher-kva.example", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "xn--bcher-kva.example"}},
		{"https://*.example.com", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "*.example.com"}},
		{"https://*.svc.internal", "", endpoint.URL{Scheme: endpoint.HTTPS, Host: "*.svc.internal"}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := endpoint.ParseURL(tt.in, tt.def)
			if err != nil || got != tt.want {
				t.Errorf("ParseURL(%q, %q) = %+v, %v, want %+v", tt.in, tt.def, got, err, tt.want)
			}
		})
	}
}

// Refusals of endpoints.md 3.1, 3.4, 3.8; scenario 4 of endpoints.md 21 holds as far as no server is needed.
func TestEndpoints04_ParseURLRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	tests := []struct {
		in   string
		code fault.Code
		says string // must occur in message or remedy
	}{
		{"https://user@example.com", fault.URLExtraPart, "user information"},
		{"https://example.com/", fault.URLTrailingSlash, "Did you mean https://example.com?"},
		{"example.com/", fault.URLTrailingSlash, "Did you mean example.com?"},
		{"https:///", fault.URLTrailingSlash, "https://"},
		{"https://example.com/x", fault.URLExtraPart, "a path"},
		{"https://example.com?x", fault.URLExtraPart, "a query"},
		{"https://example.com#x", fault.URLExtraPart, "a fragment"},
		{"https://example.com/?x=http://a", fault.URLExtraPart, "a path"},
		{"ftp://example.com", fault.SchemeRefused, "http, https, tcp, tls"},
		{"://example.com", fault.SchemeRefused, "https"},
		{"//example.com", fault.URLUnparseable, "scheme is missing"},
		{"https://exa mple.com", fault.URLUnparseable, "space"},
		{"https://example.com\r\nX: y", fault.URLUnparseable, "space"},
		{"https://example.com\\x", fault.URLUnparseable, "backslash"},
		{"https://[::1]:80", fault.URLUnparseable, "IPv6"},
		{"https://::1", fault.URLUnparseable, "IPv6"},
		{"https://example.com:", fault.URLUnparseable, "port"},
		{"https://example.com:0", fault.URLUnparseable, "port"},
		{"https://example.com:65536", fault.URLUnparseable, "port"},
		{"https://example.com:+80", fault.URLUnparseable, "port"},
		{"https://example.com:000080", fault.URLUnparseable, "port"},
		{"tcp://:20000", fault.URLUnparseable, "no host"},
		{"https://" + strings.Repeat("a", 5000), fault.URLUnparseable, "too long"},
		{"https://*", fault.WildcardPlace, "first label"},
		{"https://app.*.example.com", fault.WildcardPlace, "first label"},
		{"https://a*.example.com", fault.WildcardPlace, "first label"},
		{"https://*.*.example.com", fault.WildcardPlace, "first label"},
		{"https://*.", fault.WildcardPlace, "first label"},
		{"https://a,b.example.com", fault.HostCharacters, "a-z"},
		{"https://a%20b.example.com", fault.HostCharacters, "a-z"},
		{"https://a_b.example.com", fault.HostUnderscore, "hyphen"},
		{"https://a..example.com", fault.HostEmptyLabel, "dot"},
		{"https://.example.com", fault.HostEmptyLabel, "dot"},
		{"https://example.com..", fault.HostEmptyLabel, "dot"},
		{"https://-a.example.com", fault.HostLabelStart, "-a"},
		{"https://a-.example.com", fault.HostLabelEnd, "a-"},
		{"https://ab--c.example.com", fault.HostHyphens, "ab--c"},
		{"https://xn--a.example.com", fault.HostPunycode, "xn--a"},
		{"https://xn--.example.com", fault.HostLabelEnd, "xn--"},
		{"https://" + long + ".example.com", fault.HostLabelLength, "64"},
		{"https://" + strings.Repeat(long[:50]+".", 6) + "com", fault.HostLength, "309"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := endpoint.ParseURL(tt.in, endpoint.HTTPS)
			if codeOf(err) != tt.code {
				t.Fatalf("ParseURL(%q) = %+v, %v, want code %s", tt.in, got, err, tt.code)
			}
			f := fault.From(err)
			if text := f.Message + " " + f.Remedy; !strings.Contains(text, tt.says) {
				t.Errorf("ParseURL(%q) says %q, want it to mention %q", tt.in, text, tt.says)
			}
		})
	}
}

func TestParseURLHidesPasswords(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"https://me:hunter2@example.com", "me:hunter2@example.com", "ftp://me:hunter2@example.com", "https://me:hunter2@exam ple.com"} {
		_, err := endpoint.ParseURL(in, endpoint.HTTPS)
		if err == nil || strings.Contains(fault.From(err).Wire(), "hunter2") {
			t.Errorf("ParseURL(%q) = %v, want a refusal without the password", in, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"", "https://", "app.example.com", "tcp://h:22", "https://*.bücher.example", "https://xn--bcher-kva.example:443",
		"https://user@h", "http://h/", "http://a..b", "https://ＡＢＣ.example", "tls://x\x00", "https://a.example.com.:1",
	} {
		f.Add(seed, "https")
	}
	f.Fuzz(func(t *testing.T, in, def string) {
		if !endpoint.Scheme(def).Known() {
			def = "tcp"
		}
		u, err := endpoint.ParseURL(in, endpoint.Scheme(def))
		if err != nil {
			if codeOf(err) == "" || codeOf(err) == fault.Internal {
				t.Fatalf("ParseURL(%q) = %v, want a coded error", in, err)
			}
			return
		}
		if u.Host != "" {
			if err := endpoint.CheckHost(u.Host); err != nil {
				t.Fatalf("ParseURL(%q) gave host %q: %v", in, u.Host, err)
			}
		}
		// The canonical text means the same value again, with the default port as "not given".
		again, err := endpoint.ParseURL(u.String(), endpoint.HTTP)
		if err != nil || again.WithDefaults() != u.WithDefaults() {
			t.Fatalf("ParseURL(%q) = %+v, but its text %q parses as %+v, %v", in, u, u.String(), again, err)
		}
	})
}
