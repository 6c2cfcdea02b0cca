package wire

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/netip"
	"strings"
)

// Family is the kind of client at the other end of a session. Families differ
// in what they tolerate.
type Family int

// The families of clients.
const (
	// FamilyOther is a client of unknown make.
	FamilyOther Family = iota
	// FamilyCulvert is Culvert's own SDK and agent.
	FamilyCulvert
	// FamilyGo is the ngrok Go SDK of any version.
	FamilyGo
	// FamilyRust is the Rust SDK and those built on it: JavaScript, Python
	// and Java.
	FamilyRust
	// FamilySSH is a plain SSH client, which speaks another protocol.
	FamilySSH
)

// String returns the family's name in lower case.
func (f Family) String() string {
	switch f {
	case FamilyCulvert:
		return "culvert"
	case FamilyGo:
		return "go"
	case FamilyRust:
		return "rust"
	case FamilySSH:
		return "ssh"
	case FamilyOther:
	}
	return "other"
}

// Family tells the kind of client from its user agent. Applications put their
// own names in front, so every part counts. The Rust family wins over the
// others, because being careful with a client is never wrong.
func (a Auth) Family() Family {
	ua := a.Extra.UserAgent
	switch {
	case strings.Contains(ua, "ngrok-rust/"):
		return FamilyRust
	case a.Extra.Culvert != nil:
		return FamilyCulvert
	case strings.Contains(ua, "ngrok-go/"):
		return FamilyGo
	}
	return FamilyOther
}

// Agent is an authenticated agent session, as the server's packages know it.
type Agent struct {
	// Account owns all that the session binds, TokenID names the credential and Principal the user or service
	// user whose it is.
	Account, TokenID, Principal string
	// SessionID is shown to people, ClientID is what the agent presents when
	// it reconnects.
	SessionID, ClientID string
	// Addr is where the agent connects from.
	Addr netip.AddrPort
	// Auth is what the agent sent, without its credential.
	Auth Auth
	// Features are the extensions agreed on.
	Features Features
	// Family is the kind of client.
	Family Family
}

// Bound is an endpoint that the server has reserved for a [Bind]: what the
// answer says, and what the data plane needs to serve it.
type Bound struct {
	// ID is the id of the bind, unique on its session; TunnelID is the
	// endpoint's id, unique on the server and kept across reconnects.
	ID, TunnelID string
	// URL is what the client and its user see, with the advertised port.
	URL string
	// Proto is the endpoint's protocol: http, https, tcp or tls.
	Proto string
	// Opts are the options to answer with; see [CompleteOpts].
	Opts json.RawMessage
	// Token is the resume token to answer with.
	Token string

	// Account, Binding, Scheme, Host and Port are the key under which the
	// endpoint is found. The names are canonical and the port is the
	// scheme's own or that of an extra listener, never an advertised one.
	Account, Binding, Scheme, Host string
	Port                           uint16
	// Pooled allows other endpoints with the same key.
	Pooled bool
	// HTTP2 says that the upstream speaks HTTP/2 without TLS or negotiation.
	HTTP2 bool
	// ProxyProto is 0 for none, else the version of the PROXY header.
	ProxyProto int
	// TLS is how the server terminates TLS, nil for the endpoint's default:
	// https with the name's certificate, tls not at all.
	TLS *BoundTLS
	// Policy is the endpoint's compiled policy, of a type that is the binder's
	// and its reader's affair; nil for none.
	Policy any
	// Name, Description, Metadata and ForwardsTo are for people.
	Name, Description, Metadata, ForwardsTo string
}

// BoundTLS is TLS termination at the server.
type BoundTLS struct {
	// Terminate is whether the server ends TLS for a tls endpoint.
	Terminate bool
	// Certificate is the endpoint's own, nil to use the name's.
	Certificate *tls.Certificate
	// ClientCAs, if there are any, have to have signed the certificate that a
	// client must present.
	ClientCAs []*x509.Certificate
}
