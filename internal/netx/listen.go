package netx

import (
	"context"
	"net"
	"syscall"
)

// Listen opens a listener like [net.Listen], without multipath TCP, which Go's
// listeners offer by default: connections are accepted faster, and inherit the
// options of the listener.
func Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	return c.Listen(ctx, network, addr)
}

// LimitUnsent bounds, for each connection that ln accepts from now on, what the
// system keeps of data that it cannot send yet, in bytes. Data that is on its
// way counts apart, so that fast clients lose nothing; clients that do not read
// no longer fill the system's memory for sockets, with which it slows down all
// others. Where the system has no such bound, or ln is not from [Listen], it
// does nothing.
func LimitUnsent(ln net.Listener, bytes int) {
	s, ok := ln.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := s.SyscallConn(); err == nil {
		limitUnsent(raw, bytes)
	}
}
