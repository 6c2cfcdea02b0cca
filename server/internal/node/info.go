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

// connectURL is where agents connect: as configured, else the agent listener's
// port on a name that leads there.
func connectURL(c Config, agent net.Listener) string {
	if c.AdvertiseAgent != "" {
		return c.AdvertiseAgent
	}
	host, _, _ := net.SplitHostPort(c.AgentAddr) // valid, as the field says
	return net.JoinHostPort(connectHost(host, c.Domains[0]), strconv.Itoa(int(portOf(agent))))
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
