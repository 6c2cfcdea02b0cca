package netx_test

import (
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/netx"
)

// quickAck reads the socket's TCP_QUICKACK.
func quickAck(t *testing.T, c net.Conn) (on bool) {
	t.Helper()
	control(t, c, func(fd int) error {
		v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, 12)
		on = v != 0
		return err
	})
	return on
}

// delayAck puts the socket into the mode in which Linux delays
// acknowledgements, as it does by itself once data has gone both ways.
func delayAck(t *testing.T, c net.Conn) {
	t.Helper()
	control(t, c, func(fd int) error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, 12, 0) })
}

func control(t *testing.T, c net.Conn, f func(fd int) error) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// Linux forgets the option by and by, so that it has to be set after every read.
// When a read comes late, Linux turns it on by itself.
func TestH01_EveryReadIsAcknowledgedAtOnce(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(far)
	read := func() (atOnce bool) {
		delayAck(t, far)
		if _, err := io.WriteString(near, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(b, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return quickAck(t, far)
	}
	b.SetQuickAck(true)
	for i := range 20 {
		if !read() {
			t.Fatalf("read %d is not acknowledged at once", i)
		}
	}
	b.SetQuickAck(false)
	for i := 0; read(); i++ {
		if i > 1000 {
			t.Fatal("every read is acknowledged at once although that was not asked for")
		}
	}
}
