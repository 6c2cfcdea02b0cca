//go:build unix

package cli

import "syscall"

// replaceProcess returns what replaces the process by another run of a program.
func replaceProcess() func(path string, args, env []string) error { return syscall.Exec }
