package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// TestK04_OneRotationAtATime: a second one would drop the key that the first one has still to replace.
func TestK04_OneRotationAtATime(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, 1)
	other, err := datafile.TryLock(filepath.Join(dir, vault.File+".lock"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runDatabase(t, nil, "", "rotate-key", "--data-dir", dir); code != 1 || !strings.Contains(stderr, string(fault.DataDirLocked)) {
		t.Errorf("beside another rotation: %d %q, want %s", code, stderr, fault.DataDirLocked)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runDatabase(t, nil, "", "rotate-key", "--drop-old", "--data-dir", dir); code != 0 {
		t.Errorf("after it: %d %q", code, stderr)
	}
}
