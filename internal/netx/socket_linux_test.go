package netx_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/netx"
)

// busy returns the address of a socket that takes no connection for now, and
// how to make room.
func busy(t *testing.T) (addr netip.AddrPort, room func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in := name.(*syscall.SockaddrInet4)
	addr = netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)) //nolint:gosec // a port
	first, err := net.Dial("tcp", addr.String())                         // fills the queue of one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	return addr, func() {
		if c, _, err := syscall.Accept(fd); err == nil {
			_ = syscall.Close(c)
		}
	}
}

func TestDialTCPWaits(t *testing.T) {
	t.Parallel()
	addr, room := busy(t)
	err := waits(func() error {
		c, err := netx.DialTCP(t.Context(), addr)
		if err == nil {
			_ = c.Close()
		}
		return err
	}, room)
	if err != nil {
		t.Error(err)
	}
}

func TestDialTCPStopsWaitingWithItsContext(t *testing.T) {
	t.Parallel()
	addr, _ := busy(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := waits(func() error {
		_, err := netx.DialTCP(ctx, addr)
		return err
	}, cancel)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
