package culvert

import (
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// Modules are what endpoints asked of a server before there were traffic
// policies. The server makes rules of them, which run ahead of those of
// [WithTrafficPolicy]. New endpoints say the same in their policy, where all
// settings of the actions are at hand. The zero value asks for nothing.
type Modules struct {
	// AllowCIDRs and DenyCIDRs are addresses and ranges: clients come in from
	// an allowed one that is not denied. DenyCIDRs alone is refused. These two
	// are for all endpoints, what follows for http and https.
	AllowCIDRs, DenyCIDRs []string
	// AllowUserAgents and DenyUserAgents are regular expressions (RE2) over
	// the User-Agent header. Refused is who is denied and not allowed; with
	// AllowUserAgents alone, whoever is not allowed. Without the header only a
	// pattern for the empty text lets requests in.
	AllowUserAgents, DenyUserAgents []string
	// BasicAuth holds texts user:password, of which clients need one. A
	// password has 8 to 128 characters.
	BasicAuth []string
	// CircuitBreaker is the share of failed requests, 0 to 1, at which requests
	// are held back for a while. Nil: never.
	CircuitBreaker *float64
	// RequestHeaders and ResponseHeaders change headers.
	RequestHeaders, ResponseHeaders HeaderChanges
	// Compression asks for compressed responses.
	Compression bool
}

// HeaderChanges removes headers and adds others.
type HeaderChanges struct {
	// Remove holds the names of headers that go, before others are added.
	Remove []string
	// Add holds texts name:value, whose values may hold ${…} as those of
	// policies may.
	Add []string
}

// WithModules has the server do what m asks for. Default: nothing.
func WithModules(m Modules) EndpointOption {
	return func(o *endpointOptions) { o.modules = m.wire() }
}

// wire is the modules as options of the bind.
func (m *Modules) wire() wire.Modules {
	var w wire.Modules
	if len(m.AllowCIDRs)+len(m.DenyCIDRs) > 0 {
		w.IPRestriction = &wire.IPRestriction{Allow: slices.Clone(m.AllowCIDRs), Deny: slices.Clone(m.DenyCIDRs)}
	}
	if len(m.AllowUserAgents)+len(m.DenyUserAgents) > 0 {
		w.UserAgentFilter = &wire.UserAgentFilter{Allow: slices.Clone(m.AllowUserAgents), Deny: slices.Clone(m.DenyUserAgents)}
	}
	if len(m.BasicAuth) > 0 {
		w.BasicAuth = &wire.BasicAuth{}
	}
	for _, pair := range m.BasicAuth {
		user, password, _ := strings.Cut(pair, ":")
		w.BasicAuth.Credentials = append(w.BasicAuth.Credentials, wire.Credential{Username: user, Password: password})
	}
	if m.CircuitBreaker != nil {
		w.CircuitBreaker = &wire.CircuitBreaker{Threshold: *m.CircuitBreaker}
	}
	w.RequestHeaders, w.ResponseHeaders = m.RequestHeaders.wire(), m.ResponseHeaders.wire()
	if m.Compression {
		w.Compression = &struct{}{}
	}
	return w
}

func (c *HeaderChanges) wire() *wire.Headers {
	if len(c.Remove)+len(c.Add) == 0 {
		return nil
	}
	return &wire.Headers{Remove: slices.Clone(c.Remove), Add: slices.Clone(c.Add)}
}

// checkModules refuses what the endpoint's protocol cannot have: it must never
// get lost on the way.
func (o *endpointOptions) checkModules() error {
	web := o.modules
	web.IPRestriction = nil
	if (o.proto == "tcp" || o.proto == "tls") && web != (wire.Modules{}) {
		return fault.New(fault.ValueInvalid, o.url, "the endpoint URL", "of the modules, "+o.proto+" endpoints have the restriction of addresses alone")
	}
	return nil
}
