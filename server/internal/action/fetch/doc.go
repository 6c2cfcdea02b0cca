// Package fetch holds the action that makes a request of its own: http-request
// (traffic-policy.md 6.10).
package fetch
