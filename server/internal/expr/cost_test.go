package expr_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// hostile is a request made to be costly.
var hostile = facts{
	"req.method": "GET", "vars": map[string]any{"x": "a"},
	"req.headers": http.Header{
		"Deep": {strings.Repeat("[", 60_000)}, "Long": {strings.Repeat("a", 60_000)}, "Regex": {"(x{900}){1000}"}, "Many": {strings.Repeat("1,", 30_000)},
	},
}

func chain(start, step string, n int) string {
	return "size(" + start + strings.Repeat(step, n) + ") == 1"
}

// TestT30_CostlyExpressions are refused or stopped. Left alone, most of them
// take minutes or the machine's memory.
func TestT30_CostlyExpressions(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, source := range []string{
		"lists.range(10000).all(x, lists.range(10000).all(y, x + y >= 0))",
		"lists.range(1000).all(x, lists.range(1000).all(y, lists.range(1000).all(z, x + y + z >= 0)))",
		"lists.range(10000).map(x, lists.range(10000).map(y, y)).flatten(9).size() == 1",
		"req.headers['many'][0].split(',').map(x, req.headers['many'][0].split(',').filter(y, y == x)).size() == 1",
		"lists.range(10000).all(i, hash.md5(req.headers['long'][0]) != '')",
		"lists.range(10000).all(i, req.headers['long'][0].sha256() != '')",
		"lists.range(10000).all(i, req.headers['many'][0].decodeQueryString().size() > 0)",
		"lists.range(10000).all(i, size(req.headers['long'][0].escapeUrl()) > 0)",
		"lists.range(1000).all(i, !req.headers['long'][0].matches('^(a|b|ab)*c$'))",
		"lists.range(100).map(i, lists.range(100).map(j, req.headers['long'][0] + 'x')).encodeJson() == ''",
		"size('" + strings.Repeat("a", 20_000) + "') == 1",
		"size([" + strings.Repeat("0,", 9_000) + "0]) == 1",
		strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500),
		"req.method.matches('(x{900}){1000}')",
		chain("vars.x", ".encodeBase64()", 900),
	} {
		b, problems := e.Bool(source, expr.Request)
		if b == nil {
			if problems[0].Message == "" {
				t.Errorf("%.60s: refused without a reason", source)
			}
			continue
		}
		if held, err := b.Eval(e.NewFrame(hostile)); held || !errors.Is(err, expr.ErrCost) {
			t.Errorf("%.60s: got %v, %v, want it stopped", source, held, err)
		}
	}
}

// TestT30_TextsThatGrow: however texts are made to grow, they stay below a
// bound or fail.
func TestT30_TextsThatGrow(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	doubled := "vars.x"
	for range 25 {
		doubled = "[" + doubled + "].map(x, x + x)[0]"
	}
	for _, source := range []string{
		chain("vars.x", ".encodeBase64()", 90),
		chain("vars.x", ".replace('a', 'aaaaaaaaaa')", 30),
		chain("'ab'", ".split('').join('aaaaaaaaaaaaaaaaaaaaaaaa')", 45),
		"[vars.x]" + strings.Repeat(".map(x, [x, x])", 24) + ".encodeJson() == ''",
		"size('%.999999999f'.format([1.0])) == 1",
		"size(" + doubled + ") == 1",
		"size(lists.range(1000).map(i, req.headers['long'][0]).join()) == 1",
		"req.headers['deep'][0].decodeJson() == []",
		"req.headers['long'][0].matches(req.headers['regex'][0])",
	} {
		b, problems := e.Bool(source, expr.Request)
		if b == nil {
			t.Logf("%.60s: refused: %s", source, problems[0].Message)
			continue
		}
		if held, err := b.Eval(e.NewFrame(hostile)); held || err == nil {
			t.Errorf("%.60s: got %v, %v, want an error", source, held, err)
		}
	}
}
