package expr_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// sameTruth compares a rule's expression with CEL's evaluation of it.
func sameTruth(t *testing.T, e *expr.Env, source string) {
	t.Helper()
	b, _ := e.Bool(source, expr.Response)
	if b == nil {
		return
	}
	v, _ := e.Value(source, expr.Response)
	got, err := b.Eval(e.NewFrame(request))
	want, wantErr := v.Eval(e.NewFrame(request))
	if _, ok := want.(bool); wantErr == nil && !ok { // a rule has no use for it
		wantErr = fmt.Errorf("%T is not true or false", want)
	}
	if held := b.Holds(e.NewFrame(request)); held != (wantErr == nil && want == true) {
		t.Errorf("%s: holds: %v; CEL says %v, %v", source, held, want, wantErr)
	}
	if (err == nil) != (wantErr == nil) || err == nil && got != want {
		t.Errorf("%s: got %v, %v; CEL says %v, %v", source, got, err, want, wantErr)
	}
}

// fastAtoms are tests of which random expressions are made. Some of them fail.
var fastAtoms = []string{
	"true", "false", "actions.ngrok.rate_limit.limited", "req.method == 'GET'", "'POST' == req.method", "req.method != req.url.scheme",
	"req.url.path.startsWith('/a')", "req.url.path.endsWith('b')", "req.url.path.contains('/a/')", "req.url.path.contains(req.method)",
	"req.url.path.matches('^/[a-c]/')", "'x'.matches('[0-9]')", "req.method in ['GET', 'HEAD']", "req.method in []", "'x' in ['x']",
	"'user-agent' in req.headers", "'X-None' in req.headers", "'q' in req.url.query_params", "req.headers['x-two'][1] == 'b'",
	"req.headers['x-two'][2] == 'b'", "req.headers['none'][0] != 'b'", "req.url.query_params['q'][0] == '1'", "req.url.query_params['e'][0] == ''",
	"req.headers['User-Agent'][0].startsWith('curl/')", "res.status_code == 200", "res.StatusCode == '200'", "vars.none == 'x'", "vars.x == 3", "vars.x", "vars",
	"conn.client_ip == '10.1.2.3'", "actions.ngrok.oauth.identity.email.endsWith('@h.example')", "req.headers['x-two'].join(',') == 'a,b'",
	"req.headers['x-two'].exists(v, v == 'b')", "req.headers['x-two'].all(v, v.startsWith('a'))", "req.headers['none'].all(v, v == 'a')",
	"req.headers['x-two'].exists(v, req.headers['none'][0] == v || v == 'b')", "req.headers['x-two'].exists(v, req.headers['none'][0] == v)",
	"req.headers['x-two'].exists(v, req.url.query_params['q'].all(w, w != v))", "req.headers['x-two'].exists(v, req.headers['x-two'].exists(v, v == 'b') && v == 'a')",
	"inCidrRange(conn.client_ip, '10.0.0.0/8')", "inCidrRanges(conn.client_ip, ['x', '192.168.0.0/16', '10.1.2.3/30'])", "inCidrRanges(req.method, ['::/0'])",
	"res.status_code != 200", "res.status_code >= 300", "200 < res.status_code", "conn.client_port <= 80", "res.StatusCode == 200", "res.status_code == '200'",
	"req.headers['Host'][0] == 'h.example'", "'host' in req.headers",
	"conn.client_ip.categories.contains('com')", "'com' in conn.client_ip.categories", "[1, 2].exists(x, x == 2)", "req.method == 'G' + 'ET'",
}

// TestRulesMeanWhatCELSays: what most rules are made of is not evaluated by
// CEL, and nobody can tell.
func TestRulesMeanWhatCELSays(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := rand.New(rand.NewPCG(1, 2))
	var random func(depth int) string
	random = func(depth int) string {
		if depth == 0 || r.IntN(4) == 0 {
			return fastAtoms[r.IntN(len(fastAtoms))]
		}
		switch r.IntN(5) {
		case 0:
			return "!(" + random(depth-1) + ")"
		case 1, 2:
			return fmt.Sprintf("(%s && %s)", random(depth-1), random(depth-1))
		default:
			return fmt.Sprintf("(%s || %s)", random(depth-1), random(depth-1))
		}
	}
	for _, a := range fastAtoms {
		sameTruth(t, e, a)
	}
	for range 500 {
		sameTruth(t, e, random(4))
	}
}

// FuzzBool: the same for what nobody thought of.
func FuzzBool(f *testing.F) {
	for _, a := range fastAtoms {
		f.Add(a)
	}
	e, err := expr.New(expr.Config{Results: results, CostLimit: 10_000})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) { sameTruth(t, e, source) })
}
