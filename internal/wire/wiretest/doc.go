// Package wiretest is the smallest server that agents can connect to: it
// answers Auth, Bind and the rest from scripts of the test, and opens
// forwarded connections.
//
// Purpose. The SDK and its examples are tested against it, inside the root
// module, over the in-memory network or loopback. The real server is tested in
// its own module.
//
// Invariants. Unless a test says otherwise it accepts every token and every
// bind, keeps ids as the protocol demands, and never limits anything.
//
// Concurrency. All methods may be called from several goroutines; scripts run
// on the goroutine of the request.
//
// Not for production: it knows no rules, no ownership and no bounds.
package wiretest
