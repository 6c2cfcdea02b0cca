// Package certs finds the certificate for a server name.
//
// Purpose. Without further settings a server is its own certificate
// authority: a development CA is made at the first start, certificates for
// names under the base domains are signed when they are asked for. With
// certificate files these serve all names instead, and are read again when
// they change.
//
// Invariants. The CA may sign only for the base domains, localhost, the
// loopback addresses and the advertised host: its certificate says so in
// critical name constraints. Its key lies in one file of mode 0600 and is
// never sent anywhere; keys of leaves stay in memory. A name outside the base
// domains gets no certificate. Memory for leaves is bounded.
//
// Concurrency. A Store is used by any number of goroutines; a leaf that many
// ask for at once is signed once.
//
// Not for certificates that an endpoint brings itself, nor for getting them from
// an authority.
package certs
