package wire

import (
	"encoding/json"
)

// Bind asks the server to bring an endpoint online.
type Bind struct {
	// Id is empty on a first bind, and the server picks one. On a rebind and
	// on an extra leg it is set, and the server must use exactly that id.
	Id string //nolint:revive // the wire spells it so
	// Proto is http, https, tcp or tls.
	Proto string
	// ForwardsTo is display text for the place traffic goes to.
	ForwardsTo string
	// ForwardsProto is what the upstream speaks: "", http1 or http2.
	ForwardsProto string
	// Opts are the protocol's options; see [HTTPOptions], [TCPOptions] and
	// [TLSOptions]. On a rebind they are those of the last [BindResp].
	Opts json.RawMessage
	// Extra holds what all protocols share.
	Extra BindExtra
}

// BindExtra is the part of [Bind] that does not depend on the protocol.
type BindExtra struct {
	// Token is empty on a first bind, else the token of the first answer.
	Token string
	// IPPolicyRef is a leftover that clients send empty.
	IPPolicyRef string
	// Metadata, Name and Description are chosen by the user.
	Metadata, Name, Description string
	// Bindings are public, internal or kubernetes; nil or empty means that
	// the URL decides.
	Bindings []string
	// PoolingEnabled allows other endpoints with the same URL.
	PoolingEnabled bool
}

// BindResp answers [Bind].
type BindResp struct {
	// Id names the endpoint on this session: short and safe as a file name.
	Id string //nolint:revive // the wire spells it so
	// URL is the public URL.
	URL string
	// Proto is the protocol of the endpoint.
	Proto string
	// Opts are the request's options with the keys filled in that strict
	// clients need; see [CompleteOpts]. If it is empty, encoding writes the
	// required keys alone.
	Opts json.RawMessage
	// Error is the refusal, in the layout of fault.Error.Wire; empty is success.
	Error string
	// Extra holds the rest.
	Extra BindRespExtra
}

// BindRespExtra is the part of [BindResp] that survives a reconnect.
type BindRespExtra struct {
	// Token is opaque to the agent, which returns it on every rebind.
	Token string
	// TunnelID is the endpoint's id as shown to applications.
	TunnelID string
}

// MarshalJSON makes sure that Opts is never null and has the keys that strict
// clients require, also in an answer that only carries an error.
func (r BindResp) MarshalJSON() ([]byte, error) {
	type plain BindResp
	opts, err := CompleteOpts(r.Proto, r.Opts, "")
	if err != nil {
		return nil, err
	}
	r.Opts = opts
	return json.Marshal(plain(r))
}

// Unbind takes an endpoint offline.
type Unbind struct {
	// Id is the id of the bind.
	Id string //nolint:revive // the wire spells it so
}

// UnbindResp answers [Unbind].
type UnbindResp struct {
	// Error is empty on success. An unknown id is success: some clients
	// unbind twice.
	Error string
}

// StartTunnelWithLabel starts a labelled tunnel.
type StartTunnelWithLabel struct {
	// Labels are the labels that an edge configuration would match.
	Labels map[string]string
	// ForwardsTo, ForwardsProto and Metadata are as in [Bind].
	ForwardsTo, ForwardsProto, Metadata string
}

// StartTunnelWithLabelResp answers [StartTunnelWithLabel].
type StartTunnelWithLabelResp struct {
	// Id names the tunnel on this session.
	Id string //nolint:revive // the wire spells it so
	// Error is the refusal; empty is success.
	Error string
}
