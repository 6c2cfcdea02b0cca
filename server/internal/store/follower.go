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
// the server. Its methods are called by one goroutine at a time.
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
	err     error         // why the store cannot be followed at the moment
	moved   chan struct{} // closed when applied changes or err is set
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
			if err := p.Load(tx); err != nil {
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
		f.fail(nil)
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
				if err := p.Apply(tx, changes); err != nil {
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

func (f *Follower) advance(to Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = to
	f.wake()
}

func (f *Follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.wake()
}

func (f *Follower) wake() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// Applied returns the revision that the projections have reached.
func (f *Follower) Applied() Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// Wait returns once the projections have reached a revision. It fails if the store cannot be followed, and with
// the cause of ctx's end.
func (f *Follower) Wait(ctx context.Context, r Revision) error {
	for {
		f.mu.Lock()
		applied, err, moved := f.applied, f.err, f.moved
		f.mu.Unlock()
		switch {
		case applied >= r:
			return nil
		case err != nil:
			return fmt.Errorf("revision %d is stored and not yet in force: %w", r, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-moved:
		}
	}
}
