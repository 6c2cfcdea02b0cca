// Package claimstest has what tests of the claims of endpoints are written with: a binder with the settings of a server,
// the ports of a machine, sessions and what they ask for.
package claimstest
