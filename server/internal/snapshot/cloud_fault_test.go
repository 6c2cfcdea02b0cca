package snapshot

import (
	"encoding/json"
	"errors"
	"iter"
	"testing"

	"github.com/culvert-project/culvert/internal/wire"
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

// TestAPlaceOfAnother: an endpoint whose place another account has is not in the table, where it would share it, until
// the place is free; nor is one that was deleted meanwhile.
func TestAPlaceOfAnother(t *testing.T) {
	t.Parallel()
	w := newStandingWorld(t)
	agent := wire.Agent{Account: "ac_2", SessionID: "ts_1"}
	bind := func(host string) (release func()) {
		bound, err := w.binder.Reserve(t.Context(), agent, wire.Bind{Id: host, Proto: "https", Opts: json.RawMessage(`{"URL":"https://` + host + `"}`)})
		if err != nil {
			t.Fatal(err)
		}
		return func() { w.binder.Release(t.Context(), bound.TunnelID, agent, true) }
	}
	free := []func(){bind("a.example.com"), bind("b.example.com"), bind("c.example.com")}
	w.put(record(t, "ep_1", "a.example.com", says("a"), false), record(t, "ep_2", "b.example.com", says("b"), false))
	w.load()
	w.put(record(t, "ep_3", "d.example.com", says("d"), false))
	w.changed("ep_3")
	w.put(record(t, "ep_3", "c.example.com", says("d"), false)) // behind the API's back
	w.changed("ep_3")
	w.cloud.try()
	hosts := []string{"a.example.com", "b.example.com", "c.example.com", "d.example.com"}
	for _, host := range hosts {
		if w.at(host) != nil {
			t.Errorf("%s is in the table, and its place another account's", host)
		}
	}
	if _, err := w.db.Update(t.Context(), func(tx store.Tx) error { return tx.Delete(control.EndpointKind, "ep_2") }); err != nil {
		t.Fatal(err)
	}
	w.changed("ep_2")
	for _, f := range free {
		f()
	}
	w.cloud.try()
	for i, want := range []bool{true, false, true, false} {
		if got := w.at(hosts[i]) != nil; got != want {
			t.Errorf("%s, when the places are free: in the table %v, want %v", hosts[i], got, want)
		}
	}
	bind("d.example.com")() // given up for c.example.com
	if len(w.cloud.waiting) > 0 {
		t.Errorf("%v still wait", w.cloud.waiting)
	}
}
