package sqlstore

import (
	"context"
	"iter"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// changesPage is how many changes are read at once, unless one update made more.
	changesPage = 1000
	// pollEvery is how often updates of other processes are looked for: other servers at the same PostgreSQL,
	// and commands of culvertd beside a running server. It costs one row of a table that lies in memory.
	pollEvery = 500 * time.Millisecond
)

// Changes yields the changes after a revision, in groups that end with whole revisions, and waits for more.
func (s *Store) Changes(ctx context.Context, since store.Revision) iter.Seq2[[]store.Change, error] {
	return func(yield func([]store.Change, error) bool) {
		fail := func(err error) {
			if ctx.Err() == nil {
				yield(nil, err)
			}
		}
		for ctx.Err() == nil {
			at, moved := s.seen()
			if at < since || s.lost(since) { // the database is no longer the one that it was
				fail(store.ErrTrimmed)
				return
			}
			if at == since {
				if err := s.await(ctx, moved); err != nil {
					fail(err)
					return
				}
				continue
			}
			page, err := s.changesAfter(ctx, since)
			if err != nil {
				fail(err)
				return
			}
			if len(page) == 0 { // the database has gone back to before them, or has lost them
				fail(store.ErrTrimmed)
				return
			}
			since = page[len(page)-1].Revision
			s.see(since) // who wrote it may not have got to it, or is another process
			if !yield(page, nil) {
				return
			}
		}
	}
}

// await returns when the store may have moved, or when ctx has ended.
func (s *Store) await(ctx context.Context, moved <-chan struct{}) error {
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-s.closing:
		return errClosed
	case <-moved:
		return nil
	case <-timer.C:
		return s.poll(ctx)
	}
}

// poll looks at which revision the database is.
func (s *Store) poll(ctx context.Context) error {
	before, _ := s.seen()
	if limit := s.dialect.patience(); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var text string
	if err := s.feed.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = '"+metaRevision+"'").Scan(&text); err != nil {
		return s.judge(err)
	}
	n, err := parseNumber(metaRevision, text)
	if err != nil {
		return err
	}
	if r := store.Revision(n); r < before {
		s.found(r)
	} else {
		s.see(r)
	}
	return nil
}

// seen returns the revision that the store is known to have reached, and what is closed when that changes.
func (s *Store) seen() (store.Revision, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision, s.moved
}

// see notes that the store has reached a revision.
func (s *Store) see(r store.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r > s.revision {
		s.move(r)
	}
}

// found notes at which revision the database is, by somebody who knows that it is no old view of it. It may
// have lost some, such as after a fail-over to a copy that was behind. It returns the last one lost, 0 if none was.
func (s *Store) found(r store.Revision) (lost store.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r < s.revision {
		s.lostFrom, s.lostTo = r, s.revision
	}
	if r != s.revision {
		s.move(r)
	}
	return s.lostTo
}

// lost reports whether a revision was lost.
func (s *Store) lost(r store.Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lostFrom < r && r <= s.lostTo
}

func (s *Store) move(r store.Revision) {
	if s.lostFrom < r && r <= s.lostTo { // another server has used its number again
		s.lostFrom, s.lostTo = 0, 0
	}
	s.revision = r
	close(s.moved)
	s.moved = make(chan struct{})
}

// changesAfter returns changes in order, none of which splits a revision.
func (s *Store) changesAfter(ctx context.Context, since store.Revision) ([]store.Change, error) {
	x, err := s.begin(ctx, s.feed, s.dialect.viewOptions())
	if err != nil {
		return nil, err
	}
	defer x.end()
	trimmed, err := x.number(metaTrimmed)
	if err != nil {
		return nil, err
	}
	if since < store.Revision(trimmed) {
		return nil, store.ErrTrimmed
	}
	var last *int64 // the revision of the page's last change
	if err := x.row("SELECT max(revision) FROM (SELECT revision FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2) AS page",
		[]any{signed(since), changesPage}, &last); err != nil || last == nil {
		return nil, err
	}
	var page []store.Change
	err = x.rows("SELECT revision, kind, id, account, deleted FROM changes WHERE revision > $1 AND revision <= $2 ORDER BY revision, kind, id",
		[]any{signed(since), *last}, func(scan func(...any) error) error {
			var c store.Change
			err := scan(&c.Revision, &c.Kind, &c.ID, &c.Account, &c.Deleted)
			page = append(page, c)
			return err
		})
	return page, err
}
