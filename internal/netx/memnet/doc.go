// Package memnet is a network in memory, for tests of every layer: listeners
// and connections that behave like TCP on loopback (buffered, with deadlines
// and half-close) without ports, and that time bubbles of testing/synctest can
// see through.
//
// It is not for production code.
package memnet
