package netx_test

import (
	"io"
	"testing"

	"github.com/culvert-project/culvert/internal/netx"
)

// A peer that has gone is told from one that waits and from one that has said
// something more, none of which is lost.
func TestBatchGone(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(far)
	if b.Gone() {
		t.Error("a peer that says nothing is gone")
	}
	if _, err := near.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(b, got[:1]); err != nil {
		t.Fatal(err)
	}
	_ = near.Close()
	if b.Gone() {
		t.Fatal("gone, with bytes to be read")
	}
	if _, err := io.ReadFull(b, got[1:]); err != nil || string(got) != "12345" {
		t.Fatalf("read %q, %v", got, err)
	}
	if !b.Gone() {
		t.Error("a peer that has closed is not gone")
	}
}
