package culvert

import (
	"slices"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// serverOptions are the settings of an endpoint that the server acts on before
// a connection reaches the agent, beyond its URL.
type serverOptions struct {
	subdomain    string
	terminateTLS bool
	cert, key    []byte
	clientCAs    []byte
}

// WithSubdomain asks for the name label.BASE, where BASE is the server's base
// domain, which the agent need not know. [WithURL] may give the scheme and no
// name then. Default: the name that WithURL asks for, or a random one.
func WithSubdomain(label string) EndpointOption {
	return func(o *endpointOptions) { o.server.subdomain = label }
}

// WithServerTLSTermination has the server end the TLS of a tls endpoint, with
// this certificate and key in PEM, or with its own certificate for the name if
// both are empty. Default: TLS passes through to the agent.
func WithServerTLSTermination(certPEM, keyPEM []byte) EndpointOption {
	return func(o *endpointOptions) {
		o.server.terminateTLS = true
		o.server.cert, o.server.key = slices.Clone(certPEM), slices.Clone(keyPEM)
	}
}

// WithServerMutualTLS has the server demand a certificate of one of these
// authorities, in PEM, from every client. It is for https endpoints, and for
// tls endpoints with [WithServerTLSTermination]. Default: clients need none.
func WithServerMutualTLS(caPEM []byte) EndpointOption {
	return func(o *endpointOptions) { o.server.clientCAs = slices.Clone(caPEM) }
}

// check refuses what the endpoint's protocol cannot have. A setting that
// protects must never get lost on the way.
func (s *serverOptions) check(o *endpointOptions) error {
	bad := func(what, why string) error { return fault.New(fault.ValueInvalid, o.url, what, why) }
	switch {
	case s.subdomain != "" && o.proto == "tcp":
		return bad("the endpoint URL", "a tcp endpoint has no subdomain")
	case s.subdomain != "" && !schemeOnly(o.url):
		return fault.New(fault.OptionConflict, "a subdomain", "a URL with a name")
	case s.terminateTLS && o.proto != "tls":
		return bad("the endpoint URL", "TLS termination at the server is for tls endpoints; that of https ends there anyway")
	case s.terminateTLS && o.agentTLS != nil:
		return fault.New(fault.OptionConflict, "TLS termination at the server", "TLS termination at the agent")
	case len(s.clientCAs) > 0 && o.proto != "https" && !s.terminateTLS:
		return bad("the endpoint URL", "the server can verify clients only where it ends their TLS")
	}
	return nil
}

// schemeOnly reports whether a URL has no name.
func schemeOnly(url string) bool {
	return url == "" || url == "http://" || url == "https://" || url == "tls://"
}

// mutualTLS is the option of the bind, nil if clients need no certificate.
func (s *serverOptions) mutualTLS() *wire.MutualTLS {
	if len(s.clientCAs) == 0 {
		return nil
	}
	return &wire.MutualTLS{CA: s.clientCAs}
}

// termination is the option of the bind, nil if TLS passes through.
func (s *serverOptions) termination() *wire.TLSTermination {
	if !s.terminateTLS {
		return nil
	}
	return &wire.TLSTermination{Cert: s.cert, Key: s.key}
}
