// Package tty decides what a program may write to a terminal. It is the one
// rule of both programs:
//
//   - a writer that is no terminal gets neither colours nor a screen;
//   - TERM=dumb means a terminal that can do neither;
//   - NO_COLOR, set to anything, drops colours and nothing else.
//
// Invariants: nothing is written and nothing is remembered; the environment is
// what the caller hands over.
//
// Concurrency: every function may be called from any goroutine.
//
// The package is not for drawing: it answers questions.
package tty
