package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// postgresReaders is how many views PostgreSQL serves at the same time.
	postgresReaders = 8
	// postgresTimeout bounds how long a statement of PostgreSQL may take, and the wait for other writers.
	postgresTimeout = 10 * time.Second
	// writerLock is the number of the advisory lock that keeps writers apart.
	writerLock = 0x63756c76657274
)

// OpenPostgres opens the database that a URL or a list of settings names, as libpq reads them. It fails with
// fault.DatabaseUnusable or fault.DatabaseNewer; no message shows the password.
func OpenPostgres(ctx context.Context, dsn string) (*Store, error) {
	s, err := openPostgres(ctx, dsn)
	if _, coded := errors.AsType[*fault.Error](err); err != nil && !coded {
		name := "(PostgreSQL)"
		if s != nil {
			name = s.name
		}
		return nil, fault.Wrap(err, fault.DatabaseUnusable, name, err)
	}
	return s, err
}

func openPostgres(ctx context.Context, dsn string) (*Store, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("its URL cannot be read; it is like postgres://user:password@host:5432/culvert")
	}
	cfg.RuntimeParams["statement_timeout"] = strconv.FormatInt(postgresTimeout.Milliseconds(), 10)
	cfg.RuntimeParams["synchronous_commit"] = "on"
	cfg.RuntimeParams["application_name"] = "culvertd"
	cfg.ConnectTimeout = postgresTimeout
	s := &Store{name: fmt.Sprintf("%s on %s", cfg.Database, net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))), dialect: postgresDialect{}}
	s.writer = stdlib.OpenDB(*cfg)
	s.writer.SetMaxOpenConns(1)
	s.reader = stdlib.OpenDB(*cfg)
	s.reader.SetMaxOpenConns(postgresReaders)
	s.reader.SetMaxIdleConns(postgresReaders)
	if err := s.start(ctx); err != nil {
		return s, errors.Join(err, s.Close())
	}
	return s, nil
}

type postgresDialect struct{}

func (postgresDialect) migrations() []string {
	return []string{
		`CREATE TABLE records (
			kind TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL, parent TEXT COLLATE "C" NOT NULL,
			revision BIGINT NOT NULL, created BIGINT NOT NULL, updated BIGINT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (kind, id));
		CREATE INDEX records_account ON records (kind, account, id);
		CREATE INDEX records_parent ON records (kind, parent, id) WHERE parent <> '';
		CREATE TABLE keys (
			space TEXT COLLATE "C" NOT NULL, value TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL,
			PRIMARY KEY (space, value), FOREIGN KEY (kind, id) REFERENCES records (kind, id) ON DELETE CASCADE);
		CREATE INDEX keys_record ON keys (kind, id);
		CREATE TABLE changes (
			revision BIGINT NOT NULL, kind TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, account TEXT COLLATE "C" NOT NULL,
			deleted BOOLEAN NOT NULL, PRIMARY KEY (revision, kind, id));`,
	}
}

// lock waits for the writers of other processes. What is read after it is what they have committed.
func (postgresDialect) lock(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(writerLock))
	return err
}

func (postgresDialect) viewOptions() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// judge tells failures of the database from faults of the program. Nothing is final: what was committed is for
// the database's server to keep.
func (postgresDialect) judge(err error) (final bool, judged error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return false, err
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok { // the connection, or the wait for one
		return false, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if e.Code == "53100" { // disk_full
		return false, fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	switch e.Code[:2] {
	case "08", "25", "40", "53", "57", "58": // connection, read-only, rollback, resources, intervention, system
		return false, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return false, err
}

// polls is true: several servers may share one database.
func (postgresDialect) polls() bool { return true }
