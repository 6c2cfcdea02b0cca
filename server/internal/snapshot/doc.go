// Package snapshot turns what is online into the table that traffic is routed
// by. Today that is the tunnels of live agent sessions.
//
// [Endpoint] is the translation, a pure function. [Publisher] applies it to a
// route.Router, one tunnel at a time for its callers, any number at a time for
// the router: changes that wait while another one is applied go into the next
// table together.
//
// Invariants:
//   - Publish returns after the table that has the endpoint is the current one,
//     Withdraw after the table that has it no longer is.
//   - A tunnel is in the table once, however often it is published.
//   - A name that was lost without a farewell is noted as expected before it
//     leaves the table, so that no client hears "not found" in between.
//
// A Publisher may be used by several goroutines at once. It starts none.
package snapshot
