//go:build unix

package node

import "syscall"

// descriptors returns how many descriptors the process may open.
func descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(r.Cur, 1<<20)) //nolint:gosec // bounded
}
