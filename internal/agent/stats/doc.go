// Package stats counts connections for the agent's status view: how many there
// were, how many are open, how fast they come and how long they last.
//
// Invariants: memory is bounded whatever the traffic, because rates are moving
// averages and durations are a ring of the latest ones; time is given by the
// caller, so the same events give the same numbers.
//
// Concurrency: all methods may be called from any goroutine.
//
// The package is not a metrics library: it has no names, no labels and no
// export format.
package stats
