package standard_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// TestT29_RulesThatFailOpen: a rule that refuses does not match where its
// expression fails. The compiler warns of what may be absent, and a trace shows
// the failure.
func TestT29_RulesThatFailOpen(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{})...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	compile := func(text string) (*policy.Program, policy.Diagnostics) {
		d, found := policy.Parse("", []byte(text))
		p, more := c.Compile(d, policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Public})
		return p, append(found, more...)
	}
	for _, tt := range []struct{ expressions, action, absent string }{
		{`req.headers['X-Role'][0] != 'admin'`, "deny", `req.headers["x-role"][0]`},
		{`req.method == 'GET' && getQueryParam('a')[0] == 'b'`, "deny", `req.url.query_params["a"][0]`},
		{`vars.role != 'admin'`, "deny", "vars.role"},
		{`vars['role'] != 'admin'`, "close-connection", `vars["role"]`},
		{`req.cookies['s'][0].value == ''`, "deny", `req.cookies["s"]`},
		{`getReqCookie('s').value == ''`, "deny", ""},
		{`req.url.path.split('/')[2] == 'x'`, "deny", `req.url.path.split("/")[2]`},
		{`req.headers['x-key'][0] == 'k'`, "basic-auth, config: {credentials: ['user:password1']}", `req.headers["x-key"][0]`},
		{`req.headers['x-key'][0] == 'k'`, "restrict-ips, config: {allow: [10.0.0.0/8]}", `req.headers["x-key"][0]`},
		{`req.headers['x-key'][0] == 'k'`, "log, config: {metadata: {a: b}}", ""},
		{`!has(req.headers['X-Role']) || req.headers['x-role'][0] != 'admin'`, "deny", ""},
		{`'x-role' in req.headers && req.headers['x-role'][0] == 'guest'`, "deny", ""},
		{`hasReqHeader('X-Role') && getReqHeader('X-Role')[0] == 'guest'`, "deny", ""},
		{`size(req.headers['x-role']) == 0 || req.headers['x-role'][0] == 'guest'`, "deny", ""},
		{`req.headers['x-role'].size() == 0", "req.headers['x-role'][0] == 'guest'`, "deny", ""},
		{`has(vars.role)", "vars['role'] == 'guest'`, "deny", ""},
		{`has(vars.other) && vars.role == 'guest'`, "deny", "vars.role"},
		{`has(req.cookies['s']) && req.cookies['s'][0].value == 'guest'`, "deny", ""},
		{`vars.get('role', '') == 'guest'`, "deny", ""},
		{`req.url.path.split('/')[0] == '' && req.headers['x'].exists(v, v == 'a') && !('x' in vars)`, "deny", ""},
		{`actions.ngrok.restrict_ips.action == 'deny' && conn.tls.version == ''`, "deny", ""},
	} {
		_, found := compile(fmt.Sprintf("on_http_request: [{expressions: [\"%s\"], actions: [{type: %s}]}]", tt.expressions, tt.action))
		got := ""
		for _, d := range found {
			if !d.Warning {
				t.Errorf("%s: %v", tt.expressions, d)
				continue
			}
			part, _, _ := strings.Cut(strings.TrimPrefix(d.Message, "where "), " is absent")
			got += part
		}
		if got != tt.absent {
			t.Errorf("%s with %s: warned of %q, want %q", tt.expressions, tt.action, got, tt.absent)
		}
	}
	p, found := compile("on_http_request:\n  - expressions:\n      - req.method == 'GET' && req.headers['x-role'][0] != 'admin'\n    actions: [{type: deny}]\n")
	if len(found) != 1 || found[0].Line != 3 || found[0].Column != 9+len("req.method == 'GET' && req.headers['x-role']") {
		t.Errorf("got %v, want the place of the index", found)
	}
	var failure error
	x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.MustParseAddrPort("127.0.0.1:1")})
	x.Request, x.Trace = httptest.NewRequest("GET", "/", nil), &policy.Trace{
		Expression: func(_ policy.RuleInfo, _ string, _ bool, _ []expr.Part, err error) { failure = err },
	}
	if v, err := p.Run(t.Context(), policy.OnHTTPRequest, x); v != policy.Continue || err != nil || failure == nil {
		t.Errorf("got %v, %v, the trace says %v, want that the request goes on and why", v, err, failure)
	}
}
