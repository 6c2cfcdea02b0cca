//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package node

import (
	"os"
	"syscall"
)

// tryLock takes an exclusive lock on f that ends with the process or with f.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor fits an int
}
