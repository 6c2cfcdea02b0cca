// Package edge serves the public side of a server: it accepts connections,
// finds the endpoint they are for, and moves their bytes or requests between
// the client and the agent that serves the endpoint.
//
// Purpose. A Server owns the listeners for http, https, further ports and TCP
// endpoints. A connection passes the limits, then the PROXY header of a
// trusted balancer, then its ClientHello is read for the server name. What is
// for tcp, or for tls that the edge does not end, is joined to a stream of an
// agent as it is; everything with HTTP in it goes to the handler of this
// package, through the loop of h1 if it is ordinary HTTP/1.1, and through
// net/http's server otherwise.
//
// Invariants. Nothing is guessed: a TLS client that names no host, or one that
// nobody serves here, gets an alert. The table alone decides who serves a
// name, and a request whose host does not belong to the TLS settings of its
// connection is refused (decision 36). Every wait and every buffer of a
// stranger has a bound in Limits. A fault of the data path is a *fault.Error
// and becomes a page, a problem document or a gRPC status.
//
// Concurrency. Each connection belongs to one goroutine until net/http's
// server takes it over. Run starts all goroutines and waits for them.
//
// Not for resources, accounts or tokens, and not for the sessions of agents:
// a connection that turns out to be an agent's is handed to Config.Agents.
package edge
