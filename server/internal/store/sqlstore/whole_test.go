package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// TestS5_MissingTable: a server does not start on a database without one of its tables, nothing is written to it, and a
// check says what is missing.
func TestS5_MissingTable(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"DROP TABLE keys", "DROP TABLE changes", "DROP TABLE keys; DROP TABLE records", "ALTER TABLE changes DROP COLUMN account"} {
		path := filepath.Join(t.TempDir(), "culvert.db")
		s := openSQLite(t, path)
		put(t, s, thing("one", "1"))
		if err := s.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}

		s = openSQLite(t, path)
		err = s.Hold(t.Context())
		if f := fault.From(err); err == nil || f.Code != fault.DatabaseUnusable || !strings.Contains(f.Message, path) || !strings.Contains(f.Message, "its table ") {
			t.Errorf("%s: a server starts: %v", damage, err)
		}
		if _, err := s.Update(t.Context(), func(store.Tx) error { return nil }); !fault.Has(err, fault.DatabaseUnusable) {
			t.Errorf("%s: an update: %v", damage, err)
		}
		if r, err := s.Check(t.Context()); err != nil || len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "its table ") {
			t.Errorf("%s: the check says %+v, %v", damage, r, err)
		}
	}
}
