package wire

import (
	"encoding/json"
	"fmt"
	"maps"
)

// HTTPOptions are the bind options of http and https endpoints. The fields of
// unbuilt features are kept raw: the server only needs to know whether they
// are set; see [IsSet].
type HTTPOptions struct {
	// URL, Domain, Hostname and Subdomain name the wanted address; clients of
	// different ages use different ones; see [HTTPOptions.Wanted].
	URL, Domain, Hostname, Subdomain string
	// Auth and HostHeaderRewrite are leftovers that SDKs do not use.
	Auth              string
	HostHeaderRewrite bool
	// ProxyProto is 0 for none, else the version of the PROXY header.
	ProxyProto int
	// MutualTLSCA is the client CA for TLS at the server.
	MutualTLSCA *MutualTLS `json:",omitempty"`
	// Modules are what the server does by rules ahead of the policy.
	Modules
	// OAuth and the fields after it are features to apply at the server.
	OAuth, OIDC, WebhookVerification, WebsocketTCPConverter, Policy json.RawMessage `json:",omitempty"`
	// TrafficPolicy is a policy document, JSON or YAML text.
	TrafficPolicy string
}

// Wanted returns the wanted address in the order in which clients mean it:
// URL, Domain, Hostname, then Subdomain alone. At most one of both results is
// not empty.
func (o HTTPOptions) Wanted() (address, subdomain string) {
	return wanted(o.Subdomain, o.URL, o.Domain, o.Hostname)
}

// TCPOptions are the bind options of tcp endpoints.
type TCPOptions struct {
	// URL and Addr name the wanted address: tcp://host:port and host:port.
	URL, Addr string
	// ProxyProto is 0 for none, else the version of the PROXY header.
	ProxyProto int
	// IPRestriction says who may connect.
	IPRestriction *IPRestriction `json:",omitempty"`
	// Policy is the older form of TrafficPolicy.
	Policy json.RawMessage `json:",omitempty"`
	// TrafficPolicy is a policy document, JSON or YAML text.
	TrafficPolicy string
}

// Wanted returns the wanted address, empty if the server shall choose.
func (o TCPOptions) Wanted() string {
	if o.URL != "" {
		return o.URL
	}
	return o.Addr
}

// TLSOptions are the bind options of tls endpoints.
type TLSOptions struct {
	// URL, Domain, Hostname and Subdomain name the wanted address, as in
	// [HTTPOptions].
	URL, Domain, Hostname, Subdomain string
	// ProxyProto is 0 for none, else the version of the PROXY header.
	ProxyProto int
	// MutualTLSAtAgent is always false from SDKs.
	MutualTLSAtAgent bool
	// MutualTLSAtEdge is the client CA when the server terminates TLS.
	MutualTLSAtEdge *MutualTLS `json:",omitempty"`
	// TLSTermination is set if the server shall terminate TLS, nil to pass
	// the ciphertext through.
	TLSTermination *TLSTermination `json:",omitempty"`
	// IPRestriction says who may connect.
	IPRestriction *IPRestriction `json:",omitempty"`
	// Policy is the older form of TrafficPolicy.
	Policy json.RawMessage `json:",omitempty"`
	// TrafficPolicy is a policy document, JSON or YAML text.
	TrafficPolicy string
}

// Wanted returns the wanted address as [HTTPOptions.Wanted] does.
func (o TLSOptions) Wanted() (address, subdomain string) {
	return wanted(o.Subdomain, o.URL, o.Domain, o.Hostname)
}

func wanted(subdomain string, addresses ...string) (string, string) {
	for _, a := range addresses {
		if a != "" {
			return a, ""
		}
	}
	return "", subdomain
}

// MutualTLS asks for client certificates.
type MutualTLS struct {
	// CA holds PEM certificates, concatenated; base64 on the wire.
	CA []byte `json:"mutual_tls_ca,omitempty"`
}

// TLSTermination asks the server to terminate TLS. Without a certificate the
// server uses its own for the name.
type TLSTermination struct {
	// Cert and Key are PEM texts; base64 on the wire.
	Cert []byte `json:"cert,omitempty"`
	Key  []byte `json:"key,omitempty"`
	// SealedKey is a key that only its maker can read; Culvert has none.
	SealedKey []byte `json:"sealed_key,omitempty"`
}

// IsSet reports whether an option of a bind is present and not null. An empty
// object counts as present: some features have no settings.
func IsSet(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null"
}

// optZeros gives the options that strict clients demand in an answer, with
// the value that stands for "not set".
func optZeros(proto string) map[string]string {
	switch proto {
	case "http", "https":
		return map[string]string{
			"Hostname": `""`, "Auth": `""`, "Subdomain": `""`,
			"HostHeaderRewrite": `false`, "ProxyProto": `0`,
		}
	case "tcp":
		return map[string]string{"Addr": `""`, "ProxyProto": `0`}
	case "tls":
		return map[string]string{
			"Hostname": `""`, "Subdomain": `""`, "ProxyProto": `0`, "MutualTLSAtAgent": `false`,
		}
	}
	all := map[string]string{}
	for _, p := range []string{"http", "tcp", "tls"} {
		maps.Copy(all, optZeros(p))
	}
	return all
}

// CompleteOpts returns the options to answer a bind with: those of the request
// with the keys added that strict clients require for the protocol. A host
// (host:port for tcp) that is not empty is written where the protocol names
// its address, so that a client that keeps nothing but its options asks for
// the same address again. Opts may be empty or null. It fails if opts is
// neither null nor an object.
func CompleteOpts(proto string, opts json.RawMessage, host string) (json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	if IsSet(opts) {
		if err := json.Unmarshal(opts, &m); err != nil {
			return nil, fmt.Errorf("decode bind options: %w", err)
		}
	}
	for key, zero := range optZeros(proto) {
		if !IsSet(m[key]) {
			m[key] = json.RawMessage(zero)
		}
	}
	// Clients accept a policy as text or not at all.
	if p, ok := m["TrafficPolicy"]; ok && (len(p) == 0 || p[0] != '"') {
		delete(m, "TrafficPolicy")
	}
	if host != "" {
		text, err := json.Marshal(host)
		if err != nil {
			return nil, fmt.Errorf("encode bind address: %w", err)
		}
		key := "Hostname"
		if proto == "tcp" {
			key = "Addr"
		}
		m[key] = text
	}
	return json.Marshal(m)
}
