// Package examples holds small programs that use the SDK, one a folder.
//
// Each needs a server: start one with "culvertd serve" and set the variables
// that it prints, CULVERT_CONNECT_URL, CULVERT_CA_FINGERPRINT and
// CULVERT_AUTHTOKEN. Run them with "go run ./examples/http" and so on.
//
// They are independent of each other, start no goroutine that outlives main,
// and are not a library: nothing imports them.
package examples
