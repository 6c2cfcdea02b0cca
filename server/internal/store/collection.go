package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Object is a record whose document has its Go type.
type Object[T any] struct {
	ID, Account          string
	Revision             Revision
	CreatedAt, UpdatedAt time.Time
	Doc                  T
}

// Collection is the documents of one kind.
type Collection[T any] struct {
	// Kind is the kind of the records.
	Kind string
	// Keys returns the names that only this object may have; nil means none.
	Keys func(o *Object[T]) []Key
	// Parent returns the id of what the object belongs to; nil means nothing.
	Parent func(o *Object[T]) string
}

// Get returns an object, or [ErrNotFound], or an [*UnreadableError].
func (c *Collection[T]) Get(tx Tx, id string) (*Object[T], error) {
	r, err := tx.Get(c.Kind, id)
	if err != nil {
		return nil, err
	}
	return c.object(r)
}

// Find returns the object with the key, or [ErrNotFound].
func (c *Collection[T]) Find(tx Tx, k Key) (*Object[T], error) {
	r, err := tx.Find(k)
	if err != nil {
		return nil, err
	}
	if r.Kind != c.Kind {
		return nil, ErrNotFound
	}
	return c.object(r)
}

// List yields the selected objects, by descending ids. The query's kind is ignored. After
// an [*UnreadableError] it goes on with the next one.
func (c *Collection[T]) List(tx Tx, q Query) iter.Seq2[*Object[T], error] {
	q.Kind = c.Kind
	return func(yield func(*Object[T], error) bool) {
		for r, err := range tx.List(q) {
			if _, ok := errors.AsType[*UnreadableError](err); ok {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(c.object(r)) {
				return
			}
		}
	}
}

// Put writes an object (see [Tx]).
func (c *Collection[T]) Put(tx Tx, o *Object[T]) error {
	body, err := json.Marshal(&o.Doc)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", c.Kind, o.ID, err)
	}
	r := Record{
		Kind: c.Kind, ID: o.ID, Account: o.Account, Revision: o.Revision,
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, Body: body,
	}
	if c.Keys != nil {
		r.Keys = c.Keys(o)
	}
	if c.Parent != nil {
		r.Parent = c.Parent(o)
	}
	return tx.Put(r)
}

// Delete removes an object, or fails with [ErrNotFound].
func (c *Collection[T]) Delete(tx Tx, id string) error { return tx.Delete(c.Kind, id) }

func (c *Collection[T]) object(r Record) (*Object[T], error) {
	o := &Object[T]{ID: r.ID, Account: r.Account, Revision: r.Revision, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	if err := json.Unmarshal(r.Body, &o.Doc); err != nil {
		return nil, &UnreadableError{Kind: r.Kind, ID: r.ID, Account: r.Account, Parent: r.Parent, Err: err}
	}
	return o, nil
}
