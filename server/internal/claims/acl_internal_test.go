package claims

import (
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// TestT68_ACLGrammar holds every form of rule against names and addresses (api.md 3.3).
func TestT68_ACLGrammar(t *testing.T) {
	t.Parallel()
	web := func(host string) endpoint.URL { return endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443} }
	tcp := func(host string, port uint16) endpoint.URL {
		return endpoint.URL{Scheme: endpoint.TCP, Host: host, Port: port}
	}
	tests := []struct {
		rule            string
		allowed, denied []endpoint.URL
	}{
		{"*", []endpoint.URL{web("a.test"), web("*.a.test"), tcp("a.test", 1), tcp("x.internal", 1)}, nil},
		{"bind:*", []endpoint.URL{web("a.test"), web("*.a.test"), tcp("a.test", 1), tcp("x.internal", 1)}, nil},
		{
			"bind:a.test",
			[]endpoint.URL{web("a.test"), {Scheme: endpoint.TLS, Host: "a.test", Port: 5671}, {Scheme: endpoint.HTTP, Host: "a.test", Port: 80}},
			[]endpoint.URL{web("b.a.test"), web("*.a.test"), web("test"), web("ba.test"), tcp("a.test", 443)},
		},
		{"BIND:A.Test.", []endpoint.URL{web("a.test")}, []endpoint.URL{web("b.test")}},
		{"bind:bücher.test", []endpoint.URL{web("xn--bcher-kva.test")}, []endpoint.URL{web("bucher.test")}},
		{"bind:*.BÜCHER.test", []endpoint.URL{web("a.xn--bcher-kva.test")}, []endpoint.URL{web("xn--bcher-kva.test")}},
		{"bind:xn--bcher-kva.test", []endpoint.URL{web("xn--bcher-kva.test")}, nil},
		{
			"bind:*.dev.test",
			[]endpoint.URL{web("a.dev.test"), web("a.b.dev.test"), web("*.dev.test"), web("*.b.dev.test")},
			[]endpoint.URL{web("dev.test"), web("*.test"), web("adev.test"), web("a.test"), tcp("a.dev.test", 443)},
		},
		{"bind:https://a.test", []endpoint.URL{web("a.test")}, []endpoint.URL{{Scheme: endpoint.HTTP, Host: "a.test", Port: 80}, {Scheme: endpoint.TLS, Host: "a.test", Port: 443}}},
		{"bind:HTTP://*.a.test", []endpoint.URL{{Scheme: endpoint.HTTP, Host: "b.a.test", Port: 80}}, []endpoint.URL{web("b.a.test")}},
		{"bind:a.test:20001", []endpoint.URL{tcp("a.test", 20001)}, []endpoint.URL{tcp("a.test", 20002), tcp("b.test", 20001), web("a.test"), {Scheme: endpoint.HTTPS, Host: "a.test", Port: 20001}}},
		{"bind:A.TEST:20001", []endpoint.URL{tcp("a.test", 20001)}, nil},
		{"bind:db.internal", []endpoint.URL{web("db.internal"), tcp("db.internal", 22)}, []endpoint.URL{web("x.internal"), tcp("x.internal", 22)}},
		{"bind:*.internal", []endpoint.URL{web("db.internal"), tcp("a.db.internal", 22)}, []endpoint.URL{web("db.test")}},
		{"bind:db.internal:22", []endpoint.URL{tcp("db.internal", 22)}, []endpoint.URL{tcp("db.internal", 23), web("db.internal")}},
		{"bind:tcp://db.internal", []endpoint.URL{tcp("db.internal", 22)}, []endpoint.URL{web("db.internal")}},
		{
			"bind:tcp://*.internal:22",
			[]endpoint.URL{tcp("db.internal", 22), tcp("a.db.internal", 22)},
			[]endpoint.URL{tcp("db.internal", 23), {Scheme: endpoint.TLS, Host: "db.internal", Port: 22}, tcp("db.test", 22)},
		},
		{"bind:tcp://a.test:20001", []endpoint.URL{tcp("a.test", 20001)}, []endpoint.URL{tcp("a.test", 20002), web("a.test")}},
		{"bind:*.a.test:22", []endpoint.URL{tcp("b.a.test", 22)}, []endpoint.URL{tcp("a.test", 22), tcp("b.a.test", 23), web("b.a.test")}},
		{
			"bind:https://a.test:443",
			[]endpoint.URL{web("a.test")},
			[]endpoint.URL{{Scheme: endpoint.HTTPS, Host: "a.test", Port: 8443}, {Scheme: endpoint.TLS, Host: "a.test", Port: 443}, tcp("a.test", 443)},
		},
		{"bind:team=blue", nil, []endpoint.URL{web("a.test"), tcp("a.test", 1)}},
		{"bind:*=*", nil, []endpoint.URL{web("a.test")}},
	}
	for _, tt := range tests {
		a, err := parseACL([]string{tt.rule})
		if err != nil {
			t.Errorf("%s: %v", tt.rule, err)
		}
		for _, u := range tt.allowed {
			if err := a.allows(u); err != nil {
				t.Errorf("%s: %s is refused: %v", tt.rule, u, err)
			}
		}
		for _, u := range tt.denied {
			want := fault.ACLName
			if u.Scheme == endpoint.TCP && BindingOf(u) == endpoint.Public {
				want = fault.ACLAddress
			}
			if err := a.allows(u); !fault.Has(err, want) {
				t.Errorf("%s: %s gets %v, want %s", tt.rule, u, err, want)
			}
		}
	}
}

// TestT68_ACLRefusesAllElse: what is no rule gets its code, and narrows what the others allow rather than
// opening it.
func TestT68_ACLRefusesAllElse(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		"", "bind", "bind:", "a.test", "**", "bind:**", "bind:a.*.test", "bind:*a.test", "bind:*.", "bind:*.*.test", "bind:.a.test",
		"bind:a..test", "bind:a_b.test", "bind:a b.test", "bind: a.test", " bind:a.test", "bind:a.test ", "bind:ftp://a.test", "bind:://a.test",
		"bind:https://", "bind:https://a.test:x", "bind:https://:443", "bind:a.test/path", "bind:a.test:0", "bind:a.test:65536", "bind:a.test:", "bind:a.test:x",
		"bind::1", "bind:*:22", "bind:[::1]:22", "bind:=x", "bind:x=", "bind:=", "bind:a =b", "unbind:a.test", "*,bind:a.test",
	} {
		a, err := parseACL([]string{rule})
		if !fault.Has(err, fault.ACLInvalid) {
			t.Errorf("%q: got %v, want %s", rule, err, fault.ACLInvalid)
		}
		if err := a.allows(endpoint.URL{Scheme: endpoint.HTTPS, Host: "a.test", Port: 443}); err == nil {
			t.Errorf("%q allows a name", rule)
		}
	}
}

func TestACLOfNoneAndSeveral(t *testing.T) {
	t.Parallel()
	u := endpoint.URL{Scheme: endpoint.HTTPS, Host: "a.test", Port: 443}
	for _, rules := range [][]string{nil, {}, {"bind:b.test", "bind:a.test"}, {"bind:b.test", "*"}} {
		if a, err := parseACL(rules); err != nil || a.allows(u) != nil {
			t.Errorf("%q: %v, and refuses %s", rules, err, u)
		}
	}
}

func TestACLRandomDomain(t *testing.T) {
	t.Parallel()
	bases := []string{"one.test", "two.test"}
	for _, tt := range []struct {
		rules []string
		want  string // "" is refused
	}{
		{nil, "one.test"},
		{[]string{"bind:*"}, "one.test"},
		{[]string{"bind:*.one.test"}, "one.test"},
		{[]string{"bind:*.test"}, "one.test"},
		{[]string{"bind:*.two.test"}, "two.test"},
		{[]string{"bind:x.one.test", "bind:*.dev.two.test"}, "dev.two.test"},
		{[]string{"bind:x.one.test"}, ""},
		{[]string{"bind:http://*.one.test"}, ""},
		{[]string{"bind:*.other.test"}, ""},
		{[]string{"bind:one.test:20000", "bind:a=b"}, ""},
	} {
		a, err := parseACL(tt.rules)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.randomDomain(endpoint.HTTPS, bases); got != tt.want || (tt.want == "") != fault.Has(err, fault.ACLName) {
			t.Errorf("%q: got %q, %v, want %q", tt.rules, got, err, tt.want)
		}
	}
}
