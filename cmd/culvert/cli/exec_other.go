//go:build !unix

package cli

// replaceProcess returns nil: a process cannot be replaced here.
func replaceProcess() func(path string, args, env []string) error { return nil }
