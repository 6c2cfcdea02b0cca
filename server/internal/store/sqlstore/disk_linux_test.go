package sqlstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

// try writes one pair.
func try(t *testing.T, s *sqlstore.Store, id string) (store.Revision, error) {
	t.Helper()
	return s.Update(t.Context(), func(tx store.Tx) error { return writePair(tx, id) })
}

// TestF20_DiskFull: updates are refused while the disk is full, what was there stays readable, and when there is room
// again all goes on by itself.
func TestF20_DiskFull(t *testing.T) {
	t.Parallel()
	if !ownProcess(t) {
		return
	}
	d := faultyDisk(t)
	s := openSQLite(t, filepath.Join(t.TempDir(), "culvert.db"))
	answered := map[string]store.Revision{}
	for i := range 30 {
		full := i%10 >= 5
		d.set(nil)
		if full {
			d.nth(writing, 1, syscall.ENOSPC, true)
		}
		id := strconv.Itoa(i)
		r, err := try(t, s, id)
		if full != errors.Is(err, store.ErrFull) || !full && err != nil {
			t.Fatalf("disk full %v: Update = %v", full, err)
		}
		if !full {
			answered[id] = r
		}
		checkPairs(t, s, answered)
	}
	d.set(nil)
	if len(answered) != 15 {
		t.Errorf("%d updates were answered, want 15", len(answered))
	}
}

// TestF20_FailedSyncIsFinal: after a sync that failed nobody knows what the disk holds. Nothing is written any more,
// not even tried, until the next start, which finds all that was answered.
func TestF20_FailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	if !ownProcess(t) {
		return
	}
	d := faultyDisk(t)
	path := filepath.Join(t.TempDir(), "culvert.db")
	s := openSQLite(t, path)
	answered := map[string]store.Revision{}
	r, err := try(t, s, "first")
	if err != nil {
		t.Fatal(err)
	}
	answered["first"] = r
	d.nth(syncing, 1, syscall.EIO, false) // the next one would succeed
	if _, err := try(t, s, "failed"); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Update = %v, want %v", err, store.ErrUnavailable)
	}
	before := d.count()
	for range 3 {
		if _, err := try(t, s, "later"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Update = %v, want %v", err, store.ErrUnavailable)
		}
	}
	if after := d.count(); after != before {
		t.Errorf("after a failed sync the disk was written or synced %d times", after-before)
	}
	checkPairs(t, s, answered) // reading goes on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSQLite(t, path)
	if _, err := try(t, s, "last"); err != nil {
		t.Errorf("after a new start Update = %v", err)
	}
	sound(t, s)
}

// TestF20_Busy: another program that holds the database for longer than anybody should wait.
func TestF20_Busy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "culvert.db")
	s := openSQLite(t, path)
	raw := database{path: path}.raw(t)
	raw.SetMaxOpenConns(1)
	execute(t, raw, "BEGIN IMMEDIATE")
	if _, err := try(t, s, "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Update = %v, want %v", err, store.ErrUnavailable)
	}
	execute(t, raw, "ROLLBACK")
	r, err := try(t, s, "b")
	if err != nil {
		t.Fatal(err)
	}
	checkPairs(t, s, map[string]store.Revision{"b": r})
}

// TestS6_EachWriteAndSync fails each call to the kernel, one by one, in the life of a database, until a run needs no
// further one: no answered update is lost, none is there by half, and the next start is a clean one.
func TestS6_EachWriteAndSync(t *testing.T) {
	t.Parallel()
	if !ownProcess(t) {
		return
	}
	d := faultyDisk(t)
	for _, tt := range []struct {
		op   operation
		with syscall.Errno
		more bool
	}{
		{writing, syscall.ENOSPC, true},
		{writing, syscall.EIO, false},
		{writing, syscall.EROFS, true},
		{syncing, syscall.EIO, false},
		{syncing, syscall.ENOSPC, true},
		{truncating, syscall.EIO, true},
	} {
		name := fmt.Sprintf("%s %s, more %v", tt.op, tt.with, tt.more)
		for n := 1; ; n += sparse {
			path := filepath.Join(t.TempDir(), "culvert.db")
			seen := d.nth(tt.op, n, tt.with, tt.more)
			answered := oneLife(t, path)
			if seen() < n {
				t.Logf("%s: up to call %d", name, n-sparse)
				break
			}
			d.set(nil)
			s := openSQLite(t, path)
			checkPairs(t, s, answered)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if t.Failed() {
				t.Fatalf("%s: call %d", name, n)
			}
		}
	}
}

// oneLife opens a database, writes, closes it, and returns what was answered.
func oneLife(t *testing.T, path string) map[string]store.Revision {
	t.Helper()
	answered := map[string]store.Revision{}
	s, err := sqlstore.OpenSQLite(t.Context(), path)
	if err != nil {
		if !fault.Has(err, fault.DatabaseUnusable) {
			t.Errorf("OpenSQLite = %v, want %s", err, fault.DatabaseUnusable)
		}
		return answered
	}
	for i := range 4 {
		id := strconv.Itoa(i)
		r, err := try(t, s, id)
		switch {
		case err == nil:
			answered[id] = r
		case !errors.Is(err, store.ErrUnavailable):
			t.Errorf("Update = %v, want %v", err, store.ErrUnavailable)
		}
	}
	_ = s.Close() // the disk may fail it
	return answered
}

// TestS8_InterruptedStart kills a process at each call by which it makes the tables of a new database. The next start
// finds either nothing of them or all.
func TestS8_InterruptedStart(t *testing.T) {
	const place = "CULVERT_STORE_PLACE" // t.Setenv does not go with t.Parallel
	if number := os.Getenv(childTest); number != "" {
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		faultyDisk(t).set(func(operation, string) syscall.Errno {
			if calls++; calls == n {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return 0
		})
		s, err := sqlstore.OpenSQLite(t.Context(), os.Getenv(place))
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		return
	}
	for n := 1; ; n += sparse {
		path := filepath.Join(t.TempDir(), "culvert.db")
		t.Setenv(place, path)
		_, output, ok := inProcess(t, n)
		s := openSQLite(t, path)
		r, err := try(t, s, "a")
		if err != nil || r != 1 {
			t.Fatalf("killed at call %d: the first update is %d, %v\n%s", n, r, err, output)
		}
		sound(t, s)
		if ok {
			t.Logf("killed at up to %d calls", n-sparse)
			return
		}
	}
}
