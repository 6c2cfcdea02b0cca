package sqlstore_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

func openSQLite(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return openSQLite(t, filepath.Join(t.TempDir(), "culvert.db")) })
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := sqlstore.OpenPostgres(t.Context(), storetest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		return s
	})
}

// A path may hold what means something in a URL.
func TestSQLite_Path(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c#d%20&e.db")
	openSQLite(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("the file is %v, %v, want one of mode 600 with content", info, err)
	}
}

func TestSQLite_ReadableByOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil { //nolint:gosec // that is what is tested
		t.Fatal(err)
	}
	if _, err := sqlstore.OpenSQLite(t.Context(), path); !fault.Has(err, fault.SecretFileMode) {
		t.Errorf("OpenSQLite = %v, want %s", err, fault.SecretFileMode)
	}
}

func TestSQLite_NoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	if err := os.WriteFile(path, []byte("this is no database, whatever its name says. "), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.OpenSQLite(t.Context(), path); !fault.Has(err, fault.DatabaseUnusable) {
		t.Errorf("OpenSQLite = %v, want %s", err, fault.DatabaseUnusable)
	}
}

// TestD8_NewerSchemaIsRefused: a program that does not know the schema does not touch it.
func TestD8_NewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	if err := openSQLite(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE meta SET value = '99' WHERE name = 'schema'"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.OpenSQLite(t.Context(), path); !fault.Has(err, fault.DatabaseNewer) {
		t.Errorf("OpenSQLite = %v, want %s", err, fault.DatabaseNewer)
	}
}
