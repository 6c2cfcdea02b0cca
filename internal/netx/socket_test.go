package netx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// sockets returns both ends of a connection made by this package.
func sockets(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l := listenSockets(t, "127.0.0.1:0")
	near, err := netx.DialTCP(t.Context(), netx.AddrPort(l.Addr()))
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

func listenSockets(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l = netx.Sockets(l)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestSocketsCarryBytesBothWays(t *testing.T) {
	t.Parallel()
	near, far := sockets(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // more than the kernel takes at once
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		sent := make(chan error, 1)
		go func() {
			_, err := way[0].Write(want)
			sent <- errors.Join(err, netx.CloseWrite(way[0]))
		}()
		got, err := io.ReadAll(way[1])
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(want))
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []net.Conn{near, far} {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: got %v, want net.ErrClosed", err)
		}
	}
}

func TestSocketAddresses(t *testing.T) {
	t.Parallel()
	near, far := sockets(t)
	for _, c := range []net.Conn{near, far} {
		if _, ok := c.LocalAddr().(*net.TCPAddr); !ok {
			t.Errorf("local address is a %T", c.LocalAddr())
		}
	}
	if near.LocalAddr().String() != far.RemoteAddr().String() || near.RemoteAddr().String() != far.LocalAddr().String() {
		t.Errorf("near has %v and %v, far %v and %v", near.LocalAddr(), near.RemoteAddr(), far.LocalAddr(), far.RemoteAddr())
	}
}

func TestSocketsOverIPv6(t *testing.T) {
	t.Parallel()
	nl, err := net.Listen("tcp", "[::1]:0")
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("this machine has no IPv6: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := netx.Sockets(nl)
	defer l.Close()
	near, err := netx.DialTCP(t.Context(), netx.AddrPort(l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if near.LocalAddr().String() != far.RemoteAddr().String() {
		t.Errorf("near is %v, far sees %v", near.LocalAddr(), far.RemoteAddr())
	}
}

// waits calls f, which waits, and then end; it returns what f returned.
func waits(f func() error, end func()) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select { // it should wait; a machine that is late makes the test see less
	case err := <-done:
		return err
	case <-time.After(20 * time.Millisecond):
	}
	end()
	return <-done
}

func TestSocketReadEnds(t *testing.T) {
	t.Parallel()
	near, _ := sockets(t)
	read := func() error {
		_, err := near.Read(make([]byte, 1))
		return err
	}
	err := waits(read, func() { _ = near.SetReadDeadline(time.Unix(1, 0)) })
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		t.Errorf("%v is no timeout", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	if err := waits(read, func() { _ = near.Close() }); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: got %v, want net.ErrClosed", err)
	}
	if err := near.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("deadline of a closed one: got %v, want net.ErrClosed", err)
	}
}

func TestSocketCutOff(t *testing.T) {
	t.Parallel()
	near, far := sockets(t)
	if err := netx.CutOff(near); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestSocketWriteToNobody(t *testing.T) {
	t.Parallel()
	near, far := sockets(t)
	_ = netx.CutOff(far)
	var err error
	for range 1000 { // until the reset is here
		if _, err = near.Write(make([]byte, 1<<10)); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v, want ECONNRESET or EPIPE", err)
	}
}

func TestSocketsListenerEnds(t *testing.T) {
	t.Parallel()
	l := listenSockets(t, "127.0.0.1:0")
	err := waits(func() error {
		_, err := l.Accept()
		return err
	}, func() { _ = l.Close() })
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v, want net.ErrClosed", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: got %v, want net.ErrClosed", err)
	}
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = again.Close()
}

func TestDialTCPRefused(t *testing.T) {
	t.Parallel()
	l := listenSockets(t, "127.0.0.1:0")
	to := netx.AddrPort(l.Addr())
	_ = l.Close()
	_, err := netx.DialTCP(t.Context(), to)
	want := "dial tcp " + to.String() + ": connect: connection refused"
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDialTCPGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := netx.DialTCP(ctx, netip.MustParseAddrPort("127.0.0.1:9")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
