//go:build !linux

package netx

import "syscall"

func setQuickAck(syscall.RawConn) {}
