// Package netx holds the connection types that the data path is made of: a
// connection that replays bytes already read, one that sits below TLS and
// turns many small system calls into few large ones, and sockets whose system
// calls do not pass by Go's scheduler. It also brings peers' addresses into the
// form in which they are compared and counted.
//
// Invariants: wrappers keep half-close (CloseWriter) wherever the wrapped
// connection has it, and offer NetConn so that the transport can be found.
// Concurrency follows net.Conn: one reader and one writer at a time may use a
// wrapper, Close may come from anywhere.
//
// It is not a place for protocol code: formats live in their own packages.
package netx
