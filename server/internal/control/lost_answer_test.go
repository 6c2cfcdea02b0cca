package control_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

// lostAnswers is a store that is lost when it has committed an update. The binder hears of what was stored before
// the caller hears of the loss.
type lostAnswers struct {
	store.Store
	binder *claims.Binder
}

func (s lostAnswers) Update(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	if _, err := s.Store.Update(ctx, f); err != nil {
		return 0, err
	}
	_, err := s.View(ctx, func(tx store.Tx) error {
		for e, err := range control.StoredEndpoints(tx, "") {
			if err != nil {
				return err
			}
			if err := s.binder.Follow(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = store.ErrUnavailable
	}
	return 0, err
}

// TestF23_ALostAnswerKeepsThePlace: an endpoint that was stored has its place, also when its update was not answered,
// and not the one that it had before.
func TestF23_ALostAnswerKeepsThePlace(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.must(c.create("https://a.example.com", nil))
	lost := *c
	lost.Resource = control.NewEndpoints(&control.Shared{
		Store: lostAnswers{c.db, c.binder}, Now: time.Now, Settle: func(context.Context, store.Revision) error { return nil },
	}, c.binder, &lost.agents)
	_, err := lost.create("https://b.example.com", nil)
	wantCode(t, err, fault.DatabaseUnavailable)
	_, err = lost.update(a.ID, `{"url":"https://c.example.com"}`)
	wantCode(t, err, fault.DatabaseUnavailable)
	for _, url := range []string{"https://b.example.com", "https://c.example.com"} {
		refused(t, c.binder, agent("a"), bind("https", url), fault.URLTaken)
	}
	reserve(t, c.binder, agent("a"), bind("https", "https://a.example.com"))
}

// What is stored and cannot be waited for is done: whoever was told that it failed would do it again.
func TestF23_StoredAndNotInForce(t *testing.T) {
	t.Parallel()
	p := newOffline(t, t.TempDir())
	var log strings.Builder
	p.shared.Log = slog.New(slog.NewTextHandler(&log, nil))
	p.shared.Settle = func(context.Context, store.Revision) error { return store.ErrUnavailable }
	vaults, caller := control.NewVaults(p.shared), &control.Caller{Account: "ac"}
	made, err := vaults.Create(t.Context(), caller, []byte(`{"name":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vaults.Get(t.Context(), caller, made.(*api.Vault).ID); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "stored and not yet in force") {
		t.Errorf("logged %q, want that the change is not yet in force", log.String())
	}
}
