package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func openPostgres(t *testing.T, url string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.OpenPostgres(t.Context(), url)
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

// database is one of the two kinds of databases for a test: each call of open opens the same one.
type database struct {
	path, url string
	open      func(t *testing.T) *sqlstore.Store
}

// both runs a test with a new, empty database of each kind.
func both(t *testing.T, test func(t *testing.T, db database)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "culvert.db")
		test(t, database{path: path, open: func(t *testing.T) *sqlstore.Store { t.Helper(); return openSQLite(t, path) }})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url := storetest.Postgres(t)
		test(t, database{url: url, open: func(t *testing.T) *sqlstore.Store { t.Helper(); return openPostgres(t, url) }})
	})
}

// raw opens the database without the store.
func (db database) raw(t *testing.T) *sql.DB {
	t.Helper()
	driver, name := "sqlite", db.path
	if db.url != "" {
		driver, name = "pgx", db.url
	}
	raw, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// thing is a record that a test writes.
func thing(id, body string, keys ...store.Key) store.Record {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return store.Record{Kind: "thing", ID: id, Account: "ac_1", CreatedAt: at, UpdatedAt: at, Keys: keys, Body: []byte(body)}
}

func put(t *testing.T, s store.Store, records ...store.Record) store.Revision {
	t.Helper()
	r, err := s.Update(t.Context(), func(tx store.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return r
}

// sound fails the test unless a check finds nothing wrong.
func sound(t *testing.T, s *sqlstore.Store) *sqlstore.Report {
	t.Helper()
	r, err := s.Check(t.Context())
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("Check = %+v, %v, want nothing wrong", r, err)
	}
	return r
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return openSQLite(t, filepath.Join(t.TempDir(), "culvert.db")) })
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return openPostgres(t, storetest.Postgres(t)) })
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
	both(t, func(t *testing.T, db database) {
		if err := db.open(t).Close(); err != nil {
			t.Fatal(err)
		}
		execute(t, db.raw(t), "UPDATE meta SET value = '99' WHERE name = 'schema'")
		var err error
		if db.url != "" {
			_, err = sqlstore.OpenPostgres(t.Context(), db.url)
		} else {
			_, err = sqlstore.OpenSQLite(t.Context(), db.path)
		}
		if !fault.Has(err, fault.DatabaseNewer) {
			t.Errorf("the database of a later version opens with %v, want %s", err, fault.DatabaseNewer)
		}
	})
}

// TestS1_Pragmas reads back what every connection has to have, from outside for what the file keeps.
func TestS1_Pragmas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	s := openSQLite(t, path)
	for _, reader := range []bool{false, true} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			if got := s.Pragma(t, reader, pragma); got != want {
				t.Errorf("reader %v: PRAGMA %s is %s, want %s", reader, pragma, got, want)
			}
		}
	}
	if got := s.Pragma(t, true, "query_only"); got != "1" {
		t.Errorf("a view's connection has query_only %s, want 1", got)
	}
}

// TestS9_PostgresSettings reads back what an answered update depends on.
func TestS9_PostgresSettings(t *testing.T) {
	t.Parallel()
	s := openPostgres(t, storetest.Postgres(t))
	if got := s.Setting(t, "synchronous_commit"); got != "on" {
		t.Errorf("synchronous_commit is %s, want on", got)
	}
}

// TestOpenPostgres_WrongOrAway tells what may become right by itself from what does not.
func TestOpenPostgres_WrongOrAway(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	for name, tt := range map[string]struct {
		url  string
		away bool
	}{
		"nobody listens":  {"postgres://u:planted@127.0.0.1:1/x", true},
		"no such host":    {"postgres://u:planted@nowhere.invalid/x", true},
		"no URL":          {"postgres://u:planted@[::1/x", false},
		"no such base":    {base + "_missing", false},
		"no such setting": {base + "?sslmode=planted", false},
	} {
		_, err := sqlstore.OpenPostgres(t.Context(), tt.url)
		if !fault.Has(err, fault.DatabaseUnusable) || errors.Is(err, store.ErrUnavailable) != tt.away {
			t.Errorf("%s: OpenPostgres = %v, unavailable %v, want %s, %v", name, err, errors.Is(err, store.ErrUnavailable), fault.DatabaseUnusable, tt.away)
		}
		if text := fmt.Sprintf("%v %+v %s", err, errors.Unwrap(err), fault.From(err).Message); strings.Contains(text, "planted") {
			t.Errorf("%s: the error shows the password: %s", name, text)
		}
	}
}
