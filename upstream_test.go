package culvert

import (
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// TestEndpoints76_UpstreamForms covers the table of upstream forms.
func TestEndpoints76_UpstreamForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		proto, text string
		want        string // URL, or "" for a refusal
		addr        string
	}{
		{"https", "8080", "http://localhost:8080", "localhost:8080"},
		{"https", "443", "https://localhost:443", "localhost:443"},
		{"https", "localhost:443", "https://localhost:443", "localhost:443"},
		{"http", "http://localhost:443", "http://localhost:443", "localhost:443"},
		{"https", "localhost:1234", "http://localhost:1234", "localhost:1234"},
		{"https", "host.lan:1234", "http://host.lan:1234", "host.lan:1234"},
		{"https", "example.org", "http://example.org:80", "example.org:80"},
		{"https", "https://", "https://localhost:443", "localhost:443"},
		{"https", "http://", "http://localhost:80", "localhost:80"},
		{"https", "HTTPS://host:8443/", "https://host:8443", "host:8443"},
		{"https", ":8080", "http://localhost:8080", "localhost:8080"},
		{"https", "[::1]:80", "http://[::1]:80", "[::1]:80"},
		{"https", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443"},
		{"https", "https://[2001:db8::1]", "https://[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"https", "unix:/run/app.sock", "unix:///run/app.sock", "/run/app.sock"},
		{"https", "unix://rel.sock", "unix://rel.sock", "rel.sock"},
		{"tcp", "22", "tcp://localhost:22", "localhost:22"},
		{"tcp", "443", "tcp://localhost:443", "localhost:443"},
		{"tcp", "host:22", "tcp://host:22", "host:22"},
		{"tcp", "tcp://host:22", "tcp://host:22", "host:22"},
		{"tls", "tls://host:443", "tls://host:443", "host:443"},
		{"tcp", "https://host", "https://host:443", "host:443"},
		{"tcp", "unix:/s", "unix:///s", "/s"},

		{"https", "", "", ""},
		{"https", "0", "", ""},
		{"https", "70000", "", ""},
		{"https", "-1", "", ""},
		{"https", "host:", "", ""},
		{"https", "host:x", "", ""},
		{"https", "a:b:c", "", ""},
		{"https", "http://host/path", "", ""},
		{"https", "http://host?q", "", ""},
		{"https", "http://u:p@host", "", ""},
		{"https", "host name", "", ""},
		{"https", "tcp://host:22", "", ""},
		{"https", "ftp://host", "", ""},
		{"https", "file:///srv", "", ""},
		{"https", "pipe:name", "", ""},
		{"https", "unix:", "", ""},
		{"tcp", "host", "", ""},
		{"tcp", "tcp://host", "", ""},
		{"tcp", ":22", "", ""},
		{"tls", "tls://", "", ""},
	}
	for _, tc := range tests {
		t.Run(tc.proto+" "+tc.text, func(t *testing.T) {
			t.Parallel()
			got, err := parseUpstream(tc.text, tc.proto)
			if tc.want == "" {
				if !fault.Has(err, fault.UpstreamInvalidURL) {
					t.Errorf("got %s, %v, want %s", got.url.String(), err, fault.UpstreamInvalidURL)
				}
				return
			}
			u := got.url
			shown := u.String()
			if u.Scheme == "unix" && !strings.HasPrefix(u.Path, "/") {
				shown = "unix://" + u.Path
			}
			if err != nil || shown != tc.want || got.addr != tc.addr {
				t.Errorf("got %s at %s, %v, want %s at %s", shown, got.addr, err, tc.want, tc.addr)
			}
		})
	}
}

func TestUpstreamSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, proto string
		up          *Upstream
	}{
		{"protocol", "https", WithUpstream("80", WithUpstreamProtocol("h3"))},
		{"PROXY version", "https", WithUpstream("80", WithUpstreamProxyProto("v3"))},
		{"host header on tcp", "tcp", WithUpstream("80", WithUpstreamHostHeader("x"))},
		{"host header with PROXY", "https", WithUpstream("80", WithUpstreamHostHeader("x"), WithUpstreamProxyProto(ProxyProtoV1))},
		{"host header with http2", "https", WithUpstream("80", WithUpstreamHostHeader("x"), WithUpstreamProtocol("http2"))},
	}
	for _, tc := range tests {
		if err := tc.up.check(tc.proto); err == nil {
			t.Errorf("%s: got no error", tc.name)
		}
	}
	if err := WithUpstream("80", WithUpstreamHostHeader("preserve"), WithUpstreamProtocol("http2")).check("https"); err != nil {
		t.Errorf("preserve: got %v", err)
	}
}

func FuzzParseUpstream(f *testing.F) {
	for _, s := range []string{"8080", "https://[::1]:80", "unix:/x", "a:b:c", "tcp://h:1"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, isHTTP bool) {
		proto := "tcp"
		if isHTTP {
			proto = "https"
		}
		got, err := parseUpstream(text, proto)
		if err != nil || got.network == "unix" {
			return
		}
		again, err := parseUpstream(upstreamText(got.url), proto)
		if err != nil || again.addr != got.addr || again.tls != got.tls {
			t.Errorf("%q gives %s, which gives %+v, %v", text, got.url.String(), again, err)
		}
	})
}
