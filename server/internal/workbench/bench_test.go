package workbench_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// newBench returns a bench with the actions of the server.
func newBench(t testing.TB) *workbench.Bench {
	t.Helper()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{Forwarder: policycase.Forwarder{}})...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := workbench.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var took = regexp.MustCompile(`\([0-9.]+(ns|µs|ms|s)\)|"microseconds": [0-9.e-]+`)

// golden compares text with a file of testdata; how long something took is left
// out.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = took.ReplaceAllString(got, "(TIME)")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // a file of the sources
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", path, diff)
	}
}

func output(json bool) (*strings.Builder, workbench.Output) {
	var b strings.Builder
	return &b, workbench.Output{W: &b, JSON: json}
}
