// Package logs writes the programs' logs: where they go, how a line looks, and
// what may never appear in them.
//
// The keys of a line are a contract. Programs that wrap the agent look for
// msg="started tunnel" and read its url, so the names t, lvl, msg and obj, and
// the short level names (crit, eror, warn, info, dbug), never change; more keys
// may be added. Three formats carry the same keys: logfmt, json, and term,
// which is for a person. Where nobody chose, a terminal gets term and anything
// else logfmt.
//
// Invariants: one record is one Write of one line, so lines of several
// goroutines never mix; values that look like credentials are masked before
// they are formatted.
//
// Concurrency: a Log and its Logger may be used from any goroutine. Reopen and
// Close may run beside writers.
//
// The package is not for output that a command prints as its result, nor for
// the status view; those write to standard output themselves.
package logs
