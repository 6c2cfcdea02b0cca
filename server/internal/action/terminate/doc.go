// Package terminate holds terminate-tls (traffic-policy.md 6.26): it says how
// the edge is to end TLS on a connection. The handshake follows the connect
// phase, and what it gives is read from the connection.
package terminate
