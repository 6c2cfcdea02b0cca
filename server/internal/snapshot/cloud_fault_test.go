package snapshot

import (
	"errors"
	"iter"
	"testing"

	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

var errAway = errors.New("the database is away")

// awayAt is a transaction whose database goes away when it comes to the record with an id.
type awayAt struct {
	store.Tx
	id string
}

func (a awayAt) Get(kind, id string) (store.Record, error) {
	if id == a.id {
		return store.Record{}, errAway
	}
	return a.Tx.Get(kind, id)
}

func (a awayAt) List(q store.Query) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for r, err := range a.Tx.List(q) {
			if r.ID == a.id {
				r, err = store.Record{}, errAway
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// TestF23_ChangesThatCouldNotBeReadComeAgain: what was read before the database went away is not lost when the same
// changes are applied once more, or when everything is loaded anew.
func TestF23_ChangesThatCouldNotBeReadComeAgain(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"changes", "load"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newStandingWorld(t)
			w.put(record(t, "ep_1", "b.example.com", says("b"), false), record(t, "ep_2", "gone.example.com", says("g"), false),
				record(t, "ep_3", "a.example.com", says("old"), false))
			w.load()
			before := w.at("a.example.com").Policy
			w.put(record(t, "ep_3", "a.example.com", says("new"), false))
			if _, err := w.db.Update(t.Context(), func(tx store.Tx) error { return tx.Delete(control.EndpointKind, "ep_2") }); err != nil {
				t.Fatal(err)
			}
			apply := func(away string) error {
				_, err := w.db.View(t.Context(), func(tx store.Tx) error {
					if way == "load" {
						return w.cloud.Load(awayAt{tx, away})
					}
					return w.cloud.Apply(awayAt{tx, away}, []store.Change{
						{Kind: control.EndpointKind, ID: "ep_3"}, {Kind: control.EndpointKind, ID: "ep_2"}, {Kind: control.EndpointKind, ID: "ep_1"},
					})
				})
				return err
			}
			if err := apply("ep_1"); !errors.Is(err, errAway) {
				t.Fatalf("got %v, want %v", err, errAway)
			}
			if err := apply(""); err != nil {
				t.Fatal(err)
			}
			if w.at("a.example.com").Policy == before {
				t.Error("the old policy is in force")
			}
			if w.at("gone.example.com") != nil {
				t.Error("a deleted endpoint is in the table")
			}
			if w.at("b.example.com") == nil {
				t.Error("an endpoint that did not change is not in the table")
			}
		})
	}
}

// An endpoint that cannot be decoded stays as it was, and keeps nothing else from changing.
func TestAnUnreadableEndpointStaysAsItWas(t *testing.T) {
	t.Parallel()
	w := newStandingWorld(t)
	w.put(record(t, "ep_1", "a.example.com", says("a"), false), record(t, "ep_2", "b.example.com", says("b"), false))
	w.load()
	a, b := w.at("a.example.com").Policy, w.at("b.example.com").Policy
	bad := record(t, "ep_1", "a.example.com", says("a"), false)
	bad.Body = []byte(`{"url":7}`)
	w.put(bad, record(t, "ep_2", "b.example.com", says("new"), false))
	_, err := w.db.View(t.Context(), func(tx store.Tx) error {
		return w.cloud.Apply(tx, []store.Change{{Kind: control.EndpointKind, ID: "ep_1"}, {Kind: control.EndpointKind, ID: "ep_2"}})
	})
	if u, ok := errors.AsType[store.Unreadable](err); !ok || len(u) != 1 || u[0].ID != "ep_1" {
		t.Errorf("got %v, want that ep_1 cannot be read", err)
	}
	if w.at("a.example.com") == nil || w.at("a.example.com").Policy != a || w.at("b.example.com").Policy == b {
		t.Error("ep_1 is not as it was, or ep_2 is")
	}
	w.load()
	if w.at("a.example.com") == nil {
		t.Error("loading anew took ep_1 out of the table")
	}
}
