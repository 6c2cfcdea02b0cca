package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Projection is a copy in memory of what traffic needs of the documents, such as the endpoints that stand on
// the server. Its methods are called by one goroutine at a time. An error of type [Unreadable] says that all was
// done but for some documents, which are logged; they must not let anybody do more than before.
type Projection interface {
	// Load replaces the copy by what the transaction sees.
	Load(tx Tx) error
	// Apply brings the copy up to date with records that have changed; the transaction may see later changes.
	// The same changes may come again, after a failure of the database or of another projection.
	Apply(tx Tx, changes []Change) error
}

// Follower keeps projections in step with a store. Make one with [NewFollower], load it, and run it.
type Follower struct {
	store       Store
	projections []Projection
	log         *slog.Logger

	mu      sync.Mutex
	applied Revision      // guarded by mu, as are the next two
	err     error         // why the store could not be followed since applied last changed
	moved   chan struct{} // closed when applied changes
}

// retryFollow is how long a follower waits before it asks a database again that is not available.
const retryFollow = 500 * time.Millisecond

// NewFollower returns a follower of s. The projections are loaded and changed in the order given.
func NewFollower(s Store, log *slog.Logger, projections ...Projection) *Follower {
	return &Follower{store: s, projections: projections, log: log, moved: make(chan struct{})}
}

// Load reads everything once.
func (f *Follower) Load(ctx context.Context) error {
	revision, err := f.store.Feed(ctx, func(tx Tx) error {
		for _, p := range f.projections {
			if err := f.skip(p.Load(tx)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		f.advance(revision)
	}
	return err
}

// Run follows the store until ctx ends. While the database is not available the projections stay as they are.
func (f *Follower) Run(ctx context.Context) error {
	failing := false
	works := func() {
		if failing {
			f.log.Info("the database is followed again")
		}
		failing = false
	}
	for ctx.Err() == nil {
		err := f.follow(ctx, works)
		if errors.Is(err, ErrTrimmed) {
			if err = f.Load(ctx); err == nil {
				works()
			}
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if !failing {
			f.log.Error("the database cannot be followed; what is in force stays", "err", err)
			failing = true
		}
		f.fail(err)
		select {
		case <-ctx.Done():
		case <-time.After(retryFollow):
		}
	}
	return nil
}

func (f *Follower) follow(ctx context.Context, works func()) error {
	for changes, err := range f.store.Changes(ctx, f.Applied()) {
		if err != nil {
			return err
		}
		_, err := f.store.Feed(ctx, func(tx Tx) error {
			for _, p := range f.projections {
				if err := f.skip(p.Apply(tx, changes)); err != nil {
					return fmt.Errorf("apply changes: %w", err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		works()
		f.advance(changes[len(changes)-1].Revision)
	}
	return nil
}

// skip logs what a projection had to do without, and returns all other errors.
func (f *Follower) skip(err error) error {
	bad, ok := err.(Unreadable) //nolint:errorlint // what has another error around it is not all done
	if !ok {
		return err
	}
	for _, u := range bad {
		f.log.Error("a document in the database cannot be read and is left out", "kind", u.Kind, "id", u.ID, "account", u.Account, "err", u.Err)
	}
	return nil
}

func (f *Follower) advance(to Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied, f.err = to, nil
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *Follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *Follower) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Applied returns the revision that the projections have reached.
func (f *Follower) Applied() Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// Wait returns once the projections have reached a revision. At ctx's end it fails with what keeps the store from
// being followed, or else with the cause of that end.
func (f *Follower) Wait(ctx context.Context, r Revision) error {
	for {
		f.mu.Lock()
		applied, moved := f.applied, f.moved
		f.mu.Unlock()
		if applied >= r {
			return nil
		}
		select {
		case <-ctx.Done():
			if err := f.failure(); err != nil {
				return fmt.Errorf("revision %d is stored and not yet in force: %w", r, err)
			}
			return context.Cause(ctx)
		case <-moved:
		}
	}
}
