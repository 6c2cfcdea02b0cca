package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// keepChanges is how many revisions back the feed of changes reaches at least.
	keepChanges = 100_000
	// trimEvery is how many revisions pass between two trims of it.
	trimEvery = 1000
	// maxGroup is how many updates share one transaction, maxWaiting how many may wait for theirs.
	maxGroup, maxWaiting = 256, 10_000
)

// update is one call of Update.
type update struct {
	ctx  context.Context   //nolint:containedctx // of the caller, who waits
	turn chan *transaction // the caller gets it when it is its turn
	ran  chan struct{}     // closed by the caller when its function has returned
	done chan struct{}     // closed when all is known

	err      error // until ran is closed the caller's, then the store's until done is
	revision store.Revision
}

var errDidNotReturn = errors.New("sqlstore: the update's function did not return")

// Update applies f, together with other updates that wait at the same time. f runs in the caller's goroutine.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	u := &update{ctx: ctx, turn: make(chan *transaction), ran: make(chan struct{}), done: make(chan struct{})}
	if err := s.enqueue(u); err != nil {
		return 0, err
	}
	select {
	case t := <-u.turn:
		u.run(t, f)
		<-u.done
	case <-ctx.Done(): // whoever applies updates leaves this one out
		return 0, context.Cause(ctx)
	case <-u.done: // failed before its turn
	}
	return u.revision, u.err
}

// run calls f. A panic of it is an error, so that whoever has to take something back does.
func (u *update) run(t *transaction, f func(store.Tx) error) {
	u.err = errDidNotReturn // what stays after runtime.Goexit
	defer close(u.ran)
	defer func() {
		if p := recover(); p != nil {
			u.err = fmt.Errorf("panic in an update: %v\n%s", p, debug.Stack())
		}
	}()
	u.err = f(t)
}

func (s *Store) enqueue(u *update) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case len(s.waiting) >= maxWaiting:
		return fmt.Errorf("%w: %d updates wait already", store.ErrUnavailable, maxWaiting)
	}
	s.waiting = append(s.waiting, u)
	if !s.applying {
		s.applying = true
		s.work.Go(s.apply)
	}
	return nil
}

// apply applies updates until none waits.
func (s *Store) apply() {
	for {
		s.mu.Lock()
		group := s.waiting[:min(len(s.waiting), maxGroup)]
		s.waiting = s.waiting[len(group):]
		failed := s.failed
		if len(group) == 0 {
			s.waiting, s.applying = nil, false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if failed == nil {
			failed = s.applyGroup(group)
		}
		for _, u := range group {
			if failed != nil && u.err == nil {
				u.revision, u.err = 0, failed
			}
			close(u.done)
		}
	}
}

// applyGroup applies updates in one transaction of the database. Its error is that of all updates that have
// none of their own.
func (s *Store) applyGroup(group []*update) error {
	x, err := s.begin(context.Background(), s.writer, nil) // no caller's context: others wait for it too
	if err != nil {
		return err
	}
	defer x.end()
	if err := s.dialect.lock(x); err != nil {
		return err
	}
	n, err := x.number(metaRevision)
	if err != nil {
		return err
	}
	last := max(n, uint64(s.found(store.Revision(n)))) // whoever has seen one that was lost must not take another for it
	first := last
	for _, u := range group {
		wrote, err := s.applyOne(x, u, store.Revision(last+1))
		if err != nil {
			return err
		}
		if wrote {
			last++
			u.revision = store.Revision(last)
		}
	}
	if last == first {
		return nil
	}
	if err := x.setNumber(metaRevision, last); err != nil {
		return err
	}
	if err := trim(x, n, last); err != nil {
		return err
	}
	if err := x.commit(); err != nil {
		return err
	}
	s.witness.note(store.Revision(last))
	s.see(store.Revision(last))
	return nil
}

// applyOne applies an update behind a savepoint. Its own failure stays in it, as long as the database can go
// back to before it; what is returned is a failure of the whole transaction.
func (s *Store) applyOne(x *session, u *update, r store.Revision) (wrote bool, err error) {
	if u.ctx.Err() != nil {
		u.err = context.Cause(u.ctx)
		return false, nil
	}
	if _, err := x.exec("SAVEPOINT one"); err != nil {
		return false, err
	}
	t := &transaction{session: x, revision: r}
	select {
	case u.turn <- t:
		<-u.ran
	case <-u.ctx.Done(): // the caller has gone
		u.err = context.Cause(u.ctx)
	}
	if u.err == nil {
		u.err = t.broken // which the function has ignored
	}
	if u.err != nil {
		if _, err := x.exec("ROLLBACK TO SAVEPOINT one"); err != nil {
			if t.broken != nil { // and that is why
				err = t.broken
			}
			return false, err
		}
	}
	_, err = x.exec("RELEASE SAVEPOINT one")
	return u.err == nil && t.wrote, err
}

// trim forgets old changes now and then.
func trim(x *session, before, last uint64) error {
	if before/trimEvery == last/trimEvery || last <= keepChanges {
		return nil
	}
	if _, err := x.exec("DELETE FROM changes WHERE revision <= $1", signed(store.Revision(last-keepChanges))); err != nil {
		return err
	}
	return x.setNumber(metaTrimmed, last-keepChanges)
}
