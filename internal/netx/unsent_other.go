//go:build !linux

package netx

import "syscall"

func limitUnsent(syscall.RawConn, int) {}
