package usage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/usage"
)

// world is a ledger over a real store, on a clock of its own.
type world struct {
	*testing.T

	now    time.Time
	db     store.Store
	meters *meter.Meters
	ledger *usage.Ledger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{T: t, now: time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC), db: db}
	w.restart()
	return w
}

// restart begins anew with what is stored.
func (w *world) restart() {
	w.Helper()
	w.meters = meter.New()
	w.ledger = usage.New(usage.Config{Store: w.db, Meters: w.meters, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler)})
	if _, err := w.db.Feed(w.Context(), w.ledger.Load); err != nil {
		w.Fatal(err)
	}
}

func (w *world) write() {
	w.Helper()
	if err := w.ledger.Write(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// use counts requests with a byte each.
func (w *world) use(account, id string, requests int) {
	w.Helper()
	c := w.meters.Counter(meter.Endpoint{ID: id, Account: account, URL: "https://" + id})
	for range requests {
		if err := c.Request(); err != nil {
			w.Fatal(err)
		}
		c.Sent(1)
	}
	runtime.KeepAlive(c)
}

// rows asks for usage.
func (w *world) rows(account string, q api.UsageQuery) []api.Usage {
	w.Helper()
	w.now = w.now.Add(2 * time.Second) // as long as it takes to be asked again
	if q.Group == "" {
		q.Group = api.ByHour
	}
	rows, next, err := w.ledger.Usage(w.Context(), account, q)
	if err != nil || !next.IsZero() {
		w.Fatalf("usage: %v, more from %v", err, next)
	}
	return rows
}

func counts(requests, hours int64) api.UsageCounts {
	return api.UsageCounts{HTTPRequests: requests, DataOut: requests, ActiveEndpointHours: hours}
}

func hour(h int, c api.UsageCounts) api.Usage {
	start := time.Date(2026, 11, 23, h, 0, 0, 0, time.UTC)
	return api.Usage{Start: start, End: start.Add(time.Hour), UsageCounts: c}
}

func TestBooksByTheHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 { // several times in the hour, and active once
		w.use("ac_a", "ep_1", 2)
		w.write()
	}
	w.use("ac_a", "ep_2", 1)
	w.use("ac_b", "ep_3", 7)
	w.write()
	w.now = w.now.Add(time.Hour)
	w.write() // looks at the meters, as it does at each full hour
	w.use("ac_a", "ep_1", 4)
	want := []api.Usage{hour(10, counts(7, 2)), hour(11, counts(4, 1))}
	if diff := cmp.Diff(want, w.rows("ac_a", api.UsageQuery{})); diff != "" {
		t.Errorf("hours differ (-want +got):\n%s", diff)
	}
	one, two := hour(10, counts(6, 1)), hour(10, counts(1, 1))
	one.Endpoint, one.URL = &api.Ref{ID: "ep_1"}, "https://ep_1"
	two.Endpoint, two.URL = &api.Ref{ID: "ep_2"}, "https://ep_2"
	later := hour(11, counts(4, 1))
	later.Endpoint, later.URL = one.Endpoint, one.URL
	if diff := cmp.Diff([]api.Usage{one, two, later}, w.rows("ac_a", api.UsageQuery{Endpoints: true})); diff != "" {
		t.Errorf("endpoints differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]api.Usage{two}, w.rows("ac_a", api.UsageQuery{Endpoint: "ep_2"})); diff != "" {
		t.Errorf("the rows of one endpoint differ (-want +got):\n%s", diff)
	}
	day := api.Usage{Start: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), UsageCounts: counts(11, 3)}
	if diff := cmp.Diff([]api.Usage{day}, w.rows("ac_a", api.UsageQuery{Group: api.ByDay})); diff != "" {
		t.Errorf("days differ (-want +got):\n%s", diff)
	}
	month := api.Usage{Start: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), UsageCounts: counts(11, 3)}
	if diff := cmp.Diff([]api.Usage{month}, w.rows("ac_a", api.UsageQuery{Group: api.ByMonth})); diff != "" {
		t.Errorf("months differ (-want +got):\n%s", diff)
	}
	if got := w.rows("ac_b", api.UsageQuery{To: w.now.Add(-30 * time.Minute)}); len(got) != 1 || got[0].HTTPRequests != 7 {
		t.Errorf("the other account has %+v", got)
	}
	_, _, err := w.ledger.Usage(t.Context(), "ac_a", api.UsageQuery{From: w.now, To: w.now.Add(-time.Hour), Group: api.ByHour})
	if !fault.Has(err, fault.UsageRange) {
		t.Errorf("a time that ends before it begins: %v", err)
	}
}

func TestBooksOutliveARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.use("ac_a", "ep_1", 2)
	w.write()
	w.restart()
	w.use("ac_a", "ep_1", 3)
	if diff := cmp.Diff([]api.Usage{hour(10, counts(5, 1))}, w.rows("ac_a", api.UsageQuery{})); diff != "" {
		t.Errorf("hours differ (-want +got):\n%s", diff)
	}
}

// The end of Run writes what is left.
func TestRunWritesAtItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.use("ac_a", "ep_1", 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.ledger.Run(ctx); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if diff := cmp.Diff([]api.Usage{hour(10, counts(2, 1))}, w.rows("ac_a", api.UsageQuery{})); diff != "" {
		t.Errorf("hours differ (-want +got):\n%s", diff)
	}
}

// lossy is a store that applies an update and then loses the answer, or does neither.
type lossy struct {
	store.Store

	before, after bool
}

var errLost = errors.New("lost")

func (l *lossy) Update(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	if l.before {
		return 0, errLost
	}
	r, err := l.Store.Update(ctx, f)
	if err == nil && l.after {
		err = errLost
	}
	return r, err
}

// What could not be written is tried again, and what was written although its answer was lost is not entered twice.
func TestNothingIsLostOrEnteredTwice(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]lossy{"not written": {before: true}, "written, and the answer lost": {after: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := &lossy{Store: w.db, before: fails.before, after: fails.after}
			w.db = l
			w.restart()
			for range 3 {
				w.use("ac_a", "ep_1", 2)
				if err := w.ledger.Write(t.Context()); !errors.Is(err, errLost) {
					t.Fatalf("write: %v", err)
				}
			}
			l.before, l.after = false, false
			w.write()
			w.use("ac_a", "ep_1", 1)
			if diff := cmp.Diff([]api.Usage{hour(10, counts(7, 1))}, w.rows("ac_a", api.UsageQuery{})); diff != "" {
				t.Errorf("hours differ (-want +got):\n%s", diff)
			}
		})
	}
}

// size is how many documents of a kind there are.
func (w *world) size(kind string) (n int) {
	w.Helper()
	if _, err := w.db.View(w.Context(), func(tx store.Tx) error {
		n = 0
		for _, err := range tx.List(store.Query{Kind: kind}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}); err != nil {
		w.Fatal(err)
	}
	return n
}

// Hours go after 40 days and months after 25.
func TestBooksAreBoundedInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 30 {
		w.use("ac_a", "ep_1", 1)
		w.write()
		w.now = w.now.AddDate(0, 1, 0)
		w.write()
	}
	if err := usage.Trim(w.ledger, t.Context()); err != nil {
		t.Fatal(err)
	}
	if hours, parts, months := w.size("usage_hour"), w.size("usage_part"), w.size("usage_month"); hours != 1 || parts != 1 || months != 25 {
		t.Errorf("%d hours, %d parts and %d months are left, want 1, 1 and 25", hours, parts, months)
	}
	if got := w.rows("ac_a", api.UsageQuery{From: w.now.AddDate(-3, 0, 0), Group: api.ByMonth}); len(got) != 25 {
		t.Errorf("%d months are answered, want 25", len(got))
	}
}

// However many endpoints an account has in an hour, its books have so many lines, and its sums are right.
func TestBooksAreBoundedInEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const most, more = 10_000, 500
	for round := range 2 {
		for i := range most + more {
			w.use("ac_a", fmt.Sprintf("ep_%05d", i), 1)
		}
		w.write()
		if got := w.size("usage_part"); got != most/500 {
			t.Errorf("round %d: %d documents, want %d", round, got, most/500)
		}
	}
	rows := w.rows("ac_a", api.UsageQuery{})
	if len(rows) != 1 || rows[0].HTTPRequests != 2*(most+more) || rows[0].ActiveEndpointHours < most || rows[0].ActiveEndpointHours > most+more {
		t.Errorf("the account has %+v", rows)
	}
	w.now = w.now.Add(2 * time.Second)
	single, _, err := w.ledger.Usage(t.Context(), "ac_a", api.UsageQuery{Endpoints: true, Group: api.ByHour})
	if err != nil || len(single) != most+1 || single[0].Endpoint != nil {
		t.Errorf("%d rows of endpoints, the first %+v, %v; want %d", len(single), single[0], err, most+1)
	}
	var sum api.UsageCounts
	for _, row := range single {
		sum.Add(row.UsageCounts)
	}
	if sum != rows[0].UsageCounts {
		t.Errorf("the rows of endpoints add up to %+v, and the account has %+v", sum, rows[0].UsageCounts)
	}
}

// An answer ends with a period, and tells where the next one begins.
func TestUsageInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := w.now
	for range 3 {
		for i := range 600 {
			w.use("ac_a", fmt.Sprintf("ep_%03d", i), 1)
		}
		w.write()
		w.now = w.now.Add(time.Hour)
		w.write()
	}
	first, next, err := w.ledger.Usage(t.Context(), "ac_a", api.UsageQuery{From: start, Group: api.ByHour, Endpoints: true})
	if want := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC); err != nil || len(first) != 1200 || !next.Equal(want) {
		t.Fatalf("the first answer has %d rows and %v, and goes on from %v, want 1200 and %v", len(first), err, next, want)
	}
	second, next, err := w.ledger.Usage(t.Context(), "ac_a", api.UsageQuery{From: next, Group: api.ByHour, Endpoints: true})
	if err != nil || len(second) != 600 || !next.IsZero() {
		t.Errorf("the second answer has %d rows and %v, and goes on from %v, want 600", len(second), err, next)
	}
}

// account stores an account with limits, and has the ledger follow.
func (w *world) account(id string, limits map[identity.Quota]int64) {
	w.Helper()
	docs := identity.Accounts()
	r, err := w.db.Update(w.Context(), func(tx store.Tx) error {
		o, err := docs.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			o, err = &store.Object[identity.Account]{ID: id, Account: id, CreatedAt: w.now, UpdatedAt: w.now}, nil
		}
		if err != nil {
			return err
		}
		o.Doc.Limits = limits
		return docs.Put(tx, o)
	})
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.db.Feed(w.Context(), func(tx store.Tx) error {
		return w.ledger.Apply(tx, []store.Change{{Revision: r, Kind: docs.Kind, ID: id, Account: id}})
	})
	if err != nil {
		w.Fatal(err)
	}
}

// A limit of a month counts what was used before it was set, and before a restart, and begins anew with the month.
func TestLimitsOfTheMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.use("ac_a", "ep_1", 3)
	w.write()
	w.use("ac_a", "ep_1", 1) // counted, and not written
	w.account("ac_a", map[identity.Quota]int64{identity.QuotaRequestsPerMonth: 6})
	w.use("ac_a", "ep_1", 2)
	refused := func(what string, want fault.Code) {
		t.Helper()
		c := w.meters.Counter(meter.Endpoint{ID: "ep_1", Account: "ac_a"})
		if err := c.Request(); want == "" && err != nil || want != "" && !fault.Has(err, want) {
			t.Errorf("%s: a request ends with %v, want %q", what, err, want)
		}
	}
	refused("with all of it used", fault.RequestsQuota)
	w.write()
	w.restart()
	refused("after a restart", fault.RequestsQuota)
	w.account("ac_a", map[identity.Quota]int64{identity.QuotaRequestsPerMonth: 7})
	refused("with one more", "")
	refused("with that used", fault.RequestsQuota)
	w.now = time.Date(2026, 12, 1, 0, 0, 1, 0, time.UTC)
	w.write()
	refused("in the next month", "")
	w.use("ac_a", "ep_1", 1)
	w.write()
	w.account("ac_a", map[identity.Quota]int64{identity.QuotaDataOutPerMonth: 1})
	refused("with all data sent", fault.DataOutQuota)
	w.account("ac_a", nil)
	refused("without limits", "")
}
