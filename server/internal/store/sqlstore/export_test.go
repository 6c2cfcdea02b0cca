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
