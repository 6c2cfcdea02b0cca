// Package frame encodes and checks the frames of the multiplexer: an 8-byte
// header and, depending on the type, data or a few fixed integers. PROTOCOL.md
// describes the bytes; each frame type has its own file.
//
// The package holds no state and does no input or output. Parsing never
// allocates; every check that depends on a frame alone is made here, every
// check that depends on a session's state is made by package mux.
package frame
