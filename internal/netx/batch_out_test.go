package netx_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// TLS answers a key update from its reading side, which must not wait for the
// transport, and whose record must not overtake others.
func TestBatchWriteDoesNotWaitForARelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		b := netx.NewBatch(far)
		b.Hold()
		first := bytes.Repeat([]byte("1"), 1<<20) // more than the connection takes
		if _, err := b.Write(first); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := b.Release()
			_ = b.Close()
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		if _, err := b.Write([]byte("2")); err != nil || time.Since(start) != 0 {
			t.Fatalf("write took %v, %v; want it kept at once", time.Since(start), err)
		}
		got, err := io.ReadAll(near)
		if err != nil || !bytes.Equal(got, append(first, '2')) {
			t.Fatalf("peer read %d bytes, %v; want both writes in order", len(got), err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestBatchKeepsOrderAfterTryRelease(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(far)
	b.Hold()
	var want []byte
	for i := range 15 { // 6 MB, of which the sockets take a part
		part := bytes.Repeat([]byte{byte(i)}, 400<<10)
		want = append(want, part...)
		if _, err := b.Write(part[:100<<10]); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write(part[100<<10:]); err != nil {
			t.Fatal(err)
		}
		if _, err := b.TryRelease(); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		_, _ = b.Release()
		_ = b.Close()
	}()
	got, err := io.ReadAll(near)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("peer read %d bytes, %v; want %d in order", len(got), err, len(want))
	}
}

func TestBatchHoldsABoundedAmount(t *testing.T) {
	t.Parallel()
	_, far := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	b := netx.NewBatch(far)
	b.Hold()
	for n := 0; ; n += 1 << 20 {
		if _, err := b.Write(make([]byte, 1<<20)); err != nil {
			return
		}
		if n > 64<<20 {
			t.Fatal("64 MiB are held")
		}
	}
}

func TestBatchCloseSendsTheGoodbye(t *testing.T) {
	t.Parallel()
	transports := map[string]func() (net.Conn, net.Conn){
		"socket": func() (net.Conn, net.Conn) { return pair(t) },
		"memory": func() (net.Conn, net.Conn) { return memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{}) },
	}
	for name, connect := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := connect()
			b := netx.NewBatch(far)
			b.Hold()
			if _, err := b.Write([]byte("bye")); err != nil {
				t.Fatal(err)
			}
			_ = b.SetWriteDeadline(time.Now()) // as TLS leaves it
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(near)
			if err != nil || string(got) != "bye" {
				t.Fatalf("peer read %q, %v", got, err)
			}
		})
	}
}

func TestCutOffIsNoRegularEnd(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	wrapped := netx.Prefixed(tls.Server(netx.NewBatch(far), &tls.Config{}), []byte("x")) //nolint:gosec // no handshake takes place
	if got := netx.Innermost(wrapped); got != far {
		t.Fatalf("innermost is a %T, want the socket", got)
	}
	if err := netx.CutOff(wrapped); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("peer reads %v, want a reset", err)
	}
}
