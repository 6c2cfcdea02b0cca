//go:build unix

package coredump

import "syscall"

// Off turns core dumps off. It fails if the system does not allow that.
func Off() error { return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
