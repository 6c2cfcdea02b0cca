package netx_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// TestT09_UnsentIsBounded writes to a client that reads nothing.
func TestT09_UnsentIsBounded(t *testing.T) {
	t.Parallel()
	free, bounded := swallowed(t, 0), swallowed(t, 16<<10)
	if bounded >= free || bounded > 512<<10 {
		t.Errorf("the system takes %d bytes with the bound, %d without it; want less, and 512 KiB at most", bounded, free)
	}
}

// swallowed returns how many bytes the system takes for a client that reads nothing, with a bound on unsent data or,
// if it is 0, with its own.
func swallowed(t *testing.T, bound int) (bytes int) {
	t.Helper()
	ln, err := netx.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if bound > 0 {
		netx.LimitUnsent(ln, bound)
	}
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	chunk := make([]byte, 4<<10)
	for {
		// Nothing but the client could make room, so that the wait decides nothing.
		if err := conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Write(chunk)
		bytes += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return bytes
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
