package sqlstore

import (
	"bytes"
	"encoding/json"
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
	session *session
	// revision is that of what is written, 0 in a view.
	revision store.Revision
	wrote    bool
	// broken is a failure of the database; what the function does or says after it does not matter.
	broken error
}

var (
	errReadOnly   = errors.New("sqlstore: a view cannot write")
	errUnstorable = errors.New("sqlstore: a record needs a kind, an id and a body of JSON, and texts are UTF-8 without NUL")
)

const columns = "kind, id, account, parent, revision, created, updated, body, sum"

// Get returns a record.
func (t *transaction) Get(kind, id string) (store.Record, error) {
	if !storable(kind, id) {
		return store.Record{}, store.ErrNotFound
	}
	var row row
	err := t.session.row("SELECT "+columns+" FROM records WHERE kind = $1 AND id = $2", []any{kind, id}, row.into()...)
	if err == nil {
		return row.checked()
	}
	return row.Record, t.note(err)
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
	if !storable(k.Space, k.Value) {
		return "", "", store.ErrNotFound
	}
	err = t.session.row("SELECT kind, id FROM keys WHERE space = $1 AND value = $2", []any{k.Space, k.Value}, &kind, &id)
	return kind, id, t.note(err)
}

// List yields records page by page.
func (t *transaction) List(q store.Query) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if !storable(q.Kind, q.Account, q.Parent, q.Before) {
			return
		}
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
			for i := range page {
				if !yield(page[i].checked()) {
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

func (t *transaction) page(q store.Query, n int) ([]row, error) {
	where, args := []string{"kind = $1"}, []any{q.Kind}
	for _, c := range []struct{ condition, value string }{{"account = ", q.Account}, {"parent = ", q.Parent}, {"id < ", q.Before}} {
		if c.value != "" {
			args = append(args, c.value)
			where = append(where, fmt.Sprintf("%s$%d", c.condition, len(args)))
		}
	}
	args = append(args, n)
	query := fmt.Sprintf("SELECT %s FROM records WHERE %s ORDER BY id DESC LIMIT $%d", columns, strings.Join(where, " AND "), len(args)) //nolint:gosec // of constants
	var page []row
	err := t.session.rows(query, args, func(scan func(...any) error) error {
		var row row
		err := scan(row.into()...)
		page = append(page, row)
		return err
	})
	return page, t.note(err)
}

// row is a row of the table records.
type row struct {
	store.Record

	created, updated, sum int64
}

func (r *row) into() []any {
	return []any{&r.Kind, &r.ID, &r.Account, &r.Parent, &r.Revision, &r.created, &r.updated, &r.Body, &r.sum}
}

// checked is what a transaction reads.
func (r *row) checked() (store.Record, error) {
	if err := r.check(); err != nil {
		return store.Record{}, &store.UnreadableError{Kind: r.Kind, ID: r.ID, Account: r.Account, Parent: r.Parent, Err: err}
	}
	return r.Record, nil
}

// check completes a row that was read, and compares its checksum.
func (r *row) check() error {
	r.CreatedAt, r.UpdatedAt = time.Unix(0, r.created).UTC(), time.Unix(0, r.updated).UTC()
	return checkSum(&r.Record, r.sum)
}

// Put writes a record, its keys and its change.
func (t *transaction) Put(r store.Record) error {
	switch {
	case t.revision == 0:
		return errReadOnly
	case r.Kind == "" || r.ID == "" || !storable(r.Kind, r.ID, r.Account, r.Parent):
		return errUnstorable
	}
	var body bytes.Buffer
	if err := json.Compact(&body, r.Body); err != nil {
		return fmt.Errorf("%w: %w", errUnstorable, err)
	}
	r.Body = body.Bytes()
	r.Keys = inOrder(r.Keys)
	for _, k := range r.Keys {
		if !storable(k.Space, k.Value) {
			return errUnstorable
		}
		kind, id, err := t.holder(k)
		if errors.Is(err, store.ErrNotFound) || err == nil && kind == r.Kind && id == r.ID {
			continue
		}
		if err != nil {
			return err
		}
		holder, err := t.Get(kind, id)
		if u, ok := errors.AsType[*store.UnreadableError](err); ok {
			holder.Account = u.Account
		} else if err != nil {
			return err
		}
		return &store.KeyTakenError{Key: k, Kind: kind, ID: id, Account: holder.Account}
	}
	if err := t.write(r); err != nil {
		return err
	}
	return t.changed(r.Kind, r.ID, r.Account, false)
}

// write inserts a new record or replaces the one with the revision that the writer has seen.
func (t *transaction) write(r store.Record) error {
	seen := r.Revision
	r.Revision = t.revision
	created, updated, sum := r.CreatedAt.UnixNano(), r.UpdatedAt.UnixNano(), sum(&r, r.Keys)
	var n int64
	var err error
	if seen == 0 {
		n, err = t.exec("INSERT INTO records ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (kind, id) DO NOTHING",
			r.Kind, r.ID, r.Account, r.Parent, signed(r.Revision), created, updated, r.Body, sum)
	} else {
		n, err = t.exec("UPDATE records SET account = $1, parent = $2, revision = $3, created = $4, updated = $5, body = $6, sum = $7 WHERE kind = $8 AND id = $9 AND revision IN ($10, $11)",
			r.Account, r.Parent, signed(r.Revision), created, updated, r.Body, sum, r.Kind, r.ID, signed(seen), signed(t.revision))
	}
	switch {
	case err != nil:
		return err
	case n == 0:
		return store.ErrConflict
	case seen != 0:
		if _, err := t.exec("DELETE FROM keys WHERE kind = $1 AND id = $2", r.Kind, r.ID); err != nil {
			return err
		}
	}
	for _, k := range r.Keys {
		if _, err := t.exec("INSERT INTO keys (space, value, kind, id) VALUES ($1, $2, $3, $4)", k.Space, k.Value, r.Kind, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes a record; its keys go with it.
func (t *transaction) Delete(kind, id string) error {
	switch {
	case t.revision == 0:
		return errReadOnly
	case !storable(kind, id):
		return store.ErrNotFound
	}
	var account string
	err := t.session.row("SELECT account FROM records WHERE kind = $1 AND id = $2", []any{kind, id}, &account)
	if err != nil {
		return t.note(err)
	}
	if _, err := t.exec("DELETE FROM records WHERE kind = $1 AND id = $2", kind, id); err != nil {
		return err
	}
	return t.changed(kind, id, account, true)
}

func (t *transaction) changed(kind, id, account string, deleted bool) error {
	t.wrote = true
	_, err := t.exec("INSERT INTO changes (revision, kind, id, account, deleted) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (revision, kind, id) DO UPDATE SET account = excluded.account, deleted = excluded.deleted",
		signed(t.revision), kind, id, account, deleted)
	return err
}

func (t *transaction) exec(query string, args ...any) (int64, error) {
	n, err := t.session.exec(query, args...)
	return n, t.note(err)
}

// note remembers a failure of the database.
func (t *transaction) note(err error) error {
	if err != nil && t.broken == nil && !errors.Is(err, store.ErrNotFound) {
		t.broken = err
	}
	return err
}
