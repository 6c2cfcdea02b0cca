// The soak program runs a server and an agent for long, each in a process of its
// own, at four fifths of what this machine can do, with faults in rotation: the
// agent's link is cut (F01), flaps (F05), and upstreams fail (F09). It watches
// memory, goroutines and descriptors of both processes, passes two large bodies
// through them, and ends with a table.
//
// It fails, with exit code 1, if a request failed that no fault explains, if a
// fault was answered in another way than docs/reliability.md promises, or if
// memory grew, or goroutines or descriptors are more behind the load than before.
//
//	go run ./server/reliability/soak --for 30m --body 10GiB
//
// Processes and sockets are on this machine's loopback alone. Without /proc
// memory and descriptors are not watched.
package main
