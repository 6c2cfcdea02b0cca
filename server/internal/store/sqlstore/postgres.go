package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
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
	// checkTimeout is that of a statement of a check.
	checkTimeout = 10 * time.Minute
	// dialTimeout bounds how long a TCP connection to it may take, so that a server which is back is found soon.
	dialTimeout = time.Second
	// writerLock is the number of the advisory lock that keeps writers apart.
	writerLock = 0x63756c76657274
)

// OpenPostgres opens the database that a URL or a list of settings names, as libpq reads them. It fails with
// fault.DatabaseUnusable or fault.DatabaseNewer; no message shows the password. errors.Is finds
// store.ErrUnavailable if the server may be there later.
func OpenPostgres(ctx context.Context, dsn string) (*Store, error) {
	s, err := openPostgres(ctx, dsn)
	if err == nil {
		return s, nil
	}
	if _, coded := errors.AsType[*fault.Error](err); coded {
		return nil, err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (strings.HasPrefix(e.Code, "28") || strings.HasPrefix(e.Code, "3D")) {
		err = e // a wrong user, password or database does not become right by itself
	}
	name := "(PostgreSQL)"
	if s != nil {
		name = s.name
	}
	return nil, fault.Wrap(err, fault.DatabaseUnusable, name, err)
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
	cfg.DialFunc = (&net.Dialer{Timeout: dialTimeout}).DialContext
	s := newStore(fmt.Sprintf("%s on %s", cfg.Database, net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))), postgresDialect{})
	s.hold = newHold(cfg, rand.Text())
	s.writer = stdlib.OpenDB(*cfg)
	s.writer.SetMaxOpenConns(1)
	s.reader = stdlib.OpenDB(*cfg)
	s.reader.SetMaxOpenConns(postgresReaders)
	s.reader.SetMaxIdleConns(postgresReaders)
	s.feed = stdlib.OpenDB(*cfg)
	s.feed.SetMaxOpenConns(1)
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
			revision BIGINT NOT NULL, created BIGINT NOT NULL, updated BIGINT NOT NULL, body BYTEA NOT NULL, sum BIGINT NOT NULL, PRIMARY KEY (kind, id));
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
func (postgresDialect) lock(x *session) error {
	_, err := x.exec("SELECT pg_advisory_xact_lock($1)", int64(writerLock))
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
	switch e.Code {
	case "53100": // disk_full
		return false, fmt.Errorf("%w: %w", store.ErrFull, err)
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return false, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "28", "3D": // user, database: they were right when the store was opened
		return false, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	case "08", "25", "40", "53", "55", "57", "58", "XX": // connection, read-only, rollback, resources, lock, intervention, system, internal
		return false, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return false, err
}

// patience is a little longer than the database's own, whose end says more.
func (postgresDialect) patience() time.Duration { return postgresTimeout + postgresTimeout/5 }

// integrity is for the database's server to look after. It lets what a check asks next take its time: that reads
// whole tables.
func (postgresDialect) integrity(x *session) ([]string, error) {
	_, err := x.exec("SET LOCAL statement_timeout = " + strconv.FormatInt(checkTimeout.Milliseconds(), 10))
	x.limit = checkTimeout + checkTimeout/5
	return nil, err
}
