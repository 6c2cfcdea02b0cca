package policy_test

import (
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// TestLimit_VarsOfAnExchange: a variable beyond the bound is absent, its earlier
// value too, and the logs name it; room that becomes free can be used.
func TestLimit_VarsOfAnExchange(t *testing.T) {
	t.Parallel()
	env, err := expr.New(expr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	x := policy.NewExchange(env, &policy.Conn{})
	names := func() string {
		v, _ := x.Lookup("vars")
		var set []string
		for _, name := range []string{"a", "b", "c"} {
			if _, there := v.(map[string]any)[name]; there {
				set = append(set, name)
			}
		}
		return strings.Join(set, " ")
	}
	half := strings.Repeat("x", policy.MaxVars/2)
	for i, step := range []struct {
		name  string
		value any
		want  string
		logs  int
	}{
		{"a", half, "a", 0},
		{"b", []any{map[string]any{"k": half}}, "a", 1},
		{"b", "small", "a b", 1},
		{"a", half + half, "b", 2},
		{"c", half, "b c", 2},
	} {
		x.SetVar(step.name, step.value)
		if got := names(); got != step.want || len(x.Logs) != step.logs {
			t.Errorf("step %d: got %q with %d logs, want %q with %d", i, got, len(x.Logs), step.want, step.logs)
		}
	}
	if got := x.Logs[0]["dropped"]; got != "vars.b" {
		t.Errorf("the logs say %v, want vars.b", got)
	}
}
