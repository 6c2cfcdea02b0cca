// Package access holds the actions that decide who may come in by address or
// password: restrict-ips and basic-auth (traffic-policy.md 6.3, 6.22).
//
// What cannot be decided is refused.
package access
