package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// Names in the table meta.
const (
	metaSchema   = "schema"   // how many migrations have been applied
	metaRevision = "revision" // of the last update
	metaTrimmed  = "trimmed"  // the last revision whose changes are no longer known
	metaInstance = "instance" // tells this database from all others
)

// session is a transaction of the database. Its errors are judged ones, and store.ErrNotFound where a row is
// missing. None of its statements takes longer than the dialect's patience.
type session struct {
	store *Store
	tx    *sql.Tx
	ctx   context.Context //nolint:containedctx // it lives as long as the transaction
	stop  context.CancelCauseFunc
	limit time.Duration // of a statement
	timer *time.Timer   // ends ctx; it runs during statements only. Nil without a limit
}

// begin starts a transaction. Whoever gets one calls end.
func (s *Store) begin(ctx context.Context, db *sql.DB, opts *sql.TxOptions) (*session, error) {
	x := &session{store: s, ctx: ctx, stop: func(error) {}, limit: s.dialect.patience()}
	if x.limit > 0 {
		x.ctx, x.stop = context.WithCancelCause(ctx)
		x.timer = time.AfterFunc(x.limit, func() {
			x.stop(fmt.Errorf("%w: no answer in time", store.ErrUnavailable))
		})
	}
	var err error
	x.tx, err = db.BeginTx(x.ctx, opts) //nolint:contextcheck // it inherits from ctx
	x.rest()
	if err != nil {
		err = x.fail(err)
		x.stop(nil)
		return nil, err
	}
	return x, nil
}

// watch starts the time of a statement; rest ends it.
func (x *session) watch() {
	if x.timer != nil {
		x.timer.Reset(x.limit)
	}
}

func (x *session) rest() {
	if x.timer != nil {
		x.timer.Stop()
	}
}

// end undoes what has not been committed.
func (x *session) end() {
	x.watch()
	_ = x.tx.Rollback() // after a commit it does nothing, and what fails to be undone is not committed either
	x.rest()
	x.stop(nil)
}

func (x *session) commit() error {
	x.watch()
	defer x.rest()
	return x.fail(x.tx.Commit())
}

// fail judges an error. The end of the transaction's context is the cause of what it brings about.
func (x *session) fail(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	}
	if cause := context.Cause(x.ctx); cause != nil {
		return cause
	}
	return x.store.judge(err)
}

// exec returns how many rows a statement has changed.
func (x *session) exec(query string, args ...any) (int64, error) {
	x.watch()
	defer x.rest()
	res, err := x.tx.ExecContext(x.ctx, query, args...)
	if err != nil {
		return 0, x.fail(err)
	}
	return res.RowsAffected()
}

// row reads the only row of a query.
func (x *session) row(query string, args []any, into ...any) error {
	x.watch()
	defer x.rest()
	return x.fail(x.tx.QueryRowContext(x.ctx, query, args...).Scan(into...))
}

// rows calls each for each row of a query. It issues no statements of its own meanwhile.
func (x *session) rows(query string, args []any, each func(scan func(...any) error) error) error {
	x.watch()
	defer x.rest()
	rows, err := x.tx.QueryContext(x.ctx, query, args...) //nolint:sqlclosecheck // it is, below
	if err != nil {
		return x.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(func(into ...any) error { return x.fail(rows.Scan(into...)) }); err != nil {
			return err
		}
	}
	return x.fail(rows.Err())
}

// text returns a value of the table meta, "" if there is none.
func (x *session) text(name string) (string, error) {
	var text string
	err := x.row("SELECT value FROM meta WHERE name = $1", []any{name}, &text)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return text, err
}

// number returns a number of the table meta, 0 if there is none.
func (x *session) number(name string) (uint64, error) {
	text, err := x.text(name)
	if text == "" || err != nil {
		return 0, err
	}
	return parseNumber(name, text)
}

func (x *session) set(name, text string) error {
	_, err := x.exec("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, text)
	return err
}

func (x *session) setNumber(name string, n uint64) error {
	return x.set(name, strconv.FormatUint(n, 10))
}

func parseNumber(name, text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: its %s is %q", store.ErrDamaged, name, text)
	}
	return n, nil
}
