package netx

import "syscall"

// tcpQuickAck is TCP_QUICKACK of linux/tcp.h; package syscall names it on some
// architectures only.
const tcpQuickAck = 12

func setQuickAck(raw syscall.RawConn) {
	// A failure only costs latency.
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpQuickAck, 1)
	})
}
