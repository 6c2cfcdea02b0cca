package control_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// TestK04_AccountsAtAuthorities: the account of an authority is kept sealed, and
// sealed anew with the rest.
func TestK04_AccountsAtAuthorities(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, keys := openDir(t, dir)
	accounts := control.NewACMEAccounts(db, keys)
	if got, err := accounts.Load(t.Context(), "a"); got != nil || err != nil {
		t.Errorf("Load of none = %q, %v", got, err)
	}
	for _, text := range []string{"first", "second"} {
		if err := accounts.Save(t.Context(), "a", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := accounts.Load(t.Context(), "a"); string(got) != text || err != nil {
			t.Errorf("Load = %q, %v, want %q", got, err, text)
		}
	}
	path := dir + "/" + vault.File
	if err := vault.Rotate(path); err != nil {
		t.Fatal(err)
	}
	fresh, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := control.Rewrap(t.Context(), db, fresh); n != 1 || err != nil {
		t.Errorf("Rewrap = %d, %v, want 1", n, err)
	}
	if got, err := control.NewACMEAccounts(db, fresh).Load(t.Context(), "a"); string(got) != "second" || err != nil {
		t.Errorf("after the rotation: Load = %q, %v", got, err)
	}
}
