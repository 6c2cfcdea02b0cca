// Package nodetest runs whole servers for tests: a node on an in-memory network,
// agents made with the SDK, and clients that find every name at the node.
//
// Nothing leaves the process, so tests may run side by side and inside a bubble
// of testing/synctest. Files lie in the test's temporary directory.
//
// A [Server] belongs to its test; its methods fail the test instead of returning
// errors. It is shut down when the test ends.
package nodetest
