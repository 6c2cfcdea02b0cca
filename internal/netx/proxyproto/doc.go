// Package proxyproto writes and reads the PROXY protocol header, versions 1
// (text) and 2 (binary), that tells a server the addresses of a connection
// which reaches it through a proxy.
//
// Purpose. The edge writes the header towards an upstream that asked for it,
// and reads it on its own listeners from balancers it was told to trust. An
// agent that terminates TLS reads the header ahead of the TLS bytes and puts
// it ahead of the plaintext.
//
// Invariants. Parsing is strict: what is not exactly a header is an error and
// never a guess, a header is at most MaxV1 or MaxV2 bytes, and every proper
// prefix of a valid header yields ErrNeedMore. Addresses come out in canonical
// form (an IPv4 address is never IPv4-mapped).
//
// Concurrency. All functions are pure; Read uses its reader alone.
//
// Not for deciding whom to trust, and not for deadlines: both are the
// caller's.
package proxyproto
