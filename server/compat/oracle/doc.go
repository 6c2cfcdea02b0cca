// Package oracle judges Culvert by other people's clients. It starts a real server in the test's process on loopback
// ports, plays the public client and the upstream, and runs one suite of scenarios against a [Library]: a thin
// adapter around one client library that was written for the service Culvert is compatible with. What such a library
// does is not ours to argue with; where it and the server disagree, the server is wrong.
//
// A scenario asks for what a user would ask for and looks at what a public client sees. It knows nothing of the wire.
//
// Scenarios of one library share a server and run in parallel, each on host names of its own; those that stop or
// restart the server have one to themselves. Everything a scenario starts ends with its test.
//
// It is not for testing the server's own packages, and it is not a client library.
package oracle
