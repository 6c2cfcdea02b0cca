package access_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/access"
	"github.com/culvert-project/culvert/server/internal/action/note"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func registry(t testing.TB) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(append(access.Definitions(), note.Definitions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t), "testdata/*.txtar")
}

func compile(t testing.TB, s endpoint.Scheme, doc string) (*policy.Program, policy.Diagnostics) {
	t.Helper()
	c, err := policy.NewCompiler(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	d, found := policy.Parse("", []byte(doc))
	if found.Failed() {
		t.Fatal(found)
	}
	return c.Compile(d, policy.Target{Scheme: s})
}

// TestPolicy35_RestrictIPs asks for many addresses over all phases.
func TestPolicy35_RestrictIPs(t *testing.T) {
	t.Parallel()
	config := "{type: restrict-ips, config: {allow: [10.0.0.0/8, '${\"192.0.2.0/24\"}', 203.0.113.9, '2001:db8::/32'], deny: [10.1.0.0/16, 10.1.1.0/24]}}"
	for _, phase := range []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse} {
		p, found := compile(t, endpoint.HTTPS, fmt.Sprintf("%s: [{actions: [%s]}]", phase, config))
		if found.Failed() {
			t.Fatal(found)
		}
		for address, want := range map[string]string{
			"10.2.0.1": "allow 10.0.0.0/8 ", "10.1.0.1": "deny 10.1.0.0/16 ERR_NGROK_3203", "10.1.1.1": "deny 10.1.1.0/24 ERR_NGROK_3203",
			"::ffff:10.2.0.1": "allow 10.0.0.0/8 ", "2001:db9::1": "deny  ERR_NGROK_3203", "2001:db8::1%eth0": "allow 2001:db8::/32 ",
			"192.0.2.77": "allow 192.0.2.0/24 ", "203.0.113.9": "allow 203.0.113.9/32 ", "203.0.113.8": "deny  ERR_NGROK_3203",
		} {
			x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.AddrPortFrom(netip.MustParseAddr(address), 1)})
			if phase != policy.OnTCPConnect {
				x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
				x.Request.Header.Set("X-Forwarded-For", "10.2.0.1")
			}
			if phase == policy.OnHTTPResponse {
				x.Respond(200, "secret")
			}
			v, err := p.Run(t.Context(), phase, x)
			action, _ := x.Result("restrict_ips.action")
			matched, _ := x.Result("restrict_ips.matched_cidr")
			code, _ := x.Result("restrict_ips.error.code")
			if got := fmt.Sprintf("%s %s %s", action, matched, code); got != want {
				t.Errorf("%s, %s: got %q, want %q", phase, address, got, want)
			}
			if refused := strings.HasPrefix(want, "deny"); refused != (v == policy.Refuse && err != nil) {
				t.Errorf("%s, %s: got verdict %d, %v", phase, address, v, err)
			}
		}
	}
}

func header(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestPolicy31_BasicAuth(t *testing.T) {
	t.Parallel()
	p, found := compile(t, endpoint.HTTPS, `
on_http_request:
  - actions:
      - type: set-vars
        config: {vars: [{pair: "carol:whole-pass"}, {user: dave}, {evil: "x:y"}]}
      - type: basic-auth
        config:
          realm: a "quoted" realm
          credentials:
            - alice:12345678
            - bob:colons:in:it
            - "${vars.pair}"
            - "${vars.user}:${'dave' + '-password'}"
            - "${vars.evil}:password"
            - "${'short'}:${'short'}"
            - "${vars.none}:12345678"
`)
	if found.Failed() {
		t.Fatal(found)
	}
	for given, want := range map[string]bool{
		header("alice", "12345678"): true, strings.Replace(header("alice", "12345678"), "Basic", "bAsIc", 1): true,
		header("bob", "colons:in:it"): true, header("carol", "whole-pass"): true, header("dave", "dave-password"): true,
		header("alice", "12345679"): false, header("alice", "1234567"): false, header("alice", ""): false, header("", "12345678"): false,
		header("x", "y:password"): false, header("short", "short"): false, header("alic", "e12345678"): false,
		"Basic !": false, "Bearer x": false, "": false,
	} {
		x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.MustParseAddrPort("127.0.0.1:1")})
		x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
		x.Request.Header.Set("Authorization", given)
		v, err := p.Run(t.Context(), policy.OnHTTPRequest, x)
		if err != nil || (v == policy.Continue) != want {
			t.Errorf("%s: got %d, %v, want authorized %v", given, v, err, want)
			continue
		}
		if authorized, _ := x.Result("basic_auth.credentials.authorized"); authorized != want {
			t.Errorf("%s: got authorized %v, want %v", given, authorized, want)
		}
		if !want && (x.Response.StatusCode != 401 || x.Response.Header.Get("WWW-Authenticate") != `Basic realm="a \"quoted\" realm"`) {
			t.Errorf("%s: got %d with %v", given, x.Response.StatusCode, x.Response.Header)
		}
	}
}

func TestPolicy31_Mistakes(t *testing.T) {
	t.Parallel()
	for credentials, want := range map[string]string{
		"[alice:1234567]": "2237",
		"[" + strings.Repeat("a:12345678, ", 11) + "]": "2218",
		"[]":                                   "2223",
		"[alice]":                              "2204",
		"[':12345678']":                        "2223",
		"['a\\tb:12345678']":                   "",
		"[\"a\\tb:12345678\"]":                 "2257",
		"[\"a:1234\\t5678\"]":                  "2258",
		"['x${req.method}']":                   "2204",
		"[{username: a}]":                      "2203",
		"[{username: a, password: 12345678x}]": "write user:password",
		"[a:" + strings.Repeat("x", 129) + "]": "2221",
	} {
		_, found := compile(t, endpoint.HTTPS, "on_http_request: [{actions: [{type: basic-auth, config: {credentials: "+credentials+"}}]}]")
		if !strings.Contains(found.Error(), want) || want == "" && len(found) > 0 {
			t.Errorf("%s: got %q, want %s", credentials, found.Error(), want)
		}
		if strings.Contains(found.Error(), "12345678") {
			t.Errorf("%s: %q repeats the password", credentials, found.Error())
		}
	}
}

// TestT47_Throttle guesses passwords: after ten in a minute even the right one
// has to wait, and other clients do not.
func TestT47_Throttle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, found := compile(t, endpoint.HTTPS, "on_http_request: [{actions: [{type: basic-auth, config: {credentials: alice:12345678}}]}]")
		if found.Failed() {
			t.Fatal(found)
		}
		ask := func(client, user, password string) int {
			x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.MustParseAddrPort(client)})
			x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
			if user != "" {
				x.Request.SetBasicAuth(user, password)
			}
			v, err := p.Run(t.Context(), policy.OnHTTPRequest, x)
			if err != nil || v == policy.Continue {
				return 0
			}
			return x.Response.StatusCode
		}
		for i := range 20 {
			if got := ask("[2001:db8::1]:1", "", ""); got != 401 {
				t.Fatalf("without credentials: got %d, want 401", got)
			}
			want := 401
			if i >= 10 {
				want = 429
			}
			if got := ask(fmt.Sprintf("[2001:db8::%x]:1", i), fmt.Sprint("user", i), "wrong-password"); got != want {
				t.Errorf("guess %d: got %d, want %d", i, got, want)
			}
			if got := ask("127.0.0.1:1", "alice", "wrong-password"); got != 401 {
				t.Errorf("loopback, guess %d: got %d, want 401", i, got)
			}
		}
		if got := ask("[2001:db8::ffff]:1", "alice", "12345678"); got != 429 {
			t.Errorf("the right password while throttled: got %d, want 429", got)
		}
		if got := ask("203.0.113.7:1", "alice", "12345678"); got != 0 {
			t.Errorf("another client: got %d, want to pass", got)
		}
		time.Sleep(time.Minute)
		if got := ask("[2001:db8::1]:1", "alice", "12345678"); got != 0 {
			t.Errorf("after a minute: got %d, want to pass", got)
		}
	})
}
