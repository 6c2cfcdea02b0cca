package sqlstore

import (
	"database/sql"
	"testing"
)

// Pragma returns a setting of a connection of the store.
func (s *Store) Pragma(t *testing.T, reader bool, name string) string {
	t.Helper()
	db := s.writer
	if reader {
		db = s.reader
	}
	return one(t, db, "PRAGMA "+name)
}

// Setting returns a setting of PostgreSQL's writer.
func (s *Store) Setting(t *testing.T, name string) string {
	t.Helper()
	return one(t, s.writer, "SHOW "+name)
}

// Readers returns how many views can run at the same time.
func (s *Store) Readers() int { return s.reader.Stats().MaxOpenConnections }

func one(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var text string
	if err := db.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

// Exec changes the database behind the store's back.
func (s *Store) Exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := s.writer.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// ForgetHold forgets the connection of the store's lock, which stands.
func (s *Store) ForgetHold() { s.hold.conn = nil }
