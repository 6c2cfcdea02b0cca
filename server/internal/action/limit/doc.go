// Package limit holds the actions that hold requests back: rate-limit and
// circuit-breaker (traffic-policy.md 6.4, 6.17).
//
// Their state belongs to an endpoint on this server and to what the action is:
// it survives a change of the policy that leaves the action as it is, and two
// actions that look the same do not share it. It is kept in memory, bounded for
// each action, and dropped once it has nothing to say.
package limit
