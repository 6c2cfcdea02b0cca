package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/store"
)

// ErrNotFound says that there is no such object in the caller's account.
var ErrNotFound = store.ErrNotFound

// Resource is one kind of object, with its rules. Callers of a verb that its table does not have get
// [ErrNotFound]. Errors are *fault.Error, ErrNotFound or ends of contexts.
type Resource interface {
	// Spec returns its table.
	Spec() *api.Resource
	// Create makes an object of a request's body and returns it once it is in force.
	Create(ctx context.Context, c *Caller, body []byte) (any, error)
	// Get returns an object.
	Get(ctx context.Context, c *Caller, id string) (any, error)
	// List returns objects, newest first, and whether there are more.
	List(ctx context.Context, c *Caller, p Page) (items []any, more bool, err error)
	// Update changes what the body names and returns the object once that is in force.
	Update(ctx context.Context, c *Caller, id string, body []byte) (any, error)
	// Delete removes an object.
	Delete(ctx context.Context, c *Caller, id string) error
}

// Page selects objects of a list.
type Page struct {
	// Before, if not "", is the id behind which the page begins. There need not be such an object any more.
	Before string
	// Limit is the greatest number of objects; at least 1.
	Limit int
	// Parent, if not "", selects what belongs to the object with this id, such as the secrets of a vault.
	Parent string
	// Match, if not nil, says whether a filter lets an object, as answered, pass.
	Match func(object any) (bool, error)
}

// Shared is what all resources work with.
type Shared struct {
	// Store keeps them.
	Store store.Store
	// Settle waits until what a revision changed is in force.
	Settle func(ctx context.Context, r store.Revision) error
	// Now is the clock.
	Now func() time.Time
	// Log takes what callers are not told. Nil means nobody wants it.
	Log *slog.Logger
}

// change is one update of the store on behalf of a caller.
type change struct {
	ctx    context.Context //nolint:containedctx // it lives for one call
	tx     store.Tx
	caller *Caller
	at     time.Time
	// undo are what has to be taken back, last first, if the update fails; done what follows once it is in
	// force, or cannot be waited for any longer.
	undo, done []func()
	// revision is that of the update, for done.
	revision store.Revision
	// body is what the request sets, and ready what resource.prepare has returned.
	body  map[string]json.RawMessage
	ready any
}

// update applies f and waits until it is in force. If that cannot be waited for it succeeds nevertheless: what was done
// is done, and whoever is told that it failed does it again.
func (s *Shared) update(ctx context.Context, caller *Caller, f func(c *change) error) error {
	c := &change{ctx: ctx, caller: caller, at: s.Now().UTC()}
	revision, err := s.Store.Update(ctx, func(tx store.Tx) error {
		c.tx = tx
		return f(c)
	})
	if err != nil {
		for i := len(c.undo) - 1; i >= 0; i-- {
			c.undo[i]()
		}
		return failure(err)
	}
	c.revision = revision
	err = s.Settle(ctx, revision)
	for _, f := range c.done {
		f()
	}
	if err != nil && s.Log != nil {
		s.Log.Warn("a change is stored and not yet in force", "revision", uint64(revision), "err", err)
	}
	return nil
}

// unreadable reports whether err says that an object is there and cannot be read.
func unreadable(err error) bool {
	_, ok := errors.AsType[*store.UnreadableError](err)
	return ok
}

// skips is unreadable for a list, which leaves such an object out and logs that.
func (s *Shared) skips(err error) bool {
	if unreadable(err) && s.Log != nil {
		s.Log.Error("an object in the database cannot be read and is left out of a list", "err", err)
	}
	return unreadable(err)
}

// view calls f with a transaction that only reads.
func (s *Shared) view(ctx context.Context, f func(tx store.Tx) error) error {
	_, err := s.Store.View(ctx, f)
	return failure(err)
}

// failure turns failures of the store into what people are told.
func failure(err error) error {
	switch _, coded := errors.AsType[*fault.Error](err); {
	case coded, err == nil:
		return err
	case errors.Is(err, store.ErrFull):
		return fault.Wrap(err, fault.DatabaseFull)
	case errors.Is(err, store.ErrUnavailable):
		return fault.Wrap(err, fault.DatabaseUnavailable)
	}
	return err
}

// resource is a [Resource] whose objects are documents of type T. The JSON names of T's fields are those of
// the table; what a table does not let callers set, they cannot set.
type resource[T any] struct {
	*Shared
	spec *api.Resource
	docs store.Collection[T]
	// check judges a new or changed object and completes it. old is nil for a new one.
	check func(c *change, old, o *store.Object[T]) error
	// prepare, if not nil, does beforehand what would take check long, since updates happen one at a time. It gets
	// what check will get unless somebody else changes the object meanwhile. Check finds the result in change.ready.
	prepare func(caller *Caller, old, o *store.Object[T]) any
	// remove does what has to be done before an object goes, or refuses it. Nil: nothing.
	remove func(c *change, o *store.Object[T]) error
	// render returns an object as callers see it.
	render func(tx store.Tx, caller *Caller, o *store.Object[T]) (any, error)
	// taken returns the fault for a key that another object has.
	taken func(o *store.Object[T], e *store.KeyTakenError) error
	// noun names it in the types of audit events, such as "vault" in vault_created.v0.
	noun string
}

// Spec returns the table.
func (r *resource[T]) Spec() *api.Resource { return r.spec }

// Create makes an object.
func (r *resource[T]) Create(ctx context.Context, caller *Caller, body []byte) (answer any, err error) {
	set, err := decodeBody(r.spec.Fields, body, true)
	if err != nil {
		return nil, err
	}
	ready, err := r.ready(ctx, caller, "", set)
	if err != nil {
		return nil, err
	}
	err = r.update(ctx, caller, func(c *change) error {
		c.body, c.ready = set, ready
		o := &store.Object[T]{ID: id.NewSorted(r.spec.Prefix), Account: caller.Account, CreatedAt: c.at, UpdatedAt: c.at}
		if err := assign(&o.Doc, set); err != nil {
			return err
		}
		if answer, err = r.write(c, nil, o); err != nil {
			return err
		}
		return audit(c, r.noun+"_created", nil, answer)
	})
	return answer, err
}

// Get returns an object.
func (r *resource[T]) Get(ctx context.Context, caller *Caller, id string) (answer any, err error) {
	err = r.view(ctx, func(tx store.Tx) error {
		o, err := r.own(tx, caller, id)
		if err != nil {
			return err
		}
		answer, err = r.render(tx, caller, o)
		return err
	})
	return answer, err
}

// own returns an object of the caller's account.
func (r *resource[T]) own(tx store.Tx, caller *Caller, id string) (*store.Object[T], error) {
	o, err := r.docs.Get(tx, id)
	u, unreadable := errors.AsType[*store.UnreadableError](err)
	if err == nil && o.Account != caller.Account || unreadable && u.Account != caller.Account {
		err = ErrNotFound
	}
	return o, err
}

// List returns a page of objects.
func (r *resource[T]) List(ctx context.Context, caller *Caller, p Page) (items []any, more bool, err error) {
	page := pageOf{Page: p}
	err = r.view(ctx, func(tx store.Tx) error {
		q := store.Query{Account: caller.Account, Parent: p.Parent, Before: p.Before}
		if p.Match == nil {
			q.Limit = p.Limit + 1
		}
		for o, err := range r.docs.List(tx, q) {
			if r.skips(err) {
				continue
			}
			if err != nil {
				return err
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			item, err := r.render(tx, caller, o)
			if r.skips(err) { // what it belongs to
				continue
			}
			if err == nil {
				err = page.add(item)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return page.end(err)
}

// Update changes an object.
func (r *resource[T]) Update(ctx context.Context, caller *Caller, id string, body []byte) (answer any, err error) {
	set, err := decodeBody(r.spec.Fields, body, false)
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		answer, err := r.Get(ctx, caller, id)
		if err == nil && r.spec.EmptyUpdate != "" {
			err = fault.New(r.spec.EmptyUpdate)
		}
		return answer, err
	}
	ready, err := r.ready(ctx, caller, id, set)
	if err != nil {
		return nil, err
	}
	err = r.update(ctx, caller, func(c *change) error {
		c.body, c.ready = set, ready
		old, err := r.own(c.tx, caller, id)
		if err != nil {
			return err
		}
		before, err := r.render(c.tx, caller, old)
		if err != nil {
			return err
		}
		o, err := r.docs.Get(c.tx, id) // a copy that shares nothing with old
		if err != nil {
			return err
		}
		if err := assign(&o.Doc, set); err != nil {
			return err
		}
		o.UpdatedAt = c.at
		if answer, err = r.write(c, old, o); err != nil {
			return err
		}
		return audit(c, r.noun+"_updated", before, answer)
	})
	return answer, err
}

// ready calls prepare for a new object, or for the one with an id.
func (r *resource[T]) ready(ctx context.Context, caller *Caller, id string, set map[string]json.RawMessage) (any, error) {
	if r.prepare == nil {
		return nil, nil
	}
	var old *store.Object[T]
	o := &store.Object[T]{}
	if id != "" {
		err := r.view(ctx, func(tx store.Tx) (err error) {
			if old, err = r.own(tx, caller, id); err == nil {
				o, err = r.docs.Get(tx, id) // a copy that shares nothing with old
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := assign(&o.Doc, set); err != nil {
		return nil, err
	}
	return r.prepare(caller, old, o), nil
}

// write judges an object, stores it and returns it as callers see it.
func (r *resource[T]) write(c *change, old, o *store.Object[T]) (any, error) {
	if err := r.check(c, old, o); err != nil {
		return nil, err
	}
	err := r.docs.Put(c.tx, o)
	if e, ok := errors.AsType[*store.KeyTakenError](err); ok {
		return nil, r.taken(o, e)
	}
	if err != nil {
		return nil, err
	}
	return r.render(c.tx, c.caller, o)
}

// Delete removes an object.
func (r *resource[T]) Delete(ctx context.Context, caller *Caller, id string) error {
	return r.update(ctx, caller, func(c *change) error {
		var before any
		o, err := r.own(c.tx, caller, id)
		if u, ok := errors.AsType[*store.UnreadableError](err); ok && u.Account == caller.Account {
			o = &store.Object[T]{ID: u.ID, Account: u.Account} // what cannot be read can go
		} else if err != nil {
			return err
		} else if before, err = r.render(c.tx, caller, o); err != nil && !unreadable(err) {
			return err
		}
		if r.remove != nil {
			if err := r.remove(c, o); err != nil {
				return err
			}
		}
		if err := r.docs.Delete(c.tx, id); err != nil {
			return err
		}
		return audit(c, r.noun+"_deleted", before, nil)
	})
}

// assign sets the fields of a document that a request names.
func assign(doc any, set map[string]json.RawMessage) error {
	text, err := json.Marshal(set)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, doc); err != nil {
		return fault.Wrap(err, fault.BodyUnparsable, err)
	}
	return nil
}

// meta returns what every answer begins with.
func meta[T any](caller *Caller, path string, o *store.Object[T]) api.Meta {
	return api.Meta{ID: o.ID, URI: caller.uri(path, o.ID), CreatedAt: seconds(o.CreatedAt)}
}

// seconds cuts a time to whole seconds, as answers have it (api.md 1.4).
func seconds(t time.Time) time.Time { return t.Truncate(time.Second) }
