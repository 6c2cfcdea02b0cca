// Package node assembles one server process from a [Config]: data directory,
// keys, tokens and certificates, the edge, agent sessions, and the table that
// joins them.
//
// [New] checks the configuration and opens nothing. [Node.Run] opens everything,
// serves until its context ends, shuts down in order, and returns when nothing
// it started is left. Listeners are opened first, so that a restarted server is
// missing for as short a time as possible: agents count the tries they lose
// (agent-protocol.md 12.2).
//
// This is the only package that sees data plane and control plane at once. What
// one needs of the other it gives them here, through the interfaces that they
// declare.
//
// Shutdown goes: not ready, stop accepting, let open exchanges finish within the
// grace period, then close agent sessions, last of all. The context given to Run
// is the signal to begin; [Node.Kill] ends the grace period at once.
//
// Methods of a Node may be called from any goroutine. The package reads neither
// flags nor environment: that is the program's part.
package node
