// Package reliability holds what the fault tests and the soak program share: a
// [Link] that does to connections what bad networks do, an [Upstream] whose
// answers can be checked byte for byte and which misbehaves on request, and
// [Load], traffic of every kind that counts what came of it.
//
// The tests of this package run a whole server, agents made with the SDK and
// real services through the faults of docs/reliability.md, each under its id.
// Tests that need processes to kill are in server/e2e. The soak program in
// soak/ runs the same things for long.
//
// Everything runs on a [Network]: sockets of loopback, or a network in memory,
// where a bubble of testing/synctest makes minutes of faults take seconds.
//
// All exported methods may be called from any goroutine. The package is not
// part of any program that users run.
package reliability
