package node

import (
	"cmp"
	"net"
	"strconv"
	"strings"
)

// Info is what a running server tells about itself.
type Info struct {
	// HTTP, HTTPS, Agent, API and SSH are the addresses that it listens on.
	HTTP, HTTPS, Agent, API, SSH net.Addr
	// SSHFingerprint is that of the key by which SSH clients know the server.
	SSHFingerprint string
	// Domains are the base domains.
	Domains []string
	// HTTPPort and HTTPSPort are the ports in URLs.
	HTTPPort, HTTPSPort uint16
	// TCPHost is where TCP endpoints listen, TCPPorts the range of their ports.
	TCPHost  string
	TCPPorts PortRange
	// ConnectURL is where agents connect, host:port.
	ConnectURL string
	// Authorised says that ConnectURL has a certificate of an authority, and ACME that chosen names get one.
	Authorised, ACME bool
	// DataDir holds keys, tokens and certificates.
	DataDir string
	// CAFile is the certificate of the development CA in it and CAFingerprint
	// its fingerprint; both are empty if the server has another certificate.
	CAFile, CAFingerprint string
	// APIURL is where clients find the API.
	APIURL string
	// Authtoken and APIKey are what this start has made, "" where there was one
	// already. They are not shown again.
	Authtoken, APIKey string
}

// connectURL is where agents connect: as configured, else a name that leads to
// the agent listener. Where that is for this machine alone and the HTTPS listener
// is not, it is the latter, which takes agents too (decisions.md 5).
func connectURL(c Config, lns *listeners) string {
	switch {
	case c.AdvertiseAgent != "":
		return c.AdvertiseAgent
	case onLoopback(c.AgentAddr) && !onLoopback(c.HTTPSAddr):
		return net.JoinHostPort("connect."+c.Domains[0], strconv.Itoa(int(advertised(c.AdvertiseHTTPSPort, lns.https))))
	}
	host, _, _ := net.SplitHostPort(c.AgentAddr) // valid, as the field says
	return net.JoinHostPort(connectHost(host, c.Domains[0]), strconv.Itoa(int(portOf(lns.agent))))
}

// authorised reports whether the name that agents are told gets a certificate
// that everybody trusts.
func authorised(c Config, connect string) bool {
	host, _, _ := net.SplitHostPort(connect) // valid, as the field says
	return c.ACME.Email != "" && host == "connect."+c.Domains[0]
}

// connectHost is a name for the host that agents are listened for on.
func connectHost(host, domain string) string {
	ip := net.ParseIP(host)
	switch {
	case ip != nil && ip.IsLoopback(), host == "localhost":
		return "localhost"
	case host != "" && (ip == nil || !ip.IsUnspecified()):
		return host
	case domain == "localhost" || strings.HasSuffix(domain, ".localhost"):
		return "localhost"
	}
	return domain
}

// advertised returns the port that stands in URLs.
func advertised(configured uint16, ln net.Listener) uint16 {
	return cmp.Or(configured, portOf(ln))
}
