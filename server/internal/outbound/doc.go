// Package outbound reaches services outside on behalf of users, and nothing
// that is none of their business (decision 43, reliability-security.md T61).
//
// Whoever writes a policy names hosts that the server then asks. A [Guard]
// judges the address of every single connection after the name was resolved
// and dials that very address, so that a name which changes its mind gains
// nothing. No proxy of the environment is used.
package outbound
