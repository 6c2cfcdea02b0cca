package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// Run runs the contract. Each call of open returns a store of its own, without documents.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(*testing.T, store.Store){
		"what is put is there":                   testPut,
		"a failed update leaves nothing":         testRollback,
		"a revision that was not seen":           testConflict,
		"keys belong to one":                     testKeys,
		"lists are in order and complete":        testList,
		"deleted is gone":                        testDelete,
		"a view stays as it was":                 testView,
		"a view cannot write":                    testViewWrites,
		"changes come in order":                  testChanges,
		"updates at once are applied one by one": testConcurrent,
		"a panic is the caller's own":            testPanic,
		"a caller who has gone":                  testGone,
		"a name under race belongs to one":       testRace,
		"a group does not share failures":        testGroup,
		"what no database can keep":              testUnstorable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var at = time.Date(2026, 5, 1, 12, 0, 0, 123_000_000, time.UTC)

func record(id, body string, keys ...store.Key) store.Record {
	return store.Record{Kind: "thing", ID: id, Account: "ac_1", CreatedAt: at, UpdatedAt: at, Keys: keys, Body: []byte(body)}
}

func update(t *testing.T, s store.Store, f func(store.Tx) error) store.Revision {
	t.Helper()
	r, err := s.Update(t.Context(), f)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return r
}

func put(t *testing.T, s store.Store, records ...store.Record) store.Revision {
	t.Helper()
	return update(t, s, func(tx store.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func view(t *testing.T, s store.Store, f func(store.Tx) error) store.Revision {
	t.Helper()
	r, err := s.View(t.Context(), f)
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return r
}

func get(t *testing.T, s store.Store, id string) (store.Record, error) {
	t.Helper()
	var r store.Record
	var err error
	view(t, s, func(tx store.Tx) error {
		r, err = tx.Get("thing", id)
		return nil
	})
	return r, err
}

func testPut(t *testing.T, s store.Store) {
	want := record("a", `{"n":1}`)
	want.Parent = "p"
	want.Revision = put(t, s, want)
	if want.Revision != 1 {
		t.Errorf("the first update made revision %d, want 1", want.Revision)
	}
	got, err := get(t, s, "a")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Get = %+v, %v, want %+v", got, err, want)
	}
	want.Body, want.UpdatedAt = []byte(`{"n":2}`), at.Add(time.Hour)
	want.Revision = put(t, s, want)
	if got, err := get(t, s, "a"); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after a second write Get = %+v, %v, want %+v", got, err, want)
	}
	if r := update(t, s, func(store.Tx) error { return nil }); r != 0 {
		t.Errorf("an update that writes nothing returned revision %d, want 0", r)
	}
}

func testRollback(t *testing.T, s store.Store) {
	mine := errors.New("mine")
	_, err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Put(record("a", `{}`, store.Key{Space: "name", Value: "x"})); err != nil {
			return err
		}
		return mine
	})
	if !errors.Is(err, mine) {
		t.Fatalf("Update = %v, want the function's own error", err)
	}
	if _, err := get(t, s, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get = %v, want %v", err, store.ErrNotFound)
	}
	put(t, s, record("b", `{}`, store.Key{Space: "name", Value: "x"}))
}

func testConflict(t *testing.T, s store.Store) {
	r := record("a", `{}`)
	r.Revision = put(t, s, r)
	put(t, s, r)
	for name, r := range map[string]store.Record{"old revision": r, "new record": record("a", `{}`), "gone record": {Kind: "thing", ID: "z", Revision: 1, Body: []byte("{}")}} {
		if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(r) }); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: Put = %v, want %v", name, err, store.ErrConflict)
		}
	}
	update(t, s, func(tx store.Tx) error { // twice in one update
		n := record("n", `{"n":1}`)
		if err := tx.Put(n); err != nil {
			return err
		}
		n, err := tx.Get("thing", "n")
		if err != nil {
			return err
		}
		n.Body = []byte(`{"n":2}`)
		return tx.Put(n)
	})
}

func testKeys(t *testing.T, s store.Store) {
	x, y := store.Key{Space: "name", Value: "x"}, store.Key{Space: "name", Value: "y"}
	a := record("a", `{}`, x)
	a.Revision = put(t, s, a)
	_, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(record("b", `{}`, y, x)) })
	taken, ok := errors.AsType[*store.KeyTakenError](err)
	if !ok || taken.Key != x || taken.ID != "a" || taken.Account != "ac_1" || taken.Kind != "thing" {
		t.Fatalf("Put = %v, want that a has the key", err)
	}
	put(t, s, record("b", `{}`, store.Key{Space: "other", Value: "x"}))
	a.Keys = []store.Key{y}
	a.Revision = put(t, s, a)
	put(t, s, record("c", `{}`, x)) // free again
	view(t, s, func(tx store.Tx) error {
		for k, want := range map[store.Key]string{x: "c", y: "a"} {
			if r, err := tx.Find(k); err != nil || r.ID != want {
				t.Errorf("Find(%v) = %s, %v, want %s", k, r.ID, err, want)
			}
		}
		if _, err := tx.Find(store.Key{Space: "name", Value: "z"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Find of an unused key = %v, want %v", err, store.ErrNotFound)
		}
		return nil
	})
}

func testList(t *testing.T, s store.Store) {
	const n = 1203 // more than any page
	var all []store.Record
	for i := range n {
		r := record(fmt.Sprintf("id%06d", i), `{}`)
		r.Account, r.Parent = fmt.Sprintf("ac_%d", i%2), fmt.Sprintf("p%d", i%3)
		all = append(all, r)
	}
	put(t, s, all...)
	other := record("id000001", `{}`)
	other.Kind = "other"
	put(t, s, other)
	list := func(q store.Query) (ids []string) {
		q.Kind = "thing"
		view(t, s, func(tx store.Tx) error {
			for r, err := range tx.List(q) {
				if err != nil {
					return err
				}
				ids = append(ids, r.ID)
			}
			return nil
		})
		return ids
	}
	want := func(limit int, keep func(i int) bool) (ids []string) {
		for i := n - 1; i >= 0; i-- {
			if keep(i) && (limit == 0 || len(ids) < limit) {
				ids = append(ids, fmt.Sprintf("id%06d", i))
			}
		}
		return ids
	}
	for _, tt := range []struct {
		name string
		q    store.Query
		want []string
	}{
		{"all", store.Query{}, want(0, func(int) bool { return true })},
		{"one account", store.Query{Account: "ac_1"}, want(0, func(i int) bool { return i%2 == 1 })},
		{"one parent", store.Query{Parent: "p2"}, want(0, func(i int) bool { return i%3 == 2 })},
		{"some", store.Query{Limit: 7}, want(7, func(int) bool { return true })},
		{"some of one account behind an id", store.Query{Account: "ac_0", Before: "id000900", Limit: 700}, want(700, func(i int) bool { return i < 900 && i%2 == 0 })},
		{"behind an id that is not there", store.Query{Before: "id0000005", Limit: 3}, want(3, func(i int) bool { return i <= 0 })},
		{"none", store.Query{Account: "ac_9"}, nil},
	} {
		if got := list(tt.q); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d records %.60v, want %d %.60v", tt.name, len(got), got, len(tt.want), tt.want)
		}
	}
}

func testDelete(t *testing.T, s store.Store) {
	x := store.Key{Space: "name", Value: "x"}
	put(t, s, record("a", `{}`, x))
	update(t, s, func(tx store.Tx) error { return tx.Delete("thing", "a") })
	if _, err := get(t, s, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get = %v, want %v", err, store.ErrNotFound)
	}
	if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("thing", "a") }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second Delete = %v, want %v", err, store.ErrNotFound)
	}
	put(t, s, record("b", `{}`, x))
}

func testView(t *testing.T, s store.Store) {
	put(t, s, record("a", `{"n":1}`))
	saw := view(t, s, func(tx store.Tx) error {
		if _, err := tx.Get("thing", "a"); err != nil {
			return err
		}
		put(t, s, record("b", `{}`))
		if _, err := tx.Get("thing", "b"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a view sees what was put after it began: %v", err)
		}
		return nil
	})
	if saw != 1 {
		t.Errorf("the view was at revision %d, want 1", saw)
	}
}

func testViewWrites(t *testing.T, s store.Store) {
	view(t, s, func(tx store.Tx) error {
		if err := tx.Put(record("a", `{}`)); err == nil {
			t.Error("Put in a view did not fail")
		}
		if err := tx.Delete("thing", "a"); err == nil {
			t.Error("Delete in a view did not fail")
		}
		return nil
	})
}

func testChanges(t *testing.T, s store.Store) {
	put(t, s, record("a", `{}`))
	first := put(t, s, record("b", `{}`), record("c", `{}`))
	update(t, s, func(tx store.Tx) error { return tx.Delete("thing", "a") })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for changes, err := range s.Changes(ctx, first-1) {
		if err != nil {
			t.Fatalf("Changes: %v", err)
		}
		for _, c := range changes {
			got = append(got, fmt.Sprintf("%d %s %v", c.Revision, c.ID, c.Deleted))
		}
		switch len(got) {
		case 3:
			go put(t, s, record("d", `{}`)) // while somebody waits for it
		case 4:
			cancel()
		}
	}
	if want := []string{"2 b false", "2 c false", "3 a true", "4 d false"}; !slices.Equal(got, want) {
		t.Errorf("changes = %q, want %q", got, want)
	}
}

func testConcurrent(t *testing.T, s store.Store) {
	const writers, each = 8, 25
	put(t, s, record("n", "0"))
	var wg sync.WaitGroup
	revisions := make([][]store.Revision, writers)
	for w := range writers {
		wg.Go(func() {
			for range each {
				r, err := s.Update(t.Context(), func(tx store.Tx) error {
					r, err := tx.Get("thing", "n")
					if err != nil {
						return err
					}
					var n int
					if _, err := fmt.Sscan(string(r.Body), &n); err != nil {
						return err
					}
					r.Body = fmt.Append(nil, n+1)
					return tx.Put(r)
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
				revisions[w] = append(revisions[w], r)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(revisions...)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != writers*each {
		t.Errorf("%d revisions, want %d different ones", n, writers*each)
	}
	if r, err := get(t, s, "n"); err != nil || string(r.Body) != fmt.Sprint(writers*each) {
		t.Errorf("the counter is %s, %v, want %d", r.Body, err, writers*each)
	}
}

func testPanic(t *testing.T, s store.Store) {
	if _, err := s.Update(t.Context(), func(store.Tx) error { panic("mine") }); err == nil {
		t.Error("an update that panics did not fail")
	}
	put(t, s, record("a", `{}`))
}

func testGone(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Update(ctx, func(tx store.Tx) error { return tx.Put(record("a", `{}`)) }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v, want %v", err, context.Canceled)
	}
	if _, err := get(t, s, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get = %v, want %v", err, store.ErrNotFound)
	}
}

// testRace has many callers claim the same names at once.
func testRace(t *testing.T, s store.Store) {
	const callers, names = 8, 10
	var mu sync.Mutex
	holders := map[string]string{}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range names {
				id, key := fmt.Sprintf("c%d-%d", c, n), store.Key{Space: "name", Value: fmt.Sprint(n)}
				_, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(record(id, `{}`, key)) })
				taken, isTaken := errors.AsType[*store.KeyTakenError](err)
				mu.Lock()
				switch {
				case err == nil && holders[key.Value] == "":
					holders[key.Value] = id
				case err == nil:
					t.Errorf("both %s and %s have %s", holders[key.Value], id, key.Value)
				case !isTaken || taken.ID == id:
					t.Errorf("Update = %v, want that somebody else has %s", err, key.Value)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	view(t, s, func(tx store.Tx) error {
		for n := range names {
			k := store.Key{Space: "name", Value: fmt.Sprint(n)}
			if r, err := tx.Find(k); err != nil || r.ID != holders[k.Value] {
				t.Errorf("Find(%v) = %s, %v, want %s", k, r.ID, err, holders[k.Value])
			}
		}
		return nil
	})
}

// testGroup lets updates wait behind one that takes its time, so that they may share what the store does for them.
func testGroup(t *testing.T, s store.Store) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Update(t.Context(), func(tx store.Tx) error {
			close(inside)
			<-goOn
			return tx.Put(record("first", `{}`))
		}); err != nil {
			t.Errorf("the first Update = %v", err)
		}
	})
	<-inside
	gone, leave := context.WithCancel(t.Context())
	mine := errors.New("mine")
	bad := map[string]func(store.Tx) error{
		"fails":  func(tx store.Tx) error { return errors.Join(tx.Put(record("fails", `{}`)), mine) },
		"panics": func(tx store.Tx) error { panic(tx.Put(record("panics", `{}`))) },
		"exits":  func(tx store.Tx) error { _ = tx.Put(record("exits", `{}`)); runtime.Goexit(); return nil },
		"NUL":    func(tx store.Tx) error { return tx.Put(record("N\x00L", `{}`)) },
		"has conflict": func(tx store.Tx) error {
			_ = tx.Put(record("has conflict", `{}`))
			return tx.Put(record("has conflict", `{}`))
		},
	}
	for name, f := range bad {
		wg.Go(func() {
			if _, err := s.Update(t.Context(), f); err == nil {
				t.Errorf("%s: Update did not fail", name)
			}
		})
	}
	for i := range 10 {
		wg.Go(func() {
			if r, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(record(fmt.Sprint("good", i), `{}`)) }); err != nil || r == 0 {
				t.Errorf("Update = %d, %v", r, err)
			}
		})
	}
	wg.Go(func() {
		if _, err := s.Update(gone, func(store.Tx) error { t.Error("called for somebody who has gone"); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Update = %v, want %v", err, context.Canceled)
		}
		close(goOn)
	})
	leave()
	wg.Wait()
	for name := range bad {
		if _, err := get(t, s, name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s has left something behind: %v", name, err)
		}
	}
	for i := range 10 {
		if _, err := get(t, s, fmt.Sprint("good", i)); err != nil {
			t.Errorf("good%d: %v", i, err)
		}
	}
}

func testUnstorable(t *testing.T, s store.Store) {
	for name, change := range map[string]func(*store.Record){
		"no kind": func(r *store.Record) { r.Kind = "" }, "no id": func(r *store.Record) { r.ID = "" },
		"NUL in the id": func(r *store.Record) { r.ID = "a\x00" }, "no UTF-8": func(r *store.Record) { r.Account = "\xff" },
		"a key with NUL": func(r *store.Record) { r.Keys = []store.Key{{Space: "name", Value: "\x00"}} },
		"no JSON":        func(r *store.Record) { r.Body = []byte("{") }, "no body": func(r *store.Record) { r.Body = nil },
	} {
		r := record("a", `{}`)
		change(&r)
		if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(r) }); err == nil || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: Put = %v, want the caller's mistake", name, err)
		}
	}
	put(t, s, record("a", "{ \"n\" :\n1 }"))
	if r, err := get(t, s, "a"); err != nil || string(r.Body) != `{"n":1}` {
		t.Errorf("the body is %s, %v, want it compact", r.Body, err)
	}
	view(t, s, func(tx store.Tx) error {
		for _, bad := range []string{"a\x00", "\xff"} {
			if _, err := tx.Get("thing", bad); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get(%q) = %v, want %v", bad, err, store.ErrNotFound)
			}
			if _, err := tx.Find(store.Key{Space: "name", Value: bad}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Find(%q) = %v, want %v", bad, err, store.ErrNotFound)
			}
			for _, q := range []store.Query{{Account: bad}, {Parent: bad}, {Before: bad}} {
				q.Kind = "thing"
				for r, err := range tx.List(q) {
					t.Errorf("List(%+v) = %v, %v, want none", q, r, err)
				}
			}
		}
		return nil
	})
}
