package culvert

import "context"

// DefaultAgent is what [Listen] and [Forward] use. It takes its settings from
// the environment when it connects: CULVERT_AUTHTOKEN (or NGROK_AUTHTOKEN),
// CULVERT_CONNECT_URL, CULVERT_CONNECT_CAS (a PEM file, or "host" for the
// operating system's authorities) and CULVERT_CA_FINGERPRINT.
var DefaultAgent, _ = NewAgent(func(o *agentOptions) { o.fromEnvironment = true })

// Listen opens an endpoint with [DefaultAgent] and returns its listener.
func Listen(ctx context.Context, opts ...EndpointOption) (EndpointListener, error) {
	return DefaultAgent.Listen(ctx, opts...)
}

// Forward opens an endpoint with [DefaultAgent] and forwards its connections
// to upstream.
func Forward(ctx context.Context, upstream *Upstream, opts ...EndpointOption) (EndpointForwarder, error) {
	return DefaultAgent.Forward(ctx, upstream, opts...)
}
