package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// start brings the tables of an opened database to what this program knows, all in one transaction. A database
// of a later program is refused with fault.DatabaseNewer and left as it is (reliability-security.md 7, D8).
func (s *Store) start(ctx context.Context) error {
	x, err := s.begin(ctx, s.writer, nil)
	if err != nil {
		return err
	}
	defer x.end()
	if err := s.dialect.lock(x); err != nil {
		return err
	}
	if _, err := x.exec("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"); err != nil {
		return err
	}
	have, err := x.number(metaSchema)
	if err != nil {
		return err
	}
	steps := s.dialect.migrations()
	if have > uint64(len(steps)) {
		return fault.New(fault.DatabaseNewer, s.name, have, len(steps))
	}
	for i, step := range steps[have:] {
		if _, err := x.exec(step); err != nil {
			return fmt.Errorf("migration %d: %w", have+uint64(i)+1, err) //nolint:gosec // small numbers
		}
	}
	if have == 0 {
		if err := s.setUp(x); err != nil {
			return err
		}
	}
	if have < uint64(len(steps)) {
		if err := x.setNumber(metaSchema, uint64(len(steps))); err != nil {
			return err
		}
	}
	n, err := x.number(metaRevision)
	if err != nil {
		return err
	}
	if err := x.commit(); err != nil {
		return err
	}
	s.see(store.Revision(n))
	return s.whole(ctx)
}

// whole finds tables that are missing or have lost a column. Such a database is opened, so that a check can tell more of
// it, and refused by whoever would write or serve it.
func (s *Store) whole(ctx context.Context) error {
	for _, t := range []struct{ name, columns string }{
		{"records", columns},
		{"keys", "space, value, kind, id"},
		{"changes", "revision, kind, id, account, deleted"},
	} {
		if err := s.has(ctx, t.name, t.columns); errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			return err
		} else if err != nil {
			f := fault.Wrap(err, fault.DatabaseUnusable, s.name, fmt.Sprintf("its table %s is not as this program made it: %v", t.name, err))
			f.Remedy = "Keep a copy of it, and restore the last good backup into an empty database with culvertd restore. culvertd db check says what else is wrong."
			s.failed = f
			return nil
		}
	}
	return nil
}

// has asks for columns of a table.
func (s *Store) has(ctx context.Context, table, columns string) error {
	x, err := s.begin(ctx, s.reader, s.dialect.viewOptions())
	if err != nil {
		return err
	}
	defer x.end()
	var n int
	return x.row("SELECT count(*) FROM (SELECT "+columns+" FROM "+table+" WHERE 1 = 0) AS t", nil, &n)
}

// setUp writes what a new database begins with.
func (*Store) setUp(x *session) error {
	if err := x.set(metaInstance, rand.Text()); err != nil {
		return err
	}
	return x.setNumber(metaRevision, 0)
}
