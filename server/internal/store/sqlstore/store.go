package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// dialect is what differs between databases.
type dialect interface {
	// migrations are the statements that bring an empty database to what this program knows, step by step.
	// Released steps never change. Both dialects have the same number of them, which is the schema.
	migrations() []string
	// lock keeps all other writers out until the transaction ends.
	lock(x *session) error
	// viewOptions are those of a transaction that sees one state of the database.
	viewOptions() *sql.TxOptions
	// judge wraps failures of the database with store.ErrUnavailable or one of its kinds; after a final one
	// nothing may be written any more.
	judge(err error) (final bool, judged error)
	// patience is how long a statement may take, 0 for ever: an end for what the database does not end itself.
	patience() time.Duration
	// integrity tells what is wrong with the database's own structure.
	integrity(x *session) (problems []string, err error)
}

// Store is a store.Store in a SQL database. Make one with [OpenSQLite] or [OpenPostgres].
type Store struct {
	name           string // for messages; no password
	writer, reader *sql.DB
	feed           *sql.DB // a connection for the changes, which views cannot keep waiting
	dialect        dialect
	witness        *witness       // nil for PostgreSQL, whose server looks after its log
	missing        store.Revision // see Missing
	hold           *hold          // nil for SQLite
	closing        chan struct{}  // closed by Close
	work           sync.WaitGroup // the goroutine that applies updates

	mu       sync.Mutex
	revision store.Revision // guarded by mu, as is all below; of the last update seen
	moved    chan struct{}  // closed when revision changes
	// The revisions after lostFrom up to lostTo were seen, and then the database did not have them any more.
	lostFrom, lostTo store.Revision
	waiting          []*update
	applying         bool
	closed           bool
	failed           error // set by a failure after which nothing may be written
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

var errClosed = fmt.Errorf("%w: it has been closed", store.ErrUnavailable)

func newStore(name string, d dialect) *Store {
	return &Store{name: name, dialect: d, closing: make(chan struct{}), moved: make(chan struct{})}
}

// Name returns how people know the database: its file, or where it runs. It shows no password.
func (s *Store) Name() string { return s.name }

// Close closes the database when the updates under way are through. What waits for changes ends.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	close(s.closing)
	s.work.Wait()
	s.hold.drop()
	errs := []error{s.witness.close()}
	for _, db := range []*sql.DB{s.writer, s.reader, s.feed} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// View calls f with a transaction that sees one state of the store.
func (s *Store) View(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	return s.view(ctx, s.reader, f)
}

// Feed is View by the connection that the changes come by.
func (s *Store) Feed(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	return s.view(ctx, s.feed, f)
}

func (s *Store) view(ctx context.Context, db *sql.DB, f func(store.Tx) error) (store.Revision, error) {
	x, err := s.begin(ctx, db, s.dialect.viewOptions())
	if err != nil {
		return 0, err
	}
	defer x.end()
	n, err := x.number(metaRevision)
	if err != nil {
		return 0, err
	}
	s.see(store.Revision(n)) // whoever asks for the changes since then asks for nothing unheard of
	if err := f(&transaction{session: x}); err != nil {
		return 0, err
	}
	return store.Revision(n), nil
}

// judge wraps failures of the database and notes the final ones.
func (s *Store) judge(err error) error {
	final, judged := s.dialect.judge(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("%w: %w", errClosed, err)
	case final:
		s.failed = fmt.Errorf("nothing is written any more after a failed sync: %w", judged)
	}
	return judged
}
