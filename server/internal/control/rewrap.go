package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Rewrapper seals the keys of envelopes anew.
type Rewrapper interface {
	// Old reports whether an envelope is sealed with another key than the first one.
	Old(envelope string) bool
	// Rewrap returns the envelope of the same value under the first key.
	Rewrap(envelope string) (string, error)
}

// rewrapPage is how many documents one update seals anew.
const rewrapPage = 100

// Rewrap seals every envelope in the store with the first key of a vault, and returns how many were sealed with
// another one. Values stay as they are, and so does all else of their documents.
func Rewrap(ctx context.Context, db store.Store, v Rewrapper) (total int, err error) {
	secrets, accounts, certs, hostKeys := lookups.Secrets(), acmeAccountCollection(), certificateCollection(), hostKeyCollection()
	for _, kind := range [...]func() (int, error){
		func() (int, error) {
			return rewrap(ctx, db, v, &secrets, func(d *lookups.Secret) []*string { return []*string{&d.Sealed} })
		},
		func() (int, error) {
			return rewrap(ctx, db, v, &accounts, func(d *acmeAccountDoc) []*string { return []*string{&d.Sealed} })
		},
		func() (int, error) {
			return rewrap(ctx, db, v, &certs, func(d *certificateDoc) []*string { return []*string{&d.Sealed} })
		},
		func() (int, error) {
			return rewrap(ctx, db, v, &hostKeys, func(d *hostKeyDoc) []*string { return []*string{&d.Sealed} })
		},
	} {
		n, err := kind()
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// rewrap is Rewrap for one kind of document, whose envelopes are where sealed says.
func rewrap[T any](ctx context.Context, db store.Store, v Rewrapper, docs *store.Collection[T], sealed func(*T) []*string) (count int, err error) {
	for before := ""; ; {
		var page []string
		_, err := db.View(ctx, func(tx store.Tx) error {
			for o, err := range docs.List(tx, store.Query{Before: before, Limit: rewrapPage}) {
				if u, ok := errors.AsType[*store.UnreadableError](err); ok {
					o = &store.Object[T]{ID: u.ID} // rewrapSome leaves it as it is
				} else if err != nil {
					return err
				}
				before = o.ID
				page = append(page, o.ID)
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return count, err
		}
		n := 0
		_, err = db.Update(ctx, func(tx store.Tx) error {
			if n, err = rewrapSome(tx, v, docs, page, sealed); err != nil || n == 0 {
				return err
			}
			c := &change{ctx: ctx, tx: tx, caller: &Caller{Account: identity.DefaultAccount}, at: time.Now().UTC()}
			return audit(c, "secrets_sealed_anew", nil, map[string]int{"count": n})
		})
		if err != nil {
			return count, err
		}
		count += n
	}
}

func rewrapSome[T any](tx store.Tx, v Rewrapper, docs *store.Collection[T], ids []string, sealed func(*T) []*string) (n int, err error) {
	for _, id := range ids {
		o, err := docs.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) || unreadable(err) { // it has gone meanwhile, or is of no use to anybody
			continue
		}
		if err != nil {
			return n, err
		}
		changed := false
		for _, envelope := range sealed(&o.Doc) {
			if *envelope == "" || !v.Old(*envelope) {
				continue
			}
			if *envelope, err = v.Rewrap(*envelope); err != nil {
				return n, fmt.Errorf("seal %s %s anew: %w", docs.Kind, id, err)
			}
			changed = true
		}
		if !changed {
			continue
		}
		if err := docs.Put(tx, o); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
