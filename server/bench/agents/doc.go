// Agents measures what many idle agents cost a server, and how long they take
// to come back to one that was restarted. docs/performance.md keeps the last
// figures.
//
// The server and the agents are processes of their own, made of this program:
// the server is a node as culvertd runs it, the agents are those of the SDK,
// with TLS, heartbeats, back-off and one endpoint each. It needs a few more
// descriptors than agents in each process.
//
//	go run ./server/bench/agents -agents 10000 -idle 10m
package main
