package snapshot

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// standingWorld is a database with stored endpoints, and a router that follows it.
type standingWorld struct {
	testing.TB
	db       *sqlstore.Store
	router   *route.Router
	binder   *claims.Binder
	cloud    *Cloud
	follower *store.Follower
}

func newStandingWorld(tb testing.TB) *standingWorld {
	tb.Helper()
	db, err := sqlstore.OpenSQLite(tb.Context(), filepath.Join(tb.TempDir(), "culvert.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	w := &standingWorld{TB: tb, db: db}
	w.begin()
	return w
}

// begin makes router and projection anew, as a server does that starts.
func (w *standingWorld) begin() {
	w.Helper()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{})...)
	if err != nil {
		w.Fatal(err)
	}
	compiler, err := policy.NewCompiler(r)
	if err != nil {
		w.Fatal(err)
	}
	w.router = route.NewRouter()
	v, err := vault.Open(w.TempDir())
	if err != nil {
		w.Fatal(err)
	}
	w.binder, err = claims.New(claims.Config{Sealer: v, Policies: compiler, Domains: []string{"example.com"}})
	if err != nil {
		w.Fatal(err)
	}
	w.cloud = NewCloud(New(w.router, nil), compiler, w.binder, slog.New(slog.DiscardHandler))
	w.follower = store.NewFollower(w.db, slog.New(slog.DiscardHandler), w.cloud)
}

func (w *standingWorld) load() {
	w.Helper()
	if err := w.follower.Load(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func says(text string) string {
	return "on_http_request: [{actions: [{type: custom-response, config: {status_code: 200, body: '" + text + "'}}]}]"
}

// record is a stored endpoint of https.
func record(tb testing.TB, id, host, text string, pooled bool) store.Record {
	tb.Helper()
	body, err := json.Marshal(map[string]any{
		"url": "https://" + host, "scheme": "https", "host": host, "port": 443, "traffic_policy": text, "pooling_enabled": pooled,
	})
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	return store.Record{Kind: control.EndpointKind, ID: id, Account: "ac_1", CreatedAt: now, UpdatedAt: now, Body: body}
}

// put stores records, over those of the same ids.
func (w *standingWorld) put(records ...store.Record) {
	w.Helper()
	_, err := w.db.Update(w.Context(), func(tx store.Tx) error {
		for _, r := range records {
			if old, err := tx.Get(r.Kind, r.ID); err == nil {
				r.Revision = old.Revision
			}
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// changed applies a change of records by their ids.
func (w *standingWorld) changed(ids ...string) {
	w.Helper()
	var changes []store.Change
	for _, id := range ids {
		changes = append(changes, store.Change{Kind: control.EndpointKind, ID: id})
	}
	if _, err := w.db.View(w.Context(), func(tx store.Tx) error { return w.cloud.Apply(tx, changes) }); err != nil {
		w.Fatal(err)
	}
}

func (w *standingWorld) at(host string) *route.Endpoint {
	if p := lookup(w.router, host); p != nil {
		return p.Pick()
	}
	return nil
}

func TestStoredEndpointsInTheTable(t *testing.T) {
	t.Parallel()
	w := newStandingWorld(t)
	w.put(record(t, "ep_1", "a.test", says("one"), false), record(t, "ep_2", "b.test", says("one"), true), record(t, "ep_3", "b.test", says("two"), true))
	w.load()
	a := w.at("a.test")
	if a == nil || a.Account != "ac_1" || a.Key.Binding != endpoint.Public || a.Pooled || a.Policy == nil {
		t.Fatalf("got %+v", a)
	}
	if members := lookup(w.router, "b.test").Members(); len(members) != 2 || !members[0].Pooled || len(w.cloud.programs) != 2 {
		t.Errorf("got %d members and %d programs, want 2 and 2", len(members), len(w.cloud.programs))
	}
	if _, err := a.Upstream.Dial(t.Context(), wire.ProxyHeader{}); !fault.Has(err, fault.CloudUnanswered) {
		t.Errorf("its upstream: %v", err)
	}

	w.put(record(t, "ep_1", "c.test", says("three"), false)) // another name and policy, in place
	w.changed("ep_1", "ep_1")
	if c := w.at("c.test"); w.at("a.test") != nil || c == nil || c.ID != "ep_1" || c.Policy == a.Policy || c.Gone != a.Gone {
		t.Errorf("after an update: %+v at the old name, %+v at the new one", w.at("a.test"), c)
	}
	before := w.router.Table()
	w.changed("ep_1", "ep_2", "ep_unknown")
	if w.router.Table() != before {
		t.Error("the table changed, though the endpoints have not")
	}
	if _, err := w.db.Update(t.Context(), func(tx store.Tx) error { return tx.Delete(control.EndpointKind, "ep_1") }); err != nil {
		t.Fatal(err)
	}
	w.cloud.draining = time.Millisecond
	gone := w.at("c.test").Gone
	w.changed("ep_1")
	if w.at("c.test") != nil {
		t.Error("the endpoint was deleted and is still there")
	}
	<-gone.Done()
	if len(w.cloud.programs) != 2 {
		t.Errorf("%d programs, want those of the two endpoints", len(w.cloud.programs))
	}

	// Read anew: what is there stays, what is not goes.
	if _, err := w.db.Update(t.Context(), func(tx store.Tx) error { return tx.Delete(control.EndpointKind, "ep_3") }); err != nil {
		t.Fatal(err)
	}
	w.put(record(t, "ep_4", "d.test", says("one"), false))
	kept := w.at("b.test")
	w.load()
	if n := w.router.Table().Len(); n != 2 || w.at("b.test").ID != "ep_2" || w.at("d.test") == nil || len(w.cloud.programs) != 1 {
		t.Errorf("%d endpoints and %d programs (had %v)", n, len(w.cloud.programs), kept.ID)
	}
}

// A policy that was sound once and is not any more costs its endpoint alone, which lets nothing through.
func TestAStoredPolicyThatIsNotValidAnyMore(t *testing.T) {
	t.Parallel()
	w := newStandingWorld(t)
	w.put(record(t, "ep_1", "a.test", "on_http_request: [{actions: [{type: was-once}]}]", false), record(t, "ep_2", "b.test", says("x"), false))
	w.load()
	if a := w.at("a.test"); a == nil || a.Policy != nil || w.at("b.test").Policy == nil {
		t.Errorf("got %+v", a)
	}
}
