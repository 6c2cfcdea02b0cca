package control_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

// counted is a store that counts what updates read.
type counted struct {
	store.Store
	read int // changed by updates, of which there is one at a time
}

type countedTx struct {
	store.Tx
	of *counted
}

func (c *counted) Update(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	return c.Store.Update(ctx, func(tx store.Tx) error { return f(countedTx{tx, c}) })
}

func (t countedTx) Get(kind, id string) (store.Record, error) {
	t.of.read++
	return t.Tx.Get(kind, id)
}

func (t countedTx) Find(k store.Key) (store.Record, error) {
	t.of.read++
	return t.Tx.Find(k)
}

func (t countedTx) List(q store.Query) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for r, err := range t.Tx.List(q) {
			if t.of.read++; !yield(r, err) {
				return
			}
		}
	}
}

// reserving is a server where names are reserved.
func reserving(t *testing.T, db store.Store) (control.Resource, *control.Names) {
	t.Helper()
	cfg := config(t)
	names := control.NewNames("example.com")
	cfg.Names = names
	follower := store.NewFollower(db, cfg.Logger, names)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = follower.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return control.NewDomains(&control.Shared{Store: db, Now: time.Now, Settle: follower.Wait}, newBinder(t, cfg),
		control.DomainsConfig{Domains: []string{"example.com"}}), names
}

// To reserve a name reads as much when there are many others beside it, of the same account and of another one.
func TestReservingADomainCostsTheSame(t *testing.T) {
	t.Parallel()
	db := &counted{Store: newCloud(t).db}
	domains, _ := reserving(t, db)
	caller, other := owner, owner
	other.Account = "other"
	reserve := func(c *control.Caller, name string) (read int) {
		t.Helper()
		before := db.read
		if _, err := domains.Create(t.Context(), c, fmt.Appendf(nil, `{"domain":%q}`, name)); err != nil {
			t.Fatal(err)
		}
		return db.read - before
	}
	reserve(&other, "other.shops.example.org")
	first := reserve(&caller, "shop-0.shops.example.org")
	for i := range 20 {
		reserve(&caller, fmt.Sprintf("shop-a%d.shops.example.org", i))
	}
	if last := reserve(&caller, "shop-1.shops.example.org"); last != first {
		t.Errorf("with 20 names beside it, to reserve one reads %d records, want %d as for the first", last, first)
	}
	_, err := domains.Create(t.Context(), &caller, []byte(`{"domain":"*.shops.example.org"}`))
	wantCode(t, err, fault.DomainShadows)
}

// Names that are about to be reserved count as those that are, until they will not be.
func TestNamesBelow(t *testing.T) {
	t.Parallel()
	n := control.NewNames("example.com")
	intend := func(id, account, name string, want bool) {
		t.Helper()
		if got := n.Intend(id, account, name); got != want {
			t.Errorf("%s is about to reserve %s: got %v, want %v", account, name, got, want)
		}
	}
	intend("rd_1", "ac", "a.b.example.org", true)
	intend("rd_2", "ac", "example.org", true)
	intend("rd_3", "other", "b.example.org", false)
	intend("rd_3", "other", "*.example.org", false)
	intend("rd_3", "other", "c.example.org", true) // its key tells that example.org is another's
	n.Withdraw("rd_1")
	intend("rd_4", "other", "b.example.org", true)
	intend("rd_5", "ac", "example.org", false)
}
