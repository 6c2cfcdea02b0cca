package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestRun is a short run: everything is measured, and all that is made is seen at the edge.
func TestRun(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "culvertd"), "../../cmd/culvertd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := run(t.Context(), options{endpoints: 20, domains: 20, samples: 3, seconds: 0.1, bin: bin}); err != nil {
		t.Error(err)
	}
}
