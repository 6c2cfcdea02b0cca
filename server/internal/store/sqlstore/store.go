package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// keepChanges is how many revisions back the feed of changes reaches at least.
	keepChanges = 100_000
	// trimEvery is how many revisions pass between two trims of it.
	trimEvery = 1000
	// maxGroup is how many updates share one transaction, maxWaiting how many may wait for theirs.
	maxGroup, maxWaiting = 256, 10_000
	// changesPage is how many changes are read at once.
	changesPage = 1000
	// pollEvery is how often updates of other processes are looked for.
	pollEvery = 500 * time.Millisecond
)

// dialect is what differs between databases.
type dialect interface {
	// migrations are the statements that bring an empty database to what this program knows, step by step.
	// Released steps never change.
	migrations() []string
	// lock keeps all other writers out until the transaction ends.
	lock(ctx context.Context, tx *sql.Tx) error
	// viewOptions are those of a transaction that sees one state of the database.
	viewOptions() *sql.TxOptions
	// judge wraps failures of the database with store.ErrUnavailable or store.ErrFull; after a final one
	// nothing may be written any more.
	judge(err error) (final bool, judged error)
	// polls reports whether other processes may write too.
	polls() bool
}

// Store is a store.Store in a SQL database. Make one with [OpenSQLite] or [OpenPostgres].
type Store struct {
	name           string // for messages; no password
	writer, reader *sql.DB
	dialect        dialect

	mu       sync.Mutex
	revision store.Revision // guarded by mu, as is all below; of the last update seen
	moved    chan struct{}  // closed when revision changes
	waiting  []*update
	applying bool
	failed   error // set by a failure after which nothing may be written
}

// update is one call of Update.
type update struct {
	ctx      context.Context //nolint:containedctx // of the caller, who waits
	f        func(store.Tx) error
	revision store.Revision
	err      error
	done     chan struct{}
}

// start prepares an opened database.
func (s *Store) start(ctx context.Context) error {
	s.moved = make(chan struct{})
	if err := s.migrate(ctx); err != nil {
		return err
	}
	r, err := readMeta(ctx, s.reader, metaRevision)
	s.revision = store.Revision(r)
	return err
}

// Close closes the database when the updates under way are through.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.writer, s.reader} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// View calls f with a transaction that sees one state of the store.
func (s *Store) View(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	tx, err := s.reader.BeginTx(ctx, s.dialect.viewOptions())
	if err != nil {
		return 0, s.judge(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	r, err := readMeta(ctx, tx, metaRevision)
	if err != nil {
		return 0, s.judge(err)
	}
	t := &transaction{ctx: ctx, tx: tx, judge: s.judge}
	if err := f(t); err != nil {
		return 0, err
	}
	return store.Revision(r), nil
}

// Update applies f, together with other updates that wait at the same time. Whoever finds nobody applying
// them does so for all who come meanwhile.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	u := &update{ctx: ctx, f: f, done: make(chan struct{})}
	s.mu.Lock()
	if len(s.waiting) >= maxWaiting {
		s.mu.Unlock()
		return 0, fmt.Errorf("%w: %d updates wait already", store.ErrUnavailable, maxWaiting)
	}
	s.waiting = append(s.waiting, u)
	if s.applying {
		s.mu.Unlock()
		<-u.done
		return u.revision, u.err
	}
	s.applying = true
	for len(s.waiting) > 0 {
		group := s.waiting[:min(len(s.waiting), maxGroup)]
		s.waiting = s.waiting[len(group):]
		failed := s.failed
		s.mu.Unlock()
		if failed == nil {
			failed = s.applyGroup(context.WithoutCancel(ctx), group) // others wait for it too
		}
		for _, u := range group {
			if failed != nil && u.err == nil {
				u.revision, u.err = 0, failed
			}
			close(u.done)
		}
		s.mu.Lock()
	}
	s.applying = false
	s.mu.Unlock()
	return u.revision, u.err
}

// applyGroup applies updates in one transaction of the database. Its error is that of all updates that have
// none of their own.
func (s *Store) applyGroup(ctx context.Context, group []*update) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.judge(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := s.dialect.lock(ctx, tx); err != nil {
		return s.judge(err)
	}
	n, err := readMeta(ctx, tx, metaRevision)
	if err != nil {
		return s.judge(err)
	}
	last := n
	for _, u := range group {
		wrote, err := s.applyOne(ctx, tx, u, store.Revision(last+1))
		if err != nil {
			return s.judge(err)
		}
		if wrote {
			last++
			u.revision = store.Revision(last)
		}
	}
	if last == n {
		return nil
	}
	if err := errors.Join(writeMeta(ctx, tx, metaRevision, last), s.trim(ctx, tx, n, last)); err != nil {
		return s.judge(err)
	}
	if err := tx.Commit(); err != nil {
		return s.judge(err)
	}
	s.see(store.Revision(last))
	return nil
}

// applyOne applies an update behind a savepoint. Its own failure stays in it; what is returned is a failure
// of the whole transaction.
func (s *Store) applyOne(ctx context.Context, tx *sql.Tx, u *update, r store.Revision) (wrote bool, err error) {
	if u.err = context.Cause(u.ctx); u.err != nil { //nolint:contextcheck // each caller's own
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return false, err
	}
	t := &transaction{ctx: ctx, tx: tx, judge: s.judge, revision: r}
	u.err = call(u.f, t)
	if t.broken != nil {
		return false, t.broken
	}
	if u.err != nil {
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT one"); err != nil {
			return false, err
		}
	}
	_, err = tx.ExecContext(ctx, "RELEASE SAVEPOINT one")
	return u.err == nil && t.wrote, err
}

// call keeps a panic of one caller's function from ending the updates of others that share its goroutine.
func call(f func(store.Tx) error, t store.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an update: %v", p)
		}
	}()
	return f(t)
}

// trim forgets old changes now and then.
func (s *Store) trim(ctx context.Context, tx *sql.Tx, before, last uint64) error {
	if before/trimEvery == last/trimEvery || last <= keepChanges {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM changes WHERE revision <= $1", int64(last-keepChanges)); err != nil { //nolint:gosec // far from the end
		return err
	}
	return writeMeta(ctx, tx, metaTrimmed, last-keepChanges)
}

// see notes that the store has reached a revision.
func (s *Store) see(r store.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r > s.revision {
		s.revision = r
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// judge wraps failures of the database and notes the final ones.
func (s *Store) judge(err error) error {
	final, judged := s.dialect.judge(err)
	if final {
		s.mu.Lock()
		s.failed = fmt.Errorf("nothing is written any more after a failed sync: %w", judged)
		s.mu.Unlock()
	}
	return judged
}

// Changes yields the changes after a revision, in groups that end with whole revisions, and waits for more.
func (s *Store) Changes(ctx context.Context, since store.Revision) iter.Seq2[[]store.Change, error] {
	return func(yield func([]store.Change, error) bool) {
		for ctx.Err() == nil {
			s.mu.Lock()
			moved, at := s.moved, s.revision
			s.mu.Unlock()
			if at <= since {
				if err := s.await(ctx, moved); err != nil && ctx.Err() == nil {
					yield(nil, err)
					return
				}
				continue
			}
			page, err := s.changesAfter(ctx, since)
			if err != nil {
				if ctx.Err() == nil {
					yield(nil, err)
				}
				return
			}
			if len(page) == 0 { // an update that touched nothing
				since = at
				continue
			}
			since = page[len(page)-1].Revision
			if !yield(page, nil) {
				return
			}
		}
	}
}

// await returns when the store may have moved, or when ctx has ended.
func (s *Store) await(ctx context.Context, moved <-chan struct{}) error {
	if !s.dialect.polls() {
		select {
		case <-ctx.Done():
		case <-moved:
		}
		return nil
	}
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-moved:
		return nil
	case <-timer.C:
	}
	r, err := readMeta(ctx, s.reader, metaRevision)
	if err != nil {
		return s.judge(err)
	}
	s.see(store.Revision(r))
	return nil
}

// changesAfter returns changes in order, none of which splits a revision.
func (s *Store) changesAfter(ctx context.Context, since store.Revision) ([]store.Change, error) {
	tx, err := s.reader.BeginTx(ctx, s.dialect.viewOptions())
	if err != nil {
		return nil, s.judge(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	trimmed, err := readMeta(ctx, tx, metaTrimmed)
	if err != nil {
		return nil, s.judge(err)
	}
	if since < store.Revision(trimmed) {
		return nil, store.ErrTrimmed
	}
	rows, err := tx.QueryContext(ctx, "SELECT revision, kind, id, account, deleted FROM changes WHERE revision > $1 ORDER BY revision", int64(since)) //nolint:gosec // far from the end
	if err != nil {
		return nil, s.judge(err)
	}
	defer rows.Close()
	var page []store.Change
	for rows.Next() {
		var c store.Change
		if err := rows.Scan(&c.Revision, &c.Kind, &c.ID, &c.Account, &c.Deleted); err != nil {
			return nil, s.judge(err)
		}
		if len(page) >= changesPage && c.Revision != page[len(page)-1].Revision {
			break
		}
		page = append(page, c)
	}
	return page, s.judge(rows.Err())
}
