package endpoint_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

func TestURLString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   endpoint.URL
		want string
	}{
		{endpoint.URL{Scheme: endpoint.HTTPS, Host: "h", Port: 443}, "https://h"},
		{endpoint.URL{Scheme: endpoint.HTTPS, Host: "h"}, "https://h"},
		{endpoint.URL{Scheme: endpoint.HTTPS, Host: "h", Port: 9443}, "https://h:9443"},
		{endpoint.URL{Scheme: endpoint.HTTP, Host: "h", Port: 80}, "http://h"},
		{endpoint.URL{Scheme: endpoint.HTTP, Host: "h", Port: 443}, "http://h:443"},
		{endpoint.URL{Scheme: endpoint.TLS, Host: "h", Port: 443}, "tls://h"},
		{endpoint.URL{Scheme: endpoint.TCP, Host: "h", Port: 443}, "tcp://h:443"},
		{endpoint.URL{Scheme: endpoint.TCP}, "tcp://"},
	}
	for _, tt := range tests {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("%#v.String() = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestURLWithDefaults(t *testing.T) {
	t.Parallel()
	for scheme, want := range map[endpoint.Scheme]uint16{endpoint.HTTP: 80, endpoint.HTTPS: 443, endpoint.TLS: 443, endpoint.TCP: 0} {
		if got := (endpoint.URL{Scheme: scheme, Host: "h"}).WithDefaults().Port; got != want {
			t.Errorf("default port of %s = %d, want %d", scheme, got, want)
		}
		if got := (endpoint.URL{Scheme: scheme, Host: "h", Port: 7}).WithDefaults().Port; got != 7 {
			t.Errorf("given port of %s = %d, want 7", scheme, got)
		}
	}
}

func TestUnder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host, base string
		want       bool
	}{
		{"a.b", "a.b", true},
		{"x.a.b", "a.b", true},
		{"xa.b", "a.b", false},
		{"b", "a.b", false},
		{"", "a.b", false},
		{"*.a.b", "a.b", true},
	}
	for _, tt := range tests {
		if got := endpoint.Under(tt.host, tt.base); got != tt.want {
			t.Errorf("Under(%q, %q) = %v, want %v", tt.host, tt.base, got, tt.want)
		}
	}
}

// Scenario 6 and the table of endpoints.md 3.5.
func TestEndpoints06_ParseBindings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		names []string
		host  string
		want  endpoint.Binding
		code  fault.Code
	}{
		{nil, "foo.internal", endpoint.Internal, ""},
		{[]string{"internal"}, "foo.internal", endpoint.Internal, ""},
		{[]string{"public"}, "foo.internal", "", fault.PublicInternal},
		{[]string{"kubernetes"}, "foo.internal", "", fault.PublicInternal},
		{[]string{"internal"}, "x.example.com", "", fault.InternalSuffix},
		{[]string{"internal"}, "", endpoint.Internal, ""},
		{nil, "a.b", endpoint.Public, ""},
		{[]string{"kubernetes"}, "a.b", endpoint.Kubernetes, ""},
		{nil, "x.example.com", endpoint.Public, ""},
		{nil, "", endpoint.Public, ""},
		{[]string{""}, "", endpoint.Public, ""},
		{[]string{"public"}, "", endpoint.Public, ""},
		{[]string{"global"}, "", "", fault.BindingInvalid},
		{[]string{"public", "public"}, "", "", fault.BindingRepeated},
		{[]string{"public", "internal"}, "", "", fault.BindingInvalid},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.names, "+")+" "+tt.host, func(t *testing.T) {
			t.Parallel()
			got, err := endpoint.ParseBindings(tt.names, tt.host)
			if got != tt.want || codeOf(err) != tt.code {
				t.Errorf("ParseBindings(%q, %q) = %q, %v, want %q, code %q", tt.names, tt.host, got, err, tt.want, tt.code)
			}
		})
	}
}

// Scenario 7 and the tables of endpoints.md 3.3, 3.8.
func TestEndpoints07_Check(t *testing.T) {
	t.Parallel()
	tests := []struct {
		url  string
		b    endpoint.Binding
		code fault.Code
	}{
		{"https://a.b.c.d.e.internal", endpoint.Internal, ""},
		{"https://a.b.c.d.e.f.internal", endpoint.Internal, fault.InternalDepth},
		{"https://*.svc.internal", endpoint.Internal, ""},
		{"https://x.internal:8080", endpoint.Internal, ""},
		{"https://", endpoint.Internal, fault.InternalNoHost},
		{"https://x.example.com", endpoint.Internal, fault.InternalSuffix},
		{"tcp://db.internal", endpoint.Internal, fault.PortMissing},
		{"tcp://db.internal:5432", endpoint.Internal, ""},
		{"tcp://*.db.internal:5432", endpoint.Internal, fault.WildcardTCP},
		{"http://app.example", endpoint.Kubernetes, ""},
		{"http://app.foo.bar", endpoint.Kubernetes, fault.KubernetesHost},
		{"http://*.bar", endpoint.Kubernetes, fault.KubernetesHost},
		{"https://app.example", endpoint.Kubernetes, fault.KubernetesScheme},
		{"http://", endpoint.Kubernetes, fault.KubernetesNoHost},
		{"tcp://app.example", endpoint.Kubernetes, fault.PortMissing},
		{"tls://app.example", endpoint.Kubernetes, ""},
		{"https://", endpoint.Public, ""},
		{"tcp://", endpoint.Public, ""},
		{"tcp://1.tcp.base.tld", endpoint.Public, fault.PortMissing},
		{"tcp://*.base.tld:1", endpoint.Public, fault.WildcardTCP},
		{"https://foo.internal", endpoint.Public, fault.PublicInternal},
		{"https://foo.example", "other", fault.BindingInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.url+" "+string(tt.b), func(t *testing.T) {
			t.Parallel()
			u, err := endpoint.ParseURL(tt.url, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := u.Check(tt.b); codeOf(err) != tt.code {
				t.Errorf("%s.Check(%s) = %v, want code %q", u, tt.b, err, tt.code)
			}
		})
	}
}

func TestRandomLabel(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{12}$`)
	seen := make(map[string]bool)
	for range 1000 {
		l := endpoint.RandomLabel()
		if !form.MatchString(l) || seen[l] {
			t.Fatalf("RandomLabel() = %q, want 12 fresh hexadecimal digits", l)
		}
		seen[l] = true
	}
}
