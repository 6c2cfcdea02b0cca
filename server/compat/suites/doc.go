// Package suites runs public conformance and attack suites against a whole server: h2spec, gRPC interop, slowhttptest
// and testssl.sh. What they send goes over real loopback ports through the edge, the TLS tunnel and an agent to an
// upstream. It has tests only.
//
// Each test checks the score that the suite must reach, and what keeps it from the full one is listed by name with a
// reason. The tests are bounded versions of the suites, a few seconds each; with CULVERT_SUITES=full in the environment
// (make suites) they run whole, and a table of scores ends the output. Scores are kept in docs/conformance.md.
//
// Most of these programs stand on names that resolve, so the endpoints are called localhost, and the base domain is too.
package suites
