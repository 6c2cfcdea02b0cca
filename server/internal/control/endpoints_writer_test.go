package control_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/store"
)

// oneWriter is a store that knows when an update is under way.
type oneWriter struct {
	store.Store
	busy atomic.Bool
}

func (w *oneWriter) Update(ctx context.Context, f func(store.Tx) error) (store.Revision, error) {
	return w.Store.Update(ctx, func(tx store.Tx) error {
		w.busy.Store(true)
		defer w.busy.Store(false)
		return f(tx)
	})
}

// watched counts what is compiled, and what of it while an update is under way.
type watched struct {
	claims.Policies
	writer      *oneWriter
	all, within atomic.Int32
}

func (w *watched) count() {
	w.all.Add(1)
	if w.writer.busy.Load() {
		w.within.Add(1)
	}
}

func (w *watched) Compile(d *policy.Document, t policy.Target) (*policy.Program, policy.Diagnostics) {
	w.count()
	return w.Policies.Compile(d, t)
}

func (w *watched) CompileText(file string, doc []byte, t policy.Target) (*policy.Program, policy.Diagnostics) {
	w.count()
	return w.Policies.CompileText(file, doc, t)
}

// TestPoliciesAreCompiledOutsideOfUpdates, since there is one update at a time for all accounts.
func TestPoliciesAreCompiledOutsideOfUpdates(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	cfg := config(t)
	writer := &oneWriter{Store: c.db}
	seen := &watched{Policies: cfg.Policies, writer: writer}
	cfg.Policies = seen
	c.binder = newBinder(t, cfg)
	settled := func(context.Context, store.Revision) error { return nil }
	c.Resource = control.NewEndpoints(&control.Shared{Store: writer, Now: time.Now, Settle: settled}, c.binder, &c.agents)
	a := c.must(c.create("https://a.example.com", nil))
	c.must(c.update(a.ID, `{"traffic_policy":"on_http_request: [{actions: [{type: custom-response, config: {status_code: 201}}]}]"}`))
	c.must(c.update(a.ID, `{"description":"x"}`))
	c.must(c.update(a.ID, `{"url":"https://b.example.com"}`))
	if all, within := seen.all.Load(), seen.within.Load(); all != 2 || within != 0 {
		t.Errorf("%d policies were compiled and %d of them in an update, want 2 and 0", all, within)
	}
}
