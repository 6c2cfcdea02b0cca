//go:build unix

package main

import "syscall"

// noCoreDumps keeps the system from writing keys and tokens to a file when the
// program crashes.
func noCoreDumps() error {
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
