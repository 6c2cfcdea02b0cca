package node_test

import (
	"context"
	"net"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

// TestOneServerOnADatabase: a second server does not start beside the first, and
// does when that has stopped. What commands do beside it works.
func TestOneServerOnADatabase(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	first := nodetest.Start(t, func(c *node.Config) { c.DatabaseURL = url })
	other := memnet.New()
	n, err := node.New(node.Config{
		DataDir: t.TempDir(), DatabaseURL: url,
		Listen: func(_ context.Context, network, addr string) (net.Listener, error) {
			return other.Listen(network, addr)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); !fault.Has(err, fault.DatabaseTaken) {
		t.Errorf("a second server: got %v, want %s", err, fault.DatabaseTaken)
	}
	db, err := node.OpenDatabase(t.Context(), node.Config{DatabaseURL: url})
	if err != nil {
		t.Fatalf("a command: %v", err)
	}
	defer db.Close()
	if r, err := db.Check(t.Context()); err != nil || len(r.Problems) > 0 {
		t.Errorf("a check: got %+v, %v", r, err)
	}
	first.API().Create("/vaults", map[string]any{"name": "goes-on"})
	first.Stop()
	eventually(t, "the next server gets hold of it", func() bool { return db.Hold(t.Context()) == nil })
}
