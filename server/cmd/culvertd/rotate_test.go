package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store"
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

// TestK04_KeysInUseStay: a server that cannot read the key file any more goes on sealing with the key that it has. Two
// rotations later what it seals still opens, and its key is not removed before that is sealed anew.
func TestK04_KeysInUseStay(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, 0)
	path, away := filepath.Join(dir, vault.File), filepath.Join(t.TempDir(), vault.File)
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(away, first, 0o600); err != nil {
		t.Fatal(err)
	}
	blind, err := vault.OpenFile(away) // sees nothing of the rotations
	if err != nil {
		t.Fatal(err)
	}
	rotate := func(want int, text string, more ...string) {
		t.Helper()
		code, out, stderr := runDatabase(t, nil, "", append([]string{"rotate-key", "--data-dir", dir}, more...)...)
		if code != want || !strings.Contains(out+stderr, text) {
			t.Fatalf("rotate-key %s: code %d\n%s%s\nwant %d and %q", more, code, out, stderr, want, text)
		}
	}
	rotate(0, "sealed anew: 0.")
	rotate(0, "sealed anew: 0.")
	db, err := node.OpenDatabase(t.Context(), node.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	shared := &control.Shared{Store: db, Now: time.Now, Settle: func(context.Context, store.Revision) error { return nil }}
	caller := &control.Caller{Account: identity.DefaultAccount, Principal: "usr_1", Write: true, Admin: true}
	if _, err := control.NewVaults(shared).Create(t.Context(), caller, []byte(`{"name":"v"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := control.NewSecrets(shared, blind).Create(t.Context(), caller, []byte(`{"name":"s","value":"late","vault_name":"v"}`)); err != nil {
		t.Fatal(err)
	}
	rotate(1, string(fault.OldKeyInUse), "--drop-old")
	if data, err := os.ReadFile(path); err != nil || strings.Count(string(data), "\nkey ") != 3 {
		t.Errorf("a refused --drop-old has left %v\n%s", err, data)
	}
	rotate(0, "The older keys are gone. Secrets sealed anew: 0.", "--drop-old")
	rotate(0, "sealed anew: 1.")
}
