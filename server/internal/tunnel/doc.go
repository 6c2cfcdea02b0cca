// Package tunnel is the server's side of agent sessions: it takes a connection,
// authenticates the agent behind it, brings its endpoints online and offline,
// and opens a stream to it for each public connection.
//
// A [Server] holds all sessions. One agent may hold several connections, its
// legs; they share the client id, and an endpoint bound on several legs is one
// [Tunnel] with several paths. What the package needs from the rest of the
// server it declares itself: who may connect ([Authenticator]), which URL a bind
// gets ([Binder]), when the URL reaches the agent ([Publisher]) and how cookies
// are sealed ([Sealer]).
//
// Invariants:
//   - Before it is authenticated an agent may authenticate, beat and ask for
//     server facts, within a time, a number of bytes and a number of pending
//     connections.
//   - A bind is answered only after the endpoint can be reached; an unbind, or
//     the end of the last leg, takes it out of reach before its name is given
//     back.
//   - Of two connections with the same client id and leg the newer one wins, and
//     the older one has given back everything before the newer one is answered.
//   - No path is given more streams than its agent can bear.
//   - Every goroutine a session starts ends with it; [Server.Close] waits for all.
//
// All exported methods may be called from any goroutine.
//
// The package does not know names, tables or tokens, and moves no payload: the
// edge copies bytes between a stream and its client.
package tunnel
