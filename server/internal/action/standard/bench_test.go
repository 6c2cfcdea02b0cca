package standard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
)

func newCompiler(b *testing.B) *policy.Compiler {
	b.Helper()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{})...)
	if err != nil {
		b.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// compile compiles a document under a name, so that no two are the same.
func compile(b *testing.B, c *policy.Compiler, doc string) *policy.Program {
	b.Helper()
	d, found := policy.Parse("p.yml", []byte(doc))
	if found.Failed() {
		b.Fatal(found)
	}
	p, found := c.Compile(d, policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Public})
	if found.Failed() {
		b.Fatal(found)
	}
	return p
}

// cpuTime is what the process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// metered runs f, and reports what it costs on a machine that others use too.
func metered(b *testing.B, f func()) {
	b.Helper()
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}

// rules are n rules of which none matches the request of BenchmarkRequest.
func rules(n int) string {
	var s strings.Builder
	s.WriteString("on_http_request:\n")
	for i := range n {
		fmt.Fprintf(&s, "  - expressions: [\"req.method == 'POST' && req.url.path.startsWith('/api/v%d/')\"]\n    actions: [{type: add-headers, config: {headers: {x-a: \"${req.method} %d\"}}}]\n", i, i)
	}
	return s.String()
}

// missing are n rules that look at the path and the headers and miss.
func missing(n int) string {
	return strings.ReplaceAll(rules(n), "req.method == 'POST' && ", "'x-key' in req.headers && ")
}

const matching = "  - actions: [{type: add-headers, config: {headers: {x-client: \"${conn.client_ip}\"}}}]\n"

// BenchmarkRequest is the request phase of a request under documents of some
// sizes.
func BenchmarkRequest(b *testing.B) {
	c := newCompiler(b)
	for _, tt := range []struct{ name, doc string }{
		{"10 rules that miss by the method", rules(10)},
		{"10 rules that miss by the path", missing(10)},
		{"one add-headers", "on_http_request:\n" + matching},
		{"1000 rules by the method, the last matches", rules(1000) + matching},
		{"1000 rules by a header and the path, the last matches", missing(1000) + matching},
	} {
		b.Run(tt.name, func(b *testing.B) {
			p := compile(b, c, tt.doc)
			conn := &policy.Conn{Client: netip.MustParseAddrPort("203.0.113.7:4711")}
			r := httptest.NewRequest(http.MethodGet, "/some/path?q=1", nil)
			r.Header.Set("X-Key", "v")
			r.Header.Set("User-Agent", "curl/8")
			at := endpoint.URL{Scheme: endpoint.HTTPS, Host: "h.example"}
			metered(b, func() {
				delete(r.Header, "X-Client")
				x := policy.NewExchange(p.Env(), conn)
				x.Endpoint.URL, x.Request = at, r
				if v, err := p.Run(b.Context(), policy.OnHTTPRequest, x); err != nil || v != policy.Continue {
					b.Fatal(v, err)
				}
			})
		})
	}
}

// BenchmarkCompile is what it costs to load a document of a hundred rules.
func BenchmarkCompile(b *testing.B) {
	c := newCompiler(b)
	n, doc := 0, rules(100)
	metered(b, func() {
		n++
		compile(b, c, fmt.Sprintf("# %d\n%s", n, doc)) // not one that is known
	})
}
