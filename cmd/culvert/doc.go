// Command culvert is the agent: it puts services of this machine online through
// a Culvert server.
//
// It is a shell around package cli, which holds the command line; nothing else
// belongs here. It has no state and starts no goroutine of its own.
package main
