package headers_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/headers"
	"github.com/culvert-project/culvert/server/internal/action/respond"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

// cases runs the cases of an archive.
func cases(t *testing.T, archive string) {
	t.Helper()
	r, err := policy.NewRegistry(append(headers.Definitions(), respond.Definitions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	policytest.Run(t, r, "testdata/"+archive+".txtar")
}

func TestPolicy13_53_AddHeaders(t *testing.T) {
	t.Parallel()
	cases(t, "add-headers")
}

func TestPolicy53_RemoveHeaders(t *testing.T) {
	t.Parallel()
	cases(t, "remove-headers")
}

// TestT24_Policy54_NoHeaderFromInput sends line breaks and NUL through every
// place of a header that an expression reaches.
func TestT24_Policy54_NoHeaderFromInput(t *testing.T) {
	t.Parallel()
	cases(t, "injection")
}
