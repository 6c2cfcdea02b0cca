package standard_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
)

func TestDefinitions(t *testing.T) {
	t.Parallel()
	all := standard.Definitions(standard.Services{})
	r, err := policy.NewRegistry(all...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.NewCompiler(r); err != nil {
		t.Fatal(err)
	}
	if len(all) != 28 {
		t.Errorf("there are %d actions, want 28", len(all))
	}
	for _, d := range all {
		if len(d.Phases) == 0 || len(d.Schemes) == 0 || d.Built() && d.Doc == "" {
			t.Errorf("%s lacks phases, schemes or a description", d.Type)
		}
	}
}
