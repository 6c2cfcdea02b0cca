package control_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// openDir opens the database and the keys of a data directory, and makes them if need be.
func openDir(t *testing.T, dir string) (*sqlstore.Store, *vault.Vault) {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return db, keys
}

// storedSecrets makes a database with some secrets, sealed with the keys of a
// new directory.
func storedSecrets(t *testing.T, n int) (db store.Store, dir string, caller *control.Caller) {
	t.Helper()
	dir = t.TempDir()
	opened, v := openDir(t, dir)
	shared := &control.Shared{Store: opened, Now: time.Now, Settle: func(context.Context, store.Revision) error { return nil }}
	caller = &control.Caller{Account: "ac_1", Principal: "usr_1", Write: true, Admin: true}
	if _, err := control.NewVaults(shared).Create(t.Context(), caller, []byte(`{"name":"v"}`)); err != nil {
		t.Fatal(err)
	}
	secrets := control.NewSecrets(shared, v)
	for i := range n {
		body := fmt.Sprintf(`{"name":"s%d","value":"canary-%d","vault_name":"v"}`, i, i)
		if _, err := secrets.Create(t.Context(), caller, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	return opened, dir, caller
}

// TestK04_RewrapEverySecret: after a rotation no envelope needs the old key, and
// who holds one before still opens it until that is dropped.
func TestK04_RewrapEverySecret(t *testing.T) {
	t.Parallel()
	const n = 230 // several pages
	db, dir, _ := storedSecrets(t, n)
	path := filepath.Join(dir, vault.File)
	if err := vault.Rotate(path); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{n, 0} {
		if got, err := control.Rewrap(t.Context(), db, v); err != nil || got != want {
			t.Errorf("run %d: Rewrap = %d, %v, want %d", i, got, err, want)
		}
	}
	types := 0
	_, err = db.View(t.Context(), func(tx store.Tx) error {
		for e, err := range control.AuditTrail(tx, control.AuditQuery{Limit: 3}) {
			if err != nil {
				return err
			}
			if e.Doc.Type == "secrets_sealed_anew.v0" {
				types++
			}
		}
		return nil
	})
	if err != nil || types != 3 {
		t.Errorf("%d of the newest three entries of the record are of the rotation, %v: want all, one a page", types, err)
	}
	if err := vault.DropOld(path); err != nil {
		t.Fatal(err)
	}
	if v, err = vault.Open(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := control.Rewrap(t.Context(), db, v); err != nil || got != 0 {
		t.Errorf("without the old key: Rewrap = %d, %v: something was sealed with it", got, err)
	}
}

func TestAuditTrail(t *testing.T) {
	t.Parallel()
	db, _, _ := storedSecrets(t, 3)
	read := func(q control.AuditQuery) (types []string) {
		t.Helper()
		_, err := db.View(t.Context(), func(tx store.Tx) error {
			for e, err := range control.AuditTrail(tx, q) {
				if err != nil {
					return err
				}
				types = append(types, e.Doc.Type)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return types
	}
	hour := time.Hour
	for _, tt := range []struct {
		q     control.AuditQuery
		first string
		n     int
	}{
		{control.AuditQuery{Limit: 10}, "secret_created.v0", 4},
		{control.AuditQuery{Limit: 2}, "secret_created.v0", 2},
		{control.AuditQuery{Limit: 10, Account: "ac_1", Since: time.Now().Add(-hour)}, "secret_created.v0", 4},
		{control.AuditQuery{Limit: 10, Account: "ac_2"}, "", 0},
		{control.AuditQuery{Limit: 10, Since: time.Now().Add(hour)}, "", 0},
	} {
		got := read(tt.q)
		if len(got) != tt.n || tt.n > 0 && got[0] != tt.first {
			t.Errorf("%+v: got %q, want %d", tt.q, got, tt.n)
		}
	}
}
