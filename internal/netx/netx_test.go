package netx_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// pair returns both ends of a connection over loopback.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near, far
}

func TestPrefixedReplaysFirst(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	p := netx.Prefixed(far, []byte("seen "))
	if _, err := near.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := netx.CloseWrite(near); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(p)
	if err != nil || string(got) != "seen new" {
		t.Fatalf("read %q, %v; want both in order and EOF", got, err)
	}
	if err := netx.CloseWrite(p); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("half-close did not go through: %v", err)
	}
}

func TestBufferedTakesTheBytesOff(t *testing.T) {
	t.Parallel()
	_, far := pair(t)
	p := netx.Prefixed(netx.Prefixed(far, []byte("second ")), []byte("first "))
	below, head := netx.Buffered(p)
	if below != far || string(head) != "first second " {
		t.Fatalf("got %T and %q, want the socket and what it had sent, in order", below, head)
	}
}

func TestBatchReadsAndWrites(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(far)
	want := bytes.Repeat([]byte("x"), 300<<10)
	go func() {
		_, _ = near.Write(want)
		_ = netx.CloseWrite(near)
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(want))
	}
	b.Hold()
	for _, s := range []string{"one ", "two ", "three"} {
		if _, err := b.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Release(); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 13)
	if _, err := io.ReadFull(near, text); err != nil || string(text) != "one two three" {
		t.Fatalf("peer read %q, %v", text, err)
	}
}

func TestBatchTryReleaseDoesNotWait(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(far)
	b.Hold()
	want := 8 << 20 // more than both socket buffers take
	if _, err := b.Write(make([]byte, want)); err != nil {
		t.Fatal(err)
	}
	sent, err := b.TryRelease()
	if sent || err != nil {
		t.Fatalf("TryRelease() = %v, %v; want false while the peer reads nothing", sent, err)
	}
	go func() {
		_, _ = b.Release()
		_ = b.Close()
	}()
	n, err := io.Copy(io.Discard, near)
	if err != nil || n != int64(want) {
		t.Fatalf("peer read %d bytes, %v; want %d", n, err, want)
	}
}

func TestBatchReleaseReportsProgress(t *testing.T) {
	t.Parallel()
	_, far := pair(t)
	b := netx.NewBatch(far)
	b.Hold()
	if _, err := b.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	for try := range 100 { // the kernel's buffers grow for a while
		_ = b.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		progress, err := b.Release()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Release(): %v, want the deadline", err)
		}
		if try == 0 && !progress {
			t.Fatal("the first release made no progress into empty buffers")
		}
		if !progress {
			return
		}
	}
	t.Fatal("a peer that reads nothing lets every release make progress")
}

func TestBatchDeadline(t *testing.T) {
	t.Parallel()
	_, far := pair(t)
	b := netx.NewBatch(far)
	_ = b.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := b.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read: %v, want deadline exceeded", err)
	}
}

func TestRawAllocatesNothing(t *testing.T) {
	near, far := pair(t)
	raw := netx.NewRaw(far)
	if raw == nil {
		t.Skip("no raw access to sockets on this system")
	}
	msg, buf := []byte("x"), lend{}
	n := testing.AllocsPerRun(100, func() {
		if _, err := near.Write(msg); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.ReadReady(&buf); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.WriteReady(msg); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Fatalf("%v allocations for a read and a write, want none", n)
	}
}

type lend struct{ b [64]byte }

func (l *lend) Take() []byte { return l.b[:] }
func (l *lend) Drop()        {}

// An agent that comes in on the port of clients has had its first bytes read
// before anybody knew that it is one.
func TestBatchReadsAheadBelowReplayedBytes(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(netx.Prefixed(netx.Prefixed(near, []byte("two ")), []byte("one ")))
	if b.NetConn() != near {
		t.Errorf("the batch is over %T, want the socket", b.NetConn())
	}
	if _, err := io.WriteString(far, "three"); err != nil {
		t.Fatal(err)
	}
	if err := netx.CloseWrite(far); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); string(got) != "one two three" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
