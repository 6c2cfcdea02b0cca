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

// cases runs the cases of an archive. Bodies are small, and so is their bound.
func cases(t *testing.T, archive string) {
	t.Helper()
	policytest.Run(t, registry(t, rewrite.Options{MaxBody: 64}), "testdata/"+archive+".txtar")
}

func TestPolicy12_52_URLRewrite(t *testing.T) {
	t.Parallel()
	cases(t, "url-rewrite")
}

func TestPolicy55_RequestBody(t *testing.T) {
	t.Parallel()
	cases(t, "request-body-find-replace")
}

func TestPolicy56_ResponseBody(t *testing.T) {
	t.Parallel()
	cases(t, "response-body-find-replace")
}

func TestPolicy56_Events(t *testing.T) {
	t.Parallel()
	cases(t, "sse-find-replace")
}

func TestT26_Paths(t *testing.T) {
	t.Parallel()
	cases(t, "paths")
}
