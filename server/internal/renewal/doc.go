// Package renewal sees to it that names have certificates of an authority.
//
// Purpose. A [Driver] looks at the names that want one: custom domains with an
// automatic policy, and names of the server itself. It orders what is missing,
// renews what grows old, tries again what failed, and writes down what came of
// it.
//
// Invariants. A name is in one order at a time, and few orders are under way at
// once (reliability-security.md T17). A certificate stays in use until a new one
// is stored (F42). What failed is tried again after 1, 5, 15 and 60 minutes and
// then every 6 hours, also across a restart (api.md 4.3).
//
// Concurrency. Run is called once; it owns all state.
//
// Not for the protocol, which package acme has, nor for serving certificates.
package renewal
