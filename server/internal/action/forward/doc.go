// Package forward has the action forward-internal, which hands connections and
// requests on to an internal endpoint of the same account (traffic-policy.md
// 6.9, endpoints.md 10).
//
// Finding the endpoint and asking it is the edge's work, behind
// policy.Forwarder. The package holds no state, and its actions may be used by
// many goroutines.
package forward
