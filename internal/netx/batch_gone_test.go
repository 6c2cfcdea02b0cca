package netx_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// The errors of a connection that is read by descriptor are those of any other.
func TestBatchErrorsAreThoseOfTheNetPackage(t *testing.T) {
	t.Parallel()
	_, far := pair(t)
	_ = far.SetReadDeadline(time.Unix(1, 0))
	_, err := netx.NewBatch(far).Read(make([]byte, 1))
	_, want := far.Read(make([]byte, 1))
	if fmt.Sprint(err) != fmt.Sprint(want) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want %v", err, want)
	}
}

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
