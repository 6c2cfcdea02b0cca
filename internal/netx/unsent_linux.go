package netx

import "syscall"

// tcpNotSentLowat is TCP_NOTSENT_LOWAT of linux/tcp.h, which package syscall
// does not name. Accepted connections inherit it.
const tcpNotSentLowat = 25

func limitUnsent(raw syscall.RawConn, bytes int) {
	// A failure leaves the system's own bound.
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, bytes)
	})
}
