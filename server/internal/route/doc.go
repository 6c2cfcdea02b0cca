// Package route holds the endpoints that are online and finds the one that a
// connection or request is for.
//
// Purpose. A Table maps a binding, a port and a host name to a Pool of
// endpoints: the exact name first, then the wildcard with the longest suffix
// (endpoints.md 4). A Router is the current Table behind an atomic pointer.
//
// Invariants. A Table never changes; With and Without return another one that
// shares all but the way to the changed pool, so that a bind costs
// microseconds however many endpoints are online. A lookup allocates nothing
// and takes no lock. At most one scheme owns a host and port.
//
// Concurrency. Tables, pools and endpoints are read by any number of
// goroutines at once; Router.Update serialises its writers.
//
// Not for deciding who may take a name, and not for keeping agents' state:
// whoever publishes endpoints has checked them.
package route
