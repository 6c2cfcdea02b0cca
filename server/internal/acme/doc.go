// Package acme gets certificates from authorities that speak ACME (RFC 8555).
//
// Purpose. A [Client] proves that names are the server's and orders their
// certificates: by a token over plain HTTP, by a certificate in a TLS handshake
// (RFC 8737), or by a record in the DNS, which a program or a dynamic update
// (RFC 2136) puts there. It knows several authorities and asks the next one
// where one fails. [Challenges] are what the public listeners answer meanwhile.
//
// Invariants. Nothing here listens: all proofs are given by the listeners that
// serve endpoints, and only for orders that are under way. Keys are new for
// each certificate. Answers of authorities are bounded in size and time.
//
// Concurrency. Client and Challenges are used by any number of goroutines; one
// name is to be in one order at a time.
//
// Not for the choice of names and times, nor for keeping certificates.
package acme
