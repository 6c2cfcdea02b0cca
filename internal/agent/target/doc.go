// Package target reads the place that an endpoint forwards to, in all the
// forms in which people write it: a port, host:port, an http, https, tcp or tls
// URL, a unix socket or a folder of files (reference: endpoints, section 7.6).
//
// Invariants: a Target is a comparable value in canonical form; Parse followed
// by String and Parse again gives the same Target; an address always carries a
// port. Port 443 of an HTTP upstream means https when no scheme says otherwise,
// and no other port does.
//
// The package dials nothing and opens nothing: whether the place exists is
// found out when traffic comes.
package target
