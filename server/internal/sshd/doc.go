// Package sshd puts services online for plain SSH clients: ssh -R, without an
// agent (agent.md 12).
//
// A [Server] takes connections of SSH clients. A client proves who it is by a
// registered public key, or by an authtoken in place of a password; it asks for
// forwards as ssh -R does, and says in its command what they are to be: http,
// tcp or tls, with flags like those of the agent. Each forward becomes an
// endpoint, a [Forward], by the same rules as an agent's: what it needs of them
// the package declares as [Binder] and [Publisher]. A public connection becomes
// a channel to the client.
//
// Invariants:
//   - Logging in is bounded in time, tries, connections and connections from one
//     source; forwards, channels and waiting requests of a connection are
//     bounded too.
//   - A forward is answered only after its endpoint can be reached, and taken out
//     of reach before its name is given back.
//   - A client that does not answer for a while is gone, and so is all it had.
//   - Every goroutine of a connection ends with it; [Server.Close] waits for all.
//
// The package runs no shell, opens no port and reads no file for anybody.
package sshd
