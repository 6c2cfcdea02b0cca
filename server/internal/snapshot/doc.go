// Package snapshot turns what is online into the table that traffic is routed
// by: the tunnels of live agent sessions, and the endpoints that are stored.
//
// [Endpoint] is the translation, a pure function. [Publisher] applies it to a
// route.Router, one tunnel at a time for its callers, any number at a time for
// the router: changes that wait while another one is applied go into the next
// table together. [Cloud] is the projection of stored endpoints: it reads them
// in bulk at a start and one by one as they change. Endpoints with equal
// policies share one program. Behind a stored one there is nobody: its upstream
// fails with a fault that says so.
//
// Invariants:
//
//   - Publish returns after the table that has the endpoint is the current one,
//     Withdraw after the table that has it no longer is.
//
//   - A tunnel is in the table once, however often it is published.
//
//   - A name that was lost without a farewell is noted as expected before it
//     leaves the table, so that no client hears "not found" in between.
//
//   - A stored endpoint that changes leaves the table in the same step in which
//     its new form comes; one that was deleted gives up its place after that.
//
//   - What goes through a deleted endpoint is over [Draining] later.
//
// A Publisher may be used by several goroutines at once. It starts none.
package snapshot
