package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/culvert-project/culvert/internal/fault"
)

const (
	// serverLock is the number of the advisory lock that a server holds as long as it runs.
	serverLock = 0x63756c76657273
	// holdEvery is how often a server looks whether it still has the lock, and asks for it when it has not.
	holdEvery = time.Second
	// holdPatience is how long a server that has just ended, or its network, may keep the lock from the next one.
	holdPatience = 2 * time.Second
	// holdRetry is how often the lock is asked for meanwhile.
	holdRetry = 100 * time.Millisecond
)

// hold is the advisory lock of PostgreSQL that keeps a second server off a database: what agents have online is
// in each server's memory alone. PostgreSQL drops it with the connection.
type hold struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn // nil while there is none
}

// newHold returns a hold that has nothing yet. Its connections bear a name of their own, by which a server knows
// the one that it has lost; when the machine of a server is gone, PostgreSQL notices within half a minute.
func newHold(cfg *pgx.ConnConfig, name string) *hold {
	c := cfg.Copy()
	c.RuntimeParams["application_name"] = "culvertd server " + name
	c.RuntimeParams["tcp_keepalives_idle"] = "10"
	c.RuntimeParams["tcp_keepalives_interval"] = "5"
	c.RuntimeParams["tcp_keepalives_count"] = "3"
	return &hold{config: c}
}

// Hold makes this process the one server of the database until Close, and fails with fault.DatabaseTaken if
// another one is. A file of SQLite needs no such lock: that of the data directory keeps others out. A database that
// is empty and was not, or misses a table, is refused with fault.DatabaseUnusable.
func (s *Store) Hold(ctx context.Context) error {
	if err := s.failure(); s.hold == nil || err != nil {
		return err
	}
	if err := s.hold.take(ctx); err != nil {
		return s.holdError(err)
	}
	return nil
}

// KeepHold watches over what Hold has got, and takes it again when its connection is lost, such as in a
// fail-over. It returns nil when ctx ends, and fault.DatabaseTaken when another server has got hold of the database
// meanwhile: two would hand out the same names, so this one has to end.
func (s *Store) KeepHold(ctx context.Context, log *slog.Logger) error {
	if s.hold == nil {
		return nil
	}
	timer := time.NewTicker(holdEvery)
	defer timer.Stop()
	lost := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if s.hold.stands(ctx) {
			continue
		}
		if !lost {
			lost = true
			log.Warn("the connection that keeps other servers off the database is lost; the server tries to get it back")
		}
		err := s.hold.take(ctx)
		switch {
		case err == nil:
			lost = false
			log.Info("the server has hold of the database again")
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errTaken):
			err = s.holdError(err)
			log.Error("another server has taken over the database; this one ends", "err", err)
			return err
		}
	}
}

var errTaken = errors.New("another server has the lock")

func (s *Store) holdError(err error) error {
	if errors.Is(err, errTaken) {
		return fault.New(fault.DatabaseTaken, s.name)
	}
	_, judged := s.dialect.judge(err)
	return judged
}

// stands reports whether the connection stands, and with it the lock.
func (h *hold) stands(ctx context.Context) bool {
	if h.conn == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, postgresTimeout)
	defer cancel()
	return h.conn.Ping(ctx) == nil
}

// take gets the lock by a new connection. It waits a little for who has it, and ends connections of this server's
// own that PostgreSQL takes to be alive.
func (h *hold) take(ctx context.Context) error {
	h.drop()
	ctx, cancel := context.WithTimeout(ctx, postgresTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, h.config)
	if err != nil {
		return err
	}
	h.conn = conn
	for until := time.Now().Add(holdPatience); ; {
		var got bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(serverLock)).Scan(&got); err != nil {
			return h.dropped(err)
		}
		if got {
			return nil
		}
		if !time.Now().Before(until) {
			return h.dropped(errTaken)
		}
		if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
			WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = $1 AND a.pid <> pg_backend_pid()`,
			h.config.RuntimeParams["application_name"]); err != nil {
			return h.dropped(err)
		}
		select {
		case <-ctx.Done():
			return h.dropped(ctx.Err())
		case <-time.After(holdRetry):
		}
	}
}

// drop ends the connection, and with it the lock. A broken one ends as well as another.
func (h *hold) drop() {
	if h != nil && h.conn != nil {
		_ = h.conn.PgConn().Conn().Close() // it may be broken
		h.conn = nil
	}
}

// dropped is drop because of an error, which it returns.
func (h *hold) dropped(err error) error {
	h.drop()
	return err
}
