package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// sqliteReaders is how many views SQLite serves at the same time.
const sqliteReaders = 4

// pragmas are the settings of each connection (reliability-security.md 8, S1): an answered update survives the
// loss of power.
var pragmas = []struct{ name, value, want string }{
	{"journal_mode", "WAL", "wal"},
	{"synchronous", "FULL", "2"},
	{"foreign_keys", "1", "1"},
	{"busy_timeout", "5000", "5000"},
}

// OpenSQLite opens the database in a file, or makes it, readable by its owner alone. It fails with
// fault.DatabaseUnusable, fault.DatabaseNewer or fault.SecretFileMode.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	s, err := openSQLite(ctx, path)
	if _, coded := errors.AsType[*fault.Error](err); err != nil && !coded {
		err = fault.Wrap(err, fault.DatabaseUnusable, path, err)
	}
	return s, err
}

func openSQLite(ctx context.Context, path string) (*Store, error) {
	if err := ownFile(path); err != nil {
		return nil, err
	}
	values := url.Values{"_txlock": {"immediate"}}
	for _, p := range pragmas {
		values.Add("_pragma", p.name+"("+p.value+")")
	}
	var err error
	dsn := (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: values.Encode()}).String()
	s := newStore(path, sqliteDialect{})
	if s.writer, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	values.Set("_txlock", "deferred")
	values.Add("_pragma", "query_only(1)")
	dsn = (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: values.Encode()}).String()
	if s.reader, err = sql.Open("sqlite", dsn); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.reader.SetMaxOpenConns(sqliteReaders)
	s.reader.SetMaxIdleConns(sqliteReaders)
	if s.feed, err = sql.Open("sqlite", dsn); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.feed.SetMaxOpenConns(1)
	if err := s.startSQLite(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, p := range pragmas {
		var got string
		if err := s.writer.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil || got != p.want {
			return nil, errors.Join(fmt.Errorf("PRAGMA %s is %q instead of %q", p.name, got, p.want), err, s.Close())
		}
	}
	return s, nil
}

// startSQLite is start, with what the witness knows from before.
func (s *Store) startSQLite(ctx context.Context, path string) error {
	instance, answered, err := readWitness(path) // before the database, which other processes may write
	if err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	var is string
	if err := s.reader.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = '"+metaInstance+"'").Scan(&is); err != nil {
		return err
	}
	switch at, _ := s.seen(); {
	case instance == is && answered > at:
		s.missing = answered
	case instance != is && answered > 0 && at == 0:
		s.failed = lost(path, answered)
	}
	if instance != is { // a new database. Its name goes into the file, so that the log's loss does not make it another
		if _, err := s.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return err
		}
	}
	s.witness, err = openWitness(path, is)
	return err
}

// ownFile makes the file, if there is none, and refuses one that others may read. SQLite gives its other files the
// same mode. A file that is there is not opened: to close it again would end the locks that this process has on it.
func ownFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return ownFile(path)
		}
		if err != nil {
			return err
		}
		return f.Close()
	}
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.SecretFileMode, path, info.Mode().Perm())
	}
	return err
}

type sqliteDialect struct{}

func (sqliteDialect) migrations() []string {
	return []string{
		`CREATE TABLE records (
			kind TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, parent TEXT NOT NULL, revision INTEGER NOT NULL,
			created INTEGER NOT NULL, updated INTEGER NOT NULL, body BLOB NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (kind, id));
		CREATE INDEX records_account ON records (kind, account, id);
		CREATE INDEX records_parent ON records (kind, parent, id) WHERE parent <> '';
		CREATE TABLE keys (
			space TEXT NOT NULL, value TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (space, value),
			FOREIGN KEY (kind, id) REFERENCES records (kind, id) ON DELETE CASCADE) WITHOUT ROWID;
		CREATE INDEX keys_record ON keys (kind, id);
		CREATE TABLE changes (
			revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, deleted BOOLEAN NOT NULL,
			PRIMARY KEY (revision, kind, id)) WITHOUT ROWID;`,
	}
}

// lock does nothing: a transaction of the writer holds the lock of the file from its beginning.
func (sqliteDialect) lock(*session) error { return nil }

func (sqliteDialect) viewOptions() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

// judge tells failures of the database from faults of the program. A failed sync of the file is final: what
// the file holds is unknown from then on (reliability-security.md 6, F20). The syncs that no update waits for,
// those when what is new moves from the log into the file, SQLite does again from the log.
func (sqliteDialect) judge(err error) (final bool, judged error) {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false, err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return false, fmt.Errorf("%w: %w", store.ErrFull, err)
	case sqlite3.SQLITE_IOERR:
		final = e.Code() == sqlite3.SQLITE_IOERR_FSYNC || e.Code() == sqlite3.SQLITE_IOERR_DIR_FSYNC
		return final, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return false, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM:
		return false, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return false, err
}

// patience is endless: a disk that does not answer blocks the process whatever it does.
func (sqliteDialect) patience() time.Duration { return 0 }

// integrity has SQLite compare its pages, tables and indexes.
func (sqliteDialect) integrity(x *session) (problems []string, err error) {
	err = x.rows("PRAGMA integrity_check", nil, func(scan func(...any) error) error {
		var text string
		err := scan(&text)
		if err == nil && text != "ok" {
			problems = append(problems, text)
		}
		return err
	})
	return problems, err
}
