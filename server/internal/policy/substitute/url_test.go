package substitute_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/substitute"
)

// exchange returns one with a request for a target.
func exchange(t testing.TB, env *expr.Env, target string) *policy.Exchange {
	t.Helper()
	x := policy.NewExchange(env, &policy.Conn{})
	x.Request = httptest.NewRequest(http.MethodGet, target, nil)
	u, err := endpoint.ParseURL("https://h.example", endpoint.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	x.Endpoint.URL = u
	return x
}

func TestURL(t *testing.T) {
	t.Parallel()
	env, err := expr.New(expr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ target, to, want, host string }{
		{"https://h.example/a", "/b", "https://h.example/b", ""},
		{"https://h.example:443/a", "/a", "", ""},
		{"https://h.example:8443/a", "/b", "https://h.example:8443/b", ""},
		{"https://H.example/a?b", "https://h.example/a?b", "", ""},
		{"https://h.example/a?b", "?c", "https://h.example/a?c", ""},
		{"https://h.example/a", "b", "https://h.example/b", ""},
		{"https://h.example/a", "https://o.example", "https://o.example/", "o.example"},
		{"https://h.example/a", "https:///b", "https://h.example/b", ""},
		{"https://h.example/a", "https:/b", "https://h.example/b", ""},
		{"https://h.example/a", "#part", "https://h.example/a#part", ""},
	} {
		to, problems := env.Template(tt.to, expr.Request)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		got, err := substitute.URL{To: to}.Apply(exchange(t, env, tt.target))
		if err != nil {
			t.Errorf("%s by %s: %v", tt.target, tt.to, err)
			continue
		}
		text := ""
		if got.URL != nil {
			text = got.Text
		}
		if text != tt.want || got.Host != tt.host && tt.want != "" {
			t.Errorf("%s by %s: got %q with host %q, want %q with %q", tt.target, tt.to, text, got.Host, tt.want, tt.host)
		}
	}
}

// FuzzURL replaces with any text: there is a fault or a URL that a header and a
// request line can carry.
func FuzzURL(f *testing.F) {
	env, err := expr.New(expr.Config{})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"/b", "//o/x", "https:/x", "$uri/../$1", "a:b", "\x00\r\n", "%zz", "/[x]", "https://[::1]/", "?", "#", "$$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		to, problems := env.Template(text, expr.Request)
		if to == nil || len(problems) > 0 {
			return
		}
		got, err := substitute.URL{To: to}.Apply(exchange(t, env, "https://h.example/a?b=c"))
		if err != nil {
			// The text may hold expressions, and these may fail.
			if !fault.Has(err, fault.RewrittenURLInvalid) && !fault.Has(err, fault.InterpolationFailed) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if got.URL == nil {
			return
		}
		bad := func(c rune) bool { return c <= ' ' || c >= 0x7f }
		if strings.ContainsFunc(got.Text, bad) || strings.ContainsFunc(got.URL.RequestURI(), bad) || got.URL.Host == "" {
			t.Errorf("got %q, target %q, host %q", got.Text, got.URL.RequestURI(), got.URL.Host)
		}
	})
}
