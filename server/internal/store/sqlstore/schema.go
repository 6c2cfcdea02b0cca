package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/culvert-project/culvert/internal/fault"
)

// Names in the table meta.
const (
	metaSchema   = "schema"   // how many migrations have been applied
	metaRevision = "revision" // of the last update
	metaTrimmed  = "trimmed"  // the last revision whose changes are no longer known
)

// migrate brings the tables to what this program knows, all in one transaction. A database of a later program
// is refused with fault.DatabaseNewer and left as it is.
func (s *Store) migrate(ctx context.Context) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := s.dialect.lock(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"); err != nil {
		return err
	}
	have, err := readMeta(ctx, tx, metaSchema)
	if err != nil {
		return err
	}
	steps := s.dialect.migrations()
	switch n := uint64(len(steps)); {
	case have > n:
		return fault.New(fault.DatabaseNewer, s.name, int(have), int(n)) //nolint:gosec // small numbers
	case have == n:
		return tx.Commit()
	}
	for i, step := range steps[have:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("migration %d: %w", int(have)+i+1, err) //nolint:gosec // small numbers
		}
	}
	if err := writeMeta(ctx, tx, metaSchema, uint64(len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

// querier is what a transaction and a database have in common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// readMeta returns a number, 0 if there is none.
func readMeta(ctx context.Context, q querier, name string) (uint64, error) {
	var text string
	err := q.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = $1", name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("meta %s: %w", name, err)
	}
	return n, nil
}

func writeMeta(ctx context.Context, q querier, name string, n uint64) error {
	_, err := q.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, strconv.FormatUint(n, 10))
	return err
}
