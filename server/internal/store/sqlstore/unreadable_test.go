package sqlstore_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/store"
)

// number is what the documents of these tests are.
type number struct{ N int }

// numbers is a projection of the things that can be read.
type numbers map[string]int

func (n numbers) Load(tx store.Tx) error {
	c := store.Collection[number]{Kind: "thing"}
	var bad store.Unreadable
	for o, err := range c.List(tx, store.Query{}) {
		if bad.Skip(err) != nil {
			continue
		}
		if err != nil {
			return err
		}
		n[o.ID] = o.Doc.N
	}
	return bad.Err()
}

func (n numbers) Apply(tx store.Tx, _ []store.Change) error { return n.Load(tx) }

// TestFollower_Unreadable: a document that cannot be decoded keeps nothing else from being followed, and is named.
func TestFollower_Unreadable(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, t.TempDir()+"/culvert.db")
	put(t, db, thing("a", `{"N":1}`), thing("b", `{"N":"x"}`), thing("c", `{"N":3}`))
	var told strings.Builder
	n := numbers{}
	f := store.NewFollower(db, slog.New(slog.NewTextHandler(&told, nil)), n)
	if err := f.Load(t.Context()); err != nil {
		t.Fatalf("Load: %v", err)
	}
	if len(n) != 2 || n["a"] != 1 || n["c"] != 3 {
		t.Errorf("got %v, want what can be read", n)
	}
	if !strings.Contains(told.String(), "kind=thing id=b account=ac_1") {
		t.Errorf("the log does not name the document: %s", told.String())
	}
	c := store.Collection[number]{Kind: "thing"}
	_, err := db.View(t.Context(), func(tx store.Tx) error { _, err := c.Get(tx, "b"); return err })
	if _, ok := errors.AsType[*store.UnreadableError](err); !ok || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Get = %v, want that it cannot be read", err)
	}
}

// away is a projection that cannot be had until it is back. It tells whenever it is asked.
type away struct{ back, asked chan struct{} }

func (a away) Load(store.Tx) error { return nil }

func (a away) Apply(store.Tx, []store.Change) error {
	select {
	case <-a.back:
		return nil
	case a.asked <- struct{}{}:
		return store.ErrUnavailable
	}
}

// TestFollower_WaitsThroughFailures: whoever waits while the database is away waits until it is back, or to his own
// end, and hears why, whenever he began.
func TestFollower_WaitsThroughFailures(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, t.TempDir()+"/culvert.db")
	a := away{make(chan struct{}), make(chan struct{})}
	f := store.NewFollower(db, slog.New(slog.DiscardHandler), a)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	r := put(t, db, thing("a", "1"))
	waits := make(chan error, 1)
	go func() { waits <- f.Wait(t.Context(), r) }()
	<-a.asked
	<-a.asked // the first failure has been noted
	short, end := context.WithCancel(t.Context())
	end()
	if err := f.Wait(short, r); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Wait to its end = %v, want %v", err, store.ErrUnavailable)
	}
	close(a.back)
	if err := <-waits; err != nil {
		t.Errorf("Wait = %v, want that it is in force", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestS5_ADamagedRecord: one record that does not match its checksum keeps nothing else from being read, followed or
// written, and can be deleted, and its keys stay taken until then.
func TestS5_ADamagedRecord(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, t.TempDir()+"/culvert.db")
	name := store.Key{Space: "name", Value: "b"}
	put(t, db, thing("a", `{"N":1}`), thing("b", `{"N":2}`, name), thing("c", `{"N":3}`))
	db.Exec(t, `UPDATE records SET body = '{"N":7}' WHERE id = 'b'`)
	n := numbers{}
	if err := store.NewFollower(db, slog.New(slog.DiscardHandler), n).Load(t.Context()); err != nil {
		t.Fatalf("Load: %v", err)
	}
	if len(n) != 2 || n["a"] != 1 || n["c"] != 3 {
		t.Errorf("got %v, want what is not damaged", n)
	}
	_, err := db.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Get("thing", "b")
		if u, ok := errors.AsType[*store.UnreadableError](err); !ok || u.Account != "ac_1" || !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Get = %v, want that it is damaged", err)
		}
		err = tx.Put(thing("d", `{"N":4}`, name))
		if e, ok := errors.AsType[*store.KeyTakenError](err); !ok || e.ID != "b" || e.Account != "ac_1" {
			t.Errorf("Put with its key = %v, want that b has it", err)
		}
		return errors.Join(tx.Put(thing("e", `{"N":5}`)), tx.Delete("thing", "b"))
	})
	if err != nil {
		t.Errorf("an update beside it: %v", err)
	}
	put(t, db, thing("d", `{"N":4}`, name))
}
