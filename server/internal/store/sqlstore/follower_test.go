package sqlstore_test

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// TestFollower_OtherProcess: what somebody else writes into the same database comes by itself, as after "culvertd
// api-key new" beside a running server.
func TestFollower_OtherProcess(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		f, copied := follow(t, db.open(t))
		other := db.open(t)
		r := thing("a", "1")
		r.Revision = put(t, other, r)
		reach(t, f, r.Revision)
		if got, _ := copied.get(); got["a"] != "1" {
			t.Errorf("the copy has %v, want a", got)
		}
		r.Body = []byte("2")
		put(t, other, r)
		last, err := other.Update(t.Context(), func(tx store.Tx) error { return tx.Put(thing("b", "3")) })
		if err != nil {
			t.Fatal(err)
		}
		reach(t, f, last)
		if got, loads := copied.get(); !maps.Equal(got, map[string]string{"a": "2", "b": "3"}) || loads != 1 {
			t.Errorf("the copy has %v after %d loads, want a and b, by changes", got, loads)
		}
	})
}

// TestFollower_Trimmed: who comes back after the changes have been forgotten reads everything again.
func TestFollower_Trimmed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		s := db.open(t)
		put(t, s, thing("gone", "1"))
		f, copied := follow(t, s)
		raw := db.raw(t)
		// As if 200 000 updates of another process had gone by since, of which nothing is known any more.
		execute(t, raw,
			"DELETE FROM records", "DELETE FROM changes",
			"INSERT INTO meta (name, value) VALUES ('trimmed', '200000')",
			"UPDATE meta SET value = '200001' WHERE name = 'revision'")
		reach(t, f, 200001)
		reach(t, f, put(t, s, thing("new", "2")))
		if got, loads := copied.get(); !maps.Equal(got, map[string]string{"new": "2"}) || loads < 2 {
			t.Errorf("the copy has %v after %d loads, want what is there now, read anew", got, loads)
		}
	})
}

// TestFollower_DatabaseWentBack: a fail-over to a copy that was behind loses updates. What is in force follows.
func TestFollower_DatabaseWentBack(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		s := db.open(t)
		put(t, s, thing("kept", "1"))
		r := put(t, s, thing("lost", "2"))
		f, copied := follow(t, s)
		execute(t, db.raw(t),
			"DELETE FROM records WHERE id = 'lost'", "DELETE FROM changes WHERE revision = 2",
			"UPDATE meta SET value = '1' WHERE name = 'revision'")
		if again := put(t, s, thing("new", "3")); again <= r {
			t.Errorf("the update after it is %d, and %d was answered for another one", again, r)
		}
		last := put(t, s, thing("newer", "4"))
		reach(t, f, last)
		if got, _ := copied.get(); !maps.Equal(got, map[string]string{"kept": "1", "new": "3", "newer": "4"}) {
			t.Errorf("the copy has %v, want what is there now", got)
		}
	})
}

// TestFollower_ViewsThatTakeLong: as many views as there can be do not keep from being followed what is written.
func TestFollower_ViewsThatTakeLong(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		s := db.open(t)
		f, copied := follow(t, s)
		begun, end, views := make(chan struct{}), make(chan struct{}), sync.WaitGroup{}
		for range s.Readers() {
			views.Go(func() {
				_, err := s.View(t.Context(), func(store.Tx) error {
					begun <- struct{}{}
					<-end
					return nil
				})
				if err != nil {
					t.Errorf("View: %v", err)
				}
			})
			<-begun
		}
		stuck := time.AfterFunc(time.Minute, func() {
			t.Error("the views keep the follower waiting")
			close(end)
		})
		reach(t, f, put(t, s, thing("a", "1")))
		if got, _ := copied.get(); got["a"] != "1" {
			t.Errorf("the copy has %v, want a", got)
		}
		if stuck.Stop() {
			close(end)
		}
		views.Wait()
	})
}

// TestS2_Order: when an update is answered, and when its change is told of, everybody sees it.
func TestS2_Order(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		s, other := db.open(t), db.open(t)
		const updates = 50
		there := func(id string) error {
			_, err := other.View(t.Context(), func(tx store.Tx) error {
				_, err := tx.Get("thing", id)
				return err
			})
			return err
		}
		told := make(chan error, 1)
		go func() {
			told <- func() error {
				n := 0
				for changes, err := range s.Changes(t.Context(), 0) {
					if err != nil {
						return err
					}
					for _, c := range changes {
						if err := there(c.ID); err != nil {
							return fmt.Errorf("change %d is told of before %s is there: %w", c.Revision, c.ID, err)
						}
						if n++; n == updates {
							return nil
						}
					}
				}
				return errors.New("the changes ended")
			}()
		}()
		for i := range updates {
			id := fmt.Sprint(i)
			put(t, s, thing(id, "{}"))
			if err := there(id); err != nil {
				t.Fatalf("update %s is answered before it is there: %v", id, err)
			}
		}
		if err := <-told; err != nil {
			t.Error(err)
		}
	})
}

// TestChangesAheadOfTheStore: what another process has written is read before the store has heard of it, and nothing
// is taken for lost.
func TestChangesAheadOfTheStore(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		other := db.open(t)
		put(t, other, thing("a", "{}"))
		s := db.open(t) // knows of a
		put(t, other, thing("b", "{}"))
		var got []string
		for changes, err := range s.Changes(t.Context(), 0) {
			if err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
			for _, c := range changes {
				got = append(got, c.ID)
			}
			switch len(got) {
			case 2:
				put(t, other, thing("c", "{}"))
			case 3:
				return
			}
		}
	})
}

// TestClose ends those who wait, and refuses what comes later.
func TestClose(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		s := db.open(t)
		ended := make(chan error, 1)
		go func() {
			for _, err := range s.Changes(t.Context(), 0) {
				ended <- err
			}
		}()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Changes = %v, want %v", err, store.ErrUnavailable)
		}
		if _, err := s.Update(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Update = %v, want %v", err, store.ErrUnavailable)
		}
		if _, err := s.View(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("View = %v, want %v", err, store.ErrUnavailable)
		}
	})
}
