// Package diagnose finds out what stands between this machine and the server:
// names, TCP, proxy, TLS and the agent protocol, and whether the configured
// upstreams answer (reference: agent, section 10.8).
//
// Invariants: nothing but the server, the proxy and the configured upstreams is
// contacted; every failure is a fault with a remedy; a step that depends on a
// failed one is left out; a Report holds no token, no key and no password.
//
// Concurrency: Run is one sequence of steps, each bounded in time.
//
// The package prints nothing and opens no session.
package diagnose
