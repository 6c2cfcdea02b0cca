// Package sniff tells what the first bytes of a connection are without taking
// them away from whoever reads the connection next.
//
// Purpose. A Conn reads ahead into a buffer and replays it. On top of it stand
// the three things the edge has to know before it can serve a connection: the
// PROXY header of a trusted balancer, the protocol that the bytes begin, and
// the server name of a TLS ClientHello.
//
// Invariants. Reading ahead is bounded in bytes and, by the caller's deadline,
// in time. A ClientHello that is malformed, too large or cut short is an
// error: it is never taken for one without a server name. A server name has
// one form, canonical: lower case, A-labels, no trailing dot (T12).
//
// A TCP socket is read and written past the scheduler (see netx.Raw).
//
// Concurrency. Reading ahead is for the one goroutine that has the connection;
// afterwards a Conn is used like any net.Conn.
//
// Not for TLS itself: what it finds is for routing, and the handshake that
// follows judges the same bytes again.
package sniff
