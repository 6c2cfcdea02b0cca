package sniff

import "strings"

// Protocol is what the first bytes of a connection begin.
type Protocol uint8

// The protocols that are told apart.
const (
	// Unknown is anything else.
	Unknown Protocol = iota
	// TLS is a handshake record (RFC 8446 5.1).
	TLS
	// HTTP1 is a request line: it begins with a method.
	HTTP1
	// HTTP2 is the client's connection preface (RFC 9113 3.4).
	HTTP2
	// Agent is the first frame of an agent session without TLS
	// (agent-protocol.md 1).
	Agent
)

// String names the protocol for logs.
func (p Protocol) String() string {
	switch p {
	case TLS:
		return "TLS"
	case HTTP1:
		return "HTTP/1"
	case HTTP2:
		return "HTTP/2"
	case Agent:
		return "agent protocol"
	default:
		return "unknown"
	}
}

const (
	prefaceHTTP2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// prefaceAgent opens stream 3 with four bytes of type, in one frame.
	prefaceAgent = "\x00\x00\x04\x12\x00\x00\x00\x03"
	handshake    = 0x16
	majorTLS     = 0x03
)

// ProtocolOf tells which protocol b begins. It reports false if b is too short
// to tell.
func ProtocolOf(b []byte) (Protocol, bool) {
	if len(b) == 0 {
		return Unknown, false
	}
	s := string(b[:min(len(b), len(prefaceHTTP2))])
	switch {
	case s[0] == handshake:
		if len(s) < 2 {
			return Unknown, false
		}
		if s[1] == majorTLS {
			return TLS, true
		}
	case strings.HasPrefix(s, prefaceHTTP2):
		return HTTP2, true
	case strings.HasPrefix(prefaceHTTP2, s) && len(s) > 0:
		// Any shorter beginning may still become a method, such as PROPFIND.
		return Unknown, false
	case strings.HasPrefix(s, prefaceAgent):
		return Agent, true
	case strings.HasPrefix(prefaceAgent, s):
		return Unknown, false
	case isMethod(s[0]):
		return HTTP1, true
	}
	return Unknown, true
}

// isMethod reports whether a request line can begin with c. Tokens could also
// begin with other characters, but no method in use does.
func isMethod(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }
