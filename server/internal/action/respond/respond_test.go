package respond_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/respond"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

// cases runs the cases of an archive.
func cases(t *testing.T, archive string) {
	t.Helper()
	r, err := policy.NewRegistry(respond.Definitions()...)
	if err != nil {
		t.Fatal(err)
	}
	policytest.Run(t, r, "testdata/"+archive+".txtar")
}

func TestDeny(t *testing.T) {
	t.Parallel()
	cases(t, "deny")
}

// TestPolicy05_08_09_CustomResponse has old spellings, unreachable actions and
// values without quotes among its cases.
func TestPolicy05_08_09_CustomResponse(t *testing.T) {
	t.Parallel()
	cases(t, "custom-response")
}

func TestPolicy51_Redirect(t *testing.T) {
	t.Parallel()
	cases(t, "redirect")
}

func TestPolicy61_CloseConnection(t *testing.T) {
	t.Parallel()
	cases(t, "close-connection")
}

func TestT25_OpenRedirect(t *testing.T) {
	t.Parallel()
	cases(t, "open-redirect")
}

func TestT26_Paths(t *testing.T) {
	t.Parallel()
	cases(t, "paths")
}

func TestT27_Methods(t *testing.T) {
	t.Parallel()
	cases(t, "methods")
}
