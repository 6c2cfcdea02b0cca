package rewrite_test

import (
	"slices"
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/headers"
	"github.com/culvert-project/culvert/server/internal/action/respond"
	"github.com/culvert-project/culvert/server/internal/action/rewrite"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func registry(t testing.TB, o rewrite.Options) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(slices.Concat(headers.Definitions(), respond.Definitions(), rewrite.Definitions(o))...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t, rewrite.Options{MaxBody: 64}), "testdata/*.txtar")
}
