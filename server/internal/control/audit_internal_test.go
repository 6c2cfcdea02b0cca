package control

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

// TestA1_AuditIsBounded: an entry has no long texts, and entries go by number and age, those of refusals and of each
// account for themselves.
func TestA1_AuditIsBounded(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	now := time.Now().UTC()
	write := func(account, what string, n int, age time.Duration, after any) {
		t.Helper()
		_, err := db.Update(t.Context(), func(tx store.Tx) error {
			for range n {
				if err := audit(&change{ctx: t.Context(), tx: tx, caller: &Caller{Account: account}, at: now.Add(-age)}, what, nil, after); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const hour = time.Hour
	write("ac_1", "vault_created", 3, 5*hour, nil) // too old
	write("ac_1", refusalType, 700, 0, nil)        // too many, more than a page
	write("ac_1", "vault_created", 4, 2*hour, nil) // older than refusals may be
	write("ac_2", "vault_created", 1, 0, map[string]any{"n": 1, "list": []string{"short", strings.Repeat("x", maxAuditText+1)}})
	var trim auditTrim
	var each []int
	for range 4 { // 708 entries, no more than 400 a time; then from the beginning
		removed, err := trim.run(t.Context(), db, now, 2*trimPage, retention{5, 4 * hour}, retention{600, hour})
		if err != nil {
			t.Fatal(err)
		}
		each = append(each, removed)
	}
	if want := []int{0, 103, 0, 0}; !slices.Equal(each, want) {
		t.Errorf("removed %v, want %v", each, want)
	}
	got := map[string]int{}
	_, err = db.View(t.Context(), func(tx store.Tx) error {
		for o, err := range AuditTrail(tx, AuditQuery{Limit: 1000}) {
			if err != nil {
				return err
			}
			got[o.Account+" "+o.Doc.Type]++
			if o.Account != "ac_2" {
				continue
			}
			var after struct {
				N    int
				List []string
			}
			if err := json.Unmarshal(o.Doc.After, &after); err != nil || after.N != 1 || len(after.List) != 2 || after.List[0] != "short" || !strings.HasPrefix(after.List[1], "(4097 bytes, SHA-256 ") {
				t.Errorf("after = %s, %v, want the long text's length and hash", o.Doc.After, err)
			}
		}
		return nil
	})
	if want := "map[ac_1 authentication_failed.v0:600 ac_1 vault_created.v0:4 ac_2 vault_created.v0:1]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("left %v, %v, want %s", got, err, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trim.run(ended, db, now, 1, retention{}, retention{}); err == nil {
		t.Error("it goes on though its context has ended")
	}
}
