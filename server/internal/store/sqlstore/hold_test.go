package sqlstore_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

// waitsFor is a log that closes told at the first message with a text.
type waitsFor struct {
	slog.Handler

	text string
	told chan struct{}
}

func (w *waitsFor) Enabled(context.Context, slog.Level) bool { return true }

func (w *waitsFor) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, w.text) {
		close(w.told)
	}
	return nil
}

// TestHoldKeepsOthersOff: one server has a database, and all commands can use it.
func TestHoldKeepsOthersOff(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	first, second := openPostgres(t, url), openPostgres(t, url)
	if err := first.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Hold(t.Context()); !fault.Has(err, fault.DatabaseTaken) {
		t.Errorf("a second server: Hold = %v, want %s", err, fault.DatabaseTaken)
	}
	put(t, second, thing("a", `{}`))
	sound(t, second)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for err := second.Hold(t.Context()); err != nil; err = second.Hold(t.Context()) {
		if !fault.Has(err, fault.DatabaseTaken) {
			t.Fatalf("after the first has closed: Hold = %v", err)
		}
	}
}

// TestF21_HoldIsTakenAgain: the connection is cut, though PostgreSQL may take it to be alive for a while.
func TestF21_HoldIsTakenAgain(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	cut, url := throughRelay(t, base)
	s, other := openPostgres(t, url), openPostgres(t, base)
	if err := s.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := &waitsFor{slog.DiscardHandler, "hold of the database again", make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.KeepHold(ctx, slog.New(log)) }()
	cut.set(true)
	cut.set(false)
	select {
	case <-log.told:
	case err := <-ended:
		t.Fatalf("KeepHold = %v", err)
	}
	if err := other.Hold(t.Context()); !fault.Has(err, fault.DatabaseTaken) {
		t.Errorf("another server: Hold = %v, want %s", err, fault.DatabaseTaken)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("KeepHold = %v, want nil after the end", err)
	}
}

// TestF21_HoldOfAnother: while a server is cut off, another one takes its place, and the first one ends.
func TestF21_HoldOfAnother(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	cut, url := throughRelay(t, base)
	s, other := openPostgres(t, url), openPostgres(t, base)
	if err := s.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut.set(true)
	for err := other.Hold(t.Context()); err != nil; err = other.Hold(t.Context()) {
		if !fault.Has(err, fault.DatabaseTaken) {
			t.Fatal(err)
		}
	}
	cut.set(false)
	if err := s.KeepHold(t.Context(), slog.New(slog.DiscardHandler)); !fault.Has(err, fault.DatabaseTaken) {
		t.Errorf("KeepHold = %v, want %s", err, fault.DatabaseTaken)
	}
}

// A connection that PostgreSQL still takes to be alive does not keep its own server out.
func TestF21_HoldAgainstItself(t *testing.T) {
	t.Parallel()
	s := openPostgres(t, storetest.Postgres(t))
	if err := s.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ForgetHold()
	if err := s.Hold(t.Context()); err != nil {
		t.Errorf("Hold = %v, want the lock again", err)
	}
}

// A file of SQLite is kept by the lock of its directory.
func TestHoldOfAFile(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir()+"/culvert.db")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Hold(ctx); err != nil {
		t.Error(err)
	}
	if err := s.KeepHold(ctx, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
