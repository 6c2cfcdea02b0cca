package policytest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
)

var update = flag.Bool("update", false, "write what comes out into the cases")

// Runner is a policycase.Runner for tests.
type Runner policycase.Runner

// Run runs the cases of all archives that match a pattern, each as a subtest.
// With the flag -update it writes what comes out into them.
func Run(t *testing.T, r *policy.Registry, pattern string) {
	t.Helper()
	Runner{Registry: r}.Run(t, pattern)
}

// Run is as the function of this name.
func (r Runner) Run(t *testing.T, pattern string) {
	t.Helper()
	archives, err := filepath.Glob(pattern)
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archive matches %s (%v)", pattern, err)
	}
	compiler, err := policy.NewCompiler(r.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			r.archive(t, compiler, file)
		})
	}
}

func (r Runner) archive(t *testing.T, compiler *policy.Compiler, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names, all := policycase.Split(a)
	for _, name := range names {
		run := func(t *testing.T) {
			got, err := policycase.Runner(r).Case(t.Context(), compiler, all[name])
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if *update {
				policycase.SetWant(a, name, got)
			} else if want := all[name][policycase.Want]; !bytes.Equal(got, want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		}
		if name == "" {
			run(t)
		} else {
			t.Run(name, run)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil { //nolint:gosec // a file of the sources
			t.Fatal(err)
		}
	}
}
