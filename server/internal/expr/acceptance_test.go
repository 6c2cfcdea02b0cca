package expr_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// held evaluates a rule's expression; a failure is "error: …".
func held(t *testing.T, e *expr.Env, source string, f facts) string {
	t.Helper()
	b, problems := e.Bool(source, expr.Response)
	if b == nil {
		return "refused: " + problems[0].Message
	}
	switch ok, err := b.Eval(e.NewFrame(f)); {
	case err != nil:
		return "error: " + err.Error()
	case ok:
		return "true"
	default:
		return "false"
	}
}

func TestPolicy18_FailuresThatDoNotMatter(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, failing := range []string{
		"vars.none == 1", "vars['none']", "req.headers['none'][0] == 'x'", "1 / 0 == 1", "int(req.method) == 1", "timestamp(req.method) < timestamp('2024-01-01T00:00:00Z')",
		"'{'.decodeJson().a == 1", "vars.x == 'a' || [1][5] == 1", "'abc'.charAt(9) == ''", "vars.none.deeper.still",
	} {
		for source, want := range map[string]string{
			"false && (" + failing + ")":                    "false",
			"(" + failing + ") && false":                    "false",
			"true || (" + failing + ")":                     "true",
			"(" + failing + ") || true":                     "true",
			"true ? true : (" + failing + ")":               "true",
			"[1, 2].exists(x, x == 2 || (" + failing + "))": "true",
			"[1, 2].all(x, x == 5 && (" + failing + "))":    "false",
		} {
			if got := held(t, e, source, request); got != want {
				t.Errorf("%s: got %s, want %s", source, got, want)
			}
		}
		for _, source := range []string{failing, "true && (" + failing + ")", "(" + failing + ") || false", "!(" + failing + ")"} {
			if got := held(t, e, source, request); !strings.HasPrefix(got, "error: ") {
				t.Errorf("%s: got %s, want an error", source, got)
			}
		}
	}
}

// TestPolicy19_NobodyIsNotInTheDomain: what a user has not got is empty, so that
// rules that turn others away hold for him too.
func TestPolicy19_NobodyIsNotInTheDomain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	const email = "actions.ngrok.oauth.identity.email"
	for _, rule := range []string{
		"!actions.ngrok.oauth.identity.email.endsWith('@corp.test')",
		"!(actions.ngrok.oauth.identity.email in ['a@corp.test', 'b@corp.test'])",
		"actions.ngrok.oauth.identity.email.split('@', 2).size() != 2 || actions.ngrok.oauth.identity.email.split('@')[1] != 'corp.test'",
		"!actions.ngrok.oauth.identity.email.matches('^[^@]+@corp\\\\.test$')",
	} {
		for who, want := range map[string]string{"": "true", "none": "true", "x@evil.test": "true", "a@corp.test": "false"} {
			f := facts{email: who}
			if who == "none" {
				f = facts{}
			}
			if got := held(t, e, rule, f); got != want {
				t.Errorf("%s for %q: got %s, want %s", rule, who, got, want)
			}
		}
	}
}

func TestPolicy25_HeadersIgnoreCase(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for name, header := range map[string]http.Header{
		"canonical":  {"Authorization": {"x"}, "Host": {"h.example"}, "X_odd": {"1"}},
		"lower case": {"authorization": {"x"}, "host": {"h.example"}, "x_odd": {"1"}},
	} {
		f := facts{"req.headers": header}
		for source, want := range map[string]string{
			"'Authorization' in req.headers":                     "true",
			"'aUTHORIZATION' in req.headers":                     "true",
			"req.headers['HOST'][0] == 'h.example'":              "true",
			"req.headers.host[0] == 'h.example'":                 "true",
			"req.headers['X_ODD'] == ['1']":                      "true",
			"req.headers.exists(k, k == 'authorization')":        "true",
			"req.headers.exists(k, k == 'Authorization')":        "false",
			"hasReqHeader('AUTHORIZATION')":                      "true",
			"req.headers.encodeJson().contains('\"host\":[')":    "true",
			"req.headers.map(k, k).sort()[0] == 'authorization'": "true",
			"size(req.headers) == 3":                             "true",
		} {
			if got := held(t, e, source, f); got != want {
				t.Errorf("%s: %s: got %s, want %s", name, source, got, want)
			}
		}
	}
}
