// Package viaproxy dials through a forward proxy: HTTP CONNECT, over plain TCP
// or TLS, and SOCKS5, each with or without a user name and a password.
//
// Purpose. An agent in a network that lets nothing out directly reaches its
// server this way (agent.md 10.4). Connections to upstreams never take it.
//
// Invariants. The proxy is given the name of the target, never an address
// resolved here. What a proxy sends is bounded and read strictly. No error
// shows the password.
//
// Concurrency. A Proxy is immutable and may be used by several goroutines.
//
// Not for proxies chosen by environment variables or scripts: who calls this
// package has a URL.
package viaproxy
