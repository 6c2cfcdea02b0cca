//go:build !unix

package main

// noCoreDumps does nothing where the system has no such limit.
func noCoreDumps() error { return nil }
