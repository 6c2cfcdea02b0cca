// Package respond has the actions of Traffic Policy that answer in place of the
// upstream: deny, custom-response, redirect and close-connection
// (traffic-policy.md 6.5, 6.7, 6.8, 6.18).
package respond
