// Package cli is the command line of the agent: commands, flags, texts and exit
// codes (reference: agent, sections 1, 2, 8 and 14). What the commands do
// is done elsewhere.
//
// Invariants: a Program reads nothing of the process but what its fields give
// it, and never ends the process, so a test runs the whole program in itself;
// results go to standard output, remarks and errors to standard error; the exit
// code is 0 for success and 1 for every failure.
//
// Concurrency: a Program is run once.
package cli
