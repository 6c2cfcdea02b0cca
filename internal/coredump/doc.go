// Package coredump keeps the system from writing a program's memory to a file
// when it crashes: keys and tokens are in it (reference: reliability and
// security, K10).
//
// The limit holds for the whole process and what it starts from then on. It may
// be set at any time, from any goroutine, any number of times.
//
// The package does not keep secrets out of memory, nor out of the reach of the
// system's administrator.
package coredump
