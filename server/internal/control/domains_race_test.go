package control_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

// judging are names of which somebody reserves one between the judgment of an agent and the place that it gets.
type judging struct {
	*control.Names
	once  sync.Once
	after func()
}

func (j *judging) Judge(ctx context.Context, account, host string) error {
	err := j.Names.Judge(ctx, account, host)
	j.once.Do(j.after)
	return err
}

// TestAPI_41_ANameReservedWhileItIsBound: one of both has the name, not an agent of one account and the reservation of
// another.
func TestAPI_41_ANameReservedWhileItIsBound(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	names := &judging{Names: control.NewNames("example.com")}
	cfg := config(t)
	cfg.Names = names
	b := newBinder(t, cfg)
	follower := store.NewFollower(c.db, cfg.Logger, names.Names)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = follower.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	domains := control.NewDomains(&control.Shared{Store: c.db, Now: time.Now, Settle: follower.Wait}, b, control.DomainsConfig{Domains: []string{"example.com"}})
	caller := owner
	caller.Account = "other"
	names.after = func() {
		if _, err := domains.Create(t.Context(), &caller, []byte(`{"domain":"app.example.com"}`)); err != nil {
			t.Error(err)
		}
	}
	refused(t, b, agent("a"), bind("https", "https://app.example.com"), fault.NameForeign)
	// And it has left nothing behind.
	reserve(t, b, agentOf("other", "b"), bind("https", "https://app.example.com"))
}

// A name that is about to be reserved is nobody else's, until it is known that it was not; and for a moment that is
// waited for, so that who tries to reserve others' names does not have their agents refused.
func TestNamesAboutToBeReserved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := control.NewNames("example.com")
		n.Intend("rd_1", "ac", "app.example.com")
		for _, tt := range []struct {
			account, host string
			code          fault.Code
		}{
			{"ac", "app.example.com", ""},
			{"other", "app.example.com", fault.NameForeign},
			{"other", "a.app.example.com", fault.NameForeign},
			{"other", "b.example.com", ""},
		} {
			if err := n.Judge(t.Context(), tt.account, tt.host); tt.code == "" && err != nil || tt.code != "" && !fault.Has(err, tt.code) {
				t.Errorf("%s asks for %s: got %v, want %q", tt.account, tt.host, err, tt.code)
			}
		}
		judged := make(chan error, 1)
		go func() { judged <- n.Judge(t.Context(), "other", "app.example.com") }()
		synctest.Wait() // it waits for what comes of the intent
		n.Withdraw("rd_1")
		if err := <-judged; err != nil {
			t.Errorf("when it was not reserved: %v", err)
		}
	})
}

// What a domain was reserved as is not judged again when its description changes, whatever names the server has now.
func TestADomainKeepsItsName(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	shared := &control.Shared{Store: c.db, Now: time.Now, Settle: func(context.Context, store.Revision) error { return nil }}
	caller := owner
	before := control.NewDomains(shared, c.binder, control.DomainsConfig{Domains: []string{"example.com"}})
	made, err := before.Create(t.Context(), &caller, []byte(`{"domain":"shop.example.org"}`))
	if err != nil {
		t.Fatal(err)
	}
	after := control.NewDomains(shared, c.binder, control.DomainsConfig{Domains: []string{"shop.example.org"}})
	id := made.(*api.Domain).ID
	got, err := after.Update(t.Context(), &caller, id, []byte(`{"description":"x"}`))
	if err != nil || got.(*api.Domain).Description != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = after.Update(t.Context(), &caller, id, []byte(`{"domain":"other.example.org"}`))
	wantCode(t, err, fault.DomainFixed)
}
