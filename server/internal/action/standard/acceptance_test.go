package standard_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

// cases runs an archive of testdata with all actions.
func cases(t *testing.T, name string) {
	t.Helper()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{Forwarder: policycase.Forwarder{}})...)
	if err != nil {
		t.Fatal(err)
	}
	policytest.Run(t, r, "testdata/"+name+".txtar")
}

func TestPolicy07_CloudPoliciesAnswerAll(t *testing.T) {
	t.Parallel()
	cases(t, "policy07")
}

func TestPolicy08_NothingAfterTheEnd(t *testing.T) {
	t.Parallel()
	cases(t, "policy08")
}

func TestPolicy09_ScalarsAreSentAsText(t *testing.T) {
	t.Parallel()
	cases(t, "policy09")
}

func TestPolicy14_VariablesAcrossPhases(t *testing.T) {
	t.Parallel()
	cases(t, "policy14")
}

func TestPolicy16_ResultsAreReplaced(t *testing.T) {
	t.Parallel()
	cases(t, "policy16")
}

func TestPolicy21_EndOfAnExpression(t *testing.T) {
	t.Parallel()
	cases(t, "policy21")
}

func TestPolicy22_VariablesKeepTheirType(t *testing.T) {
	t.Parallel()
	cases(t, "policy22")
}

func TestPolicy23_TextsOfValues(t *testing.T) {
	t.Parallel()
	cases(t, "policy23")
}

func TestPolicy24_NamesOfTwoNatures(t *testing.T) {
	t.Parallel()
	cases(t, "policy24")
}

func TestPolicy26_HasAHeader(t *testing.T) {
	t.Parallel()
	cases(t, "policy26")
}

func TestPolicy28_ZeroValues(t *testing.T) {
	t.Parallel()
	cases(t, "policy28")
}

func TestPolicy32_AddressOrPassword(t *testing.T) {
	t.Parallel()
	cases(t, "policy32")
}
