package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// recordsPage is how many records a list reads at once. Between two pages the connection is free for other
// statements.
const recordsPage = 500

// transaction is a store.Tx within a transaction of the database.
type transaction struct {
	ctx   context.Context //nolint:containedctx // it lives for one call of View or Update
	tx    *sql.Tx
	judge func(error) error
	// revision is that of what is written, 0 in a view.
	revision store.Revision
	wrote    bool
	// broken is a failure after which the database's transaction is no longer of use.
	broken error
}

var errReadOnly = errors.New("sqlstore: a view cannot write")

const columns = "kind, id, account, parent, revision, created, updated, body"

// Get returns a record.
func (t *transaction) Get(kind, id string) (store.Record, error) {
	return t.one("SELECT "+columns+" FROM records WHERE kind = $1 AND id = $2", kind, id)
}

// Find returns the record of a key.
func (t *transaction) Find(k store.Key) (store.Record, error) {
	kind, id, err := t.holder(k)
	if err != nil {
		return store.Record{}, err
	}
	return t.Get(kind, id)
}

func (t *transaction) holder(k store.Key) (kind, id string, err error) {
	err = t.tx.QueryRowContext(t.ctx, "SELECT kind, id FROM keys WHERE space = $1 AND value = $2", k.Space, k.Value).Scan(&kind, &id)
	return kind, id, t.fail(err)
}

func (t *transaction) one(query string, args ...any) (store.Record, error) {
	r, err := scan(t.tx.QueryRowContext(t.ctx, query, args...))
	return r, t.fail(err)
}

// List yields records page by page.
func (t *transaction) List(q store.Query) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		left := q.Limit
		for {
			n := recordsPage
			if q.Limit > 0 {
				n = min(n, left)
			}
			page, err := t.page(q, n)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if left -= len(page); len(page) < n || q.Limit > 0 && left == 0 {
				return
			}
			q.Before = page[len(page)-1].ID
		}
	}
}

func (t *transaction) page(q store.Query, n int) ([]store.Record, error) {
	where, args := []string{"kind = $1"}, []any{q.Kind}
	for _, c := range []struct{ condition, value string }{{"account = ", q.Account}, {"parent = ", q.Parent}, {"id < ", q.Before}} {
		if c.value != "" {
			args = append(args, c.value)
			where = append(where, fmt.Sprintf("%s$%d", c.condition, len(args)))
		}
	}
	args = append(args, n)
	query := fmt.Sprintf("SELECT %s FROM records WHERE %s ORDER BY id DESC LIMIT $%d", columns, strings.Join(where, " AND "), len(args)) //nolint:gosec // of constants
	rows, err := t.tx.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, t.fail(err)
	}
	defer rows.Close()
	var page []store.Record
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, t.fail(err)
		}
		page = append(page, r)
	}
	return page, t.fail(rows.Err())
}

func scan(row interface{ Scan(...any) error }) (store.Record, error) {
	var r store.Record
	var created, updated int64
	err := row.Scan(&r.Kind, &r.ID, &r.Account, &r.Parent, &r.Revision, &created, &updated, &r.Body)
	r.CreatedAt, r.UpdatedAt = time.Unix(0, created).UTC(), time.Unix(0, updated).UTC()
	return r, err
}

// Put writes a record, its keys and its change.
func (t *transaction) Put(r store.Record) error {
	if t.revision == 0 {
		return errReadOnly
	}
	for _, k := range r.Keys {
		kind, id, err := t.holder(k)
		if errors.Is(err, store.ErrNotFound) || err == nil && kind == r.Kind && id == r.ID {
			continue
		}
		if err != nil {
			return err
		}
		holder, err := t.Get(kind, id)
		if err != nil {
			return err
		}
		return &store.KeyTakenError{Key: k, Kind: kind, ID: id, Account: holder.Account}
	}
	if err := t.write(r); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM keys WHERE kind = $1 AND id = $2", r.Kind, r.ID); err != nil {
		return err
	}
	for _, k := range r.Keys {
		if _, err := t.exec("INSERT INTO keys (space, value, kind, id) VALUES ($1, $2, $3, $4)", k.Space, k.Value, r.Kind, r.ID); err != nil {
			return err
		}
	}
	return t.changed(r.Kind, r.ID, r.Account, false)
}

// write inserts a new record or replaces the one with the revision that the writer has seen.
func (t *transaction) write(r store.Record) error {
	created, updated := r.CreatedAt.UnixNano(), r.UpdatedAt.UnixNano()
	var n int64
	var err error
	if r.Revision == 0 {
		n, err = t.exec("INSERT INTO records ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, id) DO NOTHING",
			r.Kind, r.ID, r.Account, r.Parent, int64(t.revision), created, updated, r.Body) //nolint:gosec // far from the end
	} else {
		n, err = t.exec("UPDATE records SET account = $1, parent = $2, revision = $3, created = $4, updated = $5, body = $6 WHERE kind = $7 AND id = $8 AND revision IN ($9, $10)",
			r.Account, r.Parent, int64(t.revision), created, updated, r.Body, r.Kind, r.ID, int64(r.Revision), int64(t.revision)) //nolint:gosec // far from the end
	}
	if err == nil && n == 0 {
		return store.ErrConflict
	}
	return err
}

// Delete removes a record; its keys go with it.
func (t *transaction) Delete(kind, id string) error {
	if t.revision == 0 {
		return errReadOnly
	}
	var account string
	err := t.tx.QueryRowContext(t.ctx, "SELECT account FROM records WHERE kind = $1 AND id = $2", kind, id).Scan(&account)
	if err != nil {
		return t.fail(err)
	}
	if _, err := t.exec("DELETE FROM records WHERE kind = $1 AND id = $2", kind, id); err != nil {
		return err
	}
	return t.changed(kind, id, account, true)
}

func (t *transaction) changed(kind, id, account string, deleted bool) error {
	t.wrote = true
	_, err := t.exec("INSERT INTO changes (revision, kind, id, account, deleted) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (revision, kind, id) DO UPDATE SET account = excluded.account, deleted = excluded.deleted",
		int64(t.revision), kind, id, account, deleted) //nolint:gosec // far from the end
	return err
}

func (t *transaction) exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, t.fail(err)
	}
	return res.RowsAffected()
}

// fail judges an error of the database. It remembers that the transaction is lost, so that what else the
// caller does with it does not matter.
func (t *transaction) fail(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	}
	err = t.judge(err)
	t.broken = err
	return err
}
