package lookups_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
)

// TestUnreadableRestrictionsLetNobodyIn: a rule or a restriction that cannot be decoded closes what it was about, and
// nothing of others, whether it is read at the start or when it changes.
func TestUnreadableRestrictionsLetNobodyIn(t *testing.T) {
	t.Parallel()
	db, keys := openDir(t, t.TempDir())
	now := time.Now()
	rec := func(kind, id, account, parent, body string) store.Record {
		return store.Record{Kind: kind, ID: id, Account: account, Parent: parent, CreatedAt: now, UpdatedAt: now, Body: []byte(body)}
	}
	const allow = `{"ip_policy_id":"p1","cidr":"192.0.2.0/24","action":"allow"}`
	records := []store.Record{
		rec("ip_policy", "p1", "a1", "", `{}`), rec("ip_policy_rule", "r1", "a1", "p1", allow), rec("ip_policy_rule", "r2", "a1", "p1", `{"cidr":7}`),
		rec("ip_restriction", "x2", "a2", "", `{"type":7}`), rec("ip_restriction", "x3", "a3", "", `{"type":"agent","enforced":false}`),
	}
	if _, err := db.Update(t.Context(), func(tx store.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddr("192.0.2.1")
	for _, way := range []string{"load", "apply"} {
		l := lookups.New(keys, slog.New(slog.DiscardHandler))
		_, err := db.View(t.Context(), func(tx store.Tx) error {
			if way == "load" {
				return l.Load(tx)
			}
			return l.Apply(tx, []store.Change{
				{Kind: "ip_policy_rule", ID: "r2", Account: "a1"}, {Kind: "ip_restriction", ID: "x2", Account: "a2"}, {Kind: "ip_restriction", ID: "x3", Account: "a3"},
			})
		})
		if bad, ok := errors.AsType[store.Unreadable](err); !ok || len(bad) != 2 {
			t.Errorf("%s: got %v, want that two documents cannot be read", way, err)
		}
		if rules := l.IPPolicy("a1", "p1"); rules == nil || ipset.Admits(from, rules) {
			t.Errorf("%s: rules of which one cannot be read let %v in: %v", way, from, rules)
		}
		if l.AdmitClient("a2", from) == nil || l.AdmitAgent("a2", from) == nil || l.AdmitAPI("a2", from) == nil {
			t.Errorf("%s: a restriction that cannot be read lets %v in", way, from)
		}
		if err := l.AdmitClient("a1", from); err != nil {
			t.Errorf("%s: without a restriction: %v", way, err)
		}
		if err := l.AdmitAgent("a3", from); err != nil {
			t.Errorf("%s: a restriction that can be read: %v", way, err)
		}
	}
}
