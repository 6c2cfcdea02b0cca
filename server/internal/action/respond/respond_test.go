package respond_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/respond"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func TestCases(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRegistry(respond.Definitions()...)
	if err != nil {
		t.Fatal(err)
	}
	policytest.Run(t, r, "testdata/*.txtar")
}
