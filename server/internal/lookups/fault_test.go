package lookups_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
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

// openDir opens the database and the keys of a data directory, and makes them if need be.
func openDir(t *testing.T, dir string) (*sqlstore.Store, *vault.Vault) {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return db, keys
}

// TestF23_ADeletedRuleGoesThoughTheDatabaseWasAway: a rule that was deleted lets nobody in any more, also when the
// change could not be applied at first.
func TestF23_ADeletedRuleGoesThoughTheDatabaseWasAway(t *testing.T) {
	t.Parallel()
	db, keys := openDir(t, t.TempDir())
	now := time.Now()
	if _, err := db.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			tx.Put(store.Record{Kind: "ip_policy", ID: "ipp_1", Account: "ac", CreatedAt: now, UpdatedAt: now, Body: []byte(`{}`)}),
			tx.Put(store.Record{
				Kind: "ip_policy_rule", ID: "ipr_1", Account: "ac", Parent: "ipp_1", CreatedAt: now, UpdatedAt: now,
				Body: []byte(`{"ip_policy_id":"ipp_1","cidr":"192.0.2.0/24","action":"allow"}`),
			}))
	}); err != nil {
		t.Fatal(err)
	}
	l := lookups.New(keys, slog.New(slog.DiscardHandler))
	if _, err := db.View(t.Context(), l.Load); err != nil {
		t.Fatal(err)
	}
	allows := func() bool {
		_, ok := l.IPPolicy("ac", "ipp_1").Allow.Find(netip.MustParseAddr("192.0.2.1"))
		return ok
	}
	if !allows() {
		t.Fatal("the rule is not known")
	}
	if _, err := db.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("ip_policy_rule", "ipr_1") }); err != nil {
		t.Fatal(err)
	}
	apply := func(away string) error {
		_, err := db.View(t.Context(), func(tx store.Tx) error {
			return l.Apply(awayAt{tx, away}, []store.Change{{Kind: "ip_policy_rule", ID: "ipr_1", Account: "ac", Deleted: true}})
		})
		return err
	}
	if err := apply("ipp_1"); !errors.Is(err, errAway) {
		t.Fatalf("got %v, want %v", err, errAway)
	}
	if err := apply(""); err != nil {
		t.Fatal(err)
	}
	if allows() {
		t.Error("a deleted rule lets addresses in")
	}
}

// lateKeys opens nothing at first.
type lateKeys struct{ there bool }

func (k *lateKeys) OpenValue(string, string) (vault.Secret, error) {
	if !k.there {
		return nil, vault.ErrSealed
	}
	return vault.Secret("value"), nil
}

// A secret that could not be opened is there as soon as the key is.
func TestSecretIsTriedAgain(t *testing.T) {
	t.Parallel()
	db, _ := openDir(t, t.TempDir())
	now := time.Now()
	if _, err := db.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			tx.Put(store.Record{Kind: "vault", ID: "vault_1", Account: "ac", CreatedAt: now, UpdatedAt: now, Body: []byte(`{"name":"v"}`)}),
			tx.Put(store.Record{
				Kind: "vault_secret", ID: "secret_1", Account: "ac", Parent: "vault_1", CreatedAt: now, UpdatedAt: now,
				Body: []byte(`{"name":"s","vault_id":"vault_1","sealed":"x"}`),
			}))
	}); err != nil {
		t.Fatal(err)
	}
	keys := &lateKeys{}
	var log strings.Builder
	l := lookups.New(keys, slog.New(slog.NewTextHandler(&log, nil)))
	if _, err := db.View(t.Context(), l.Load); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "secrets=1 of=1") {
		t.Errorf("the log is %q, want one secret of one", log.String())
	}
	if _, err := l.Secret("ac", "v", "s"); err == nil {
		t.Error("a secret was opened without its key")
	}
	keys.there = true
	for range 2 {
		if got, err := l.Secret("ac", "v", "s"); err != nil || got != "value" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
