// Package meter counts what endpoints do: requests, connections and bytes sent, and holds accounts to the limits of
// their traffic (api.md 5).
//
// Whoever serves an endpoint has its [Counter] and adds to it, without locks and allocations: one atomic addition for a
// request, a connection or a write. [Meters.Collect] gives out what came together since it was called last. A counter
// that nobody holds any more goes with the collection that finds it so, and not before all of it was given out.
//
// Limits belong to accounts. For an account without limits counting costs nothing more; for one with them what is used
// of a month is counted beside, and rates per minute in sliding windows.
package meter
