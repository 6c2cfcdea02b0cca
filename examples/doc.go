// Package examples holds small programs that use the SDK, one a folder.
//
// Each needs a server: start one with "culvertd serve". It prints two commands
// for the agent; set the variables CULVERT_CONNECT_URL, CULVERT_CA_FINGERPRINT
// and CULVERT_AUTHTOKEN to the address, the fingerprint and the token in them.
// Then run "go run ./examples/http" and so on.
//
// They are independent of each other, start no goroutine that outlives main,
// and are not a library: nothing imports them.
package examples
