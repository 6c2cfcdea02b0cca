package route

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Upstream is where the traffic of an endpoint goes.
type Upstream interface {
	// Dial opens a connection for one public connection that h describes.
	// The implementation fills in h.Id. The context bounds the dial alone.
	Dial(ctx context.Context, h wire.ProxyHeader) (net.Conn, error)
}

// Endpoint is an endpoint that is online. It is immutable once it is in a
// Table, and the pointer is its identity: two bindings of the same address are
// two endpoints, even when they share an ID.
type Endpoint struct {
	// ID is the resource id, such as ep_….
	ID string
	// Account owns the endpoint.
	Account string
	// Session is the agent session that serves it.
	Session string
	// Key holds account, binding and the canonical URL with its port (the
	// standard port for http, https and tls, not an advertised one).
	Key endpoint.Key
	// Upstream takes the traffic.
	Upstream Upstream
	// HTTP2 says that the upstream speaks HTTP/2 (ForwardsProto http2).
	HTTP2 bool
	// ProxyProto is the version of the PROXY header that the upstream wants,
	// 1 or 2; 0 is none.
	ProxyProto int
	// TLS is what the edge does with TLS beyond the default; nil is nothing.
	TLS *TLSSettings
	// FaultRecord says that the agent reports upstream faults as records
	// ahead of any HTTP response.
	FaultRecord bool
	// Pooled says that other endpoints may share the URL.
	Pooled bool
	// BoundAt is when the agent bound it.
	BoundAt time.Time
	// ForwardsTo is the agent's own text for its upstream.
	ForwardsTo string
	// Policy is the Traffic Policy of the endpoint, nil for none.
	Policy *policy.Program
	// Gone, if not nil, ends when what goes through the endpoint has to be
	// over, some time after it was deleted. All its forms share it.
	Gone context.Context //nolint:containedctx // an event
	// Meters count what the endpoint does; nil for nobody.
	Meters *meter.Meters

	meter atomic.Pointer[meter.Counter]
}

// Meter returns the endpoint's counter, which there is from the first call on:
// endpoints that nobody uses cost nothing. It is nil without Meters.
func (e *Endpoint) Meter() *meter.Counter {
	if c := e.meter.Load(); c != nil || e.Meters == nil {
		return c
	}
	e.meter.CompareAndSwap(nil, e.Meters.Counter(meter.Endpoint{ID: e.ID, Account: e.Account, URL: e.Key.URL.String()}))
	return e.meter.Load()
}

// TLSID returns the identity of the TLS settings, "" for none.
func (e *Endpoint) TLSID() string {
	if e.TLS == nil {
		return ""
	}
	return e.TLS.ID
}

// TLSSettings is what an endpoint asks of the edge's TLS. It must not be
// copied, nor shared by endpoints of different schemes.
type TLSSettings struct {
	// Terminate ends TLS at the edge on a tls endpoint. It is implied on
	// https.
	Terminate bool
	// Certificate is the endpoint's own; nil stands for that of the domain.
	Certificate *tls.Certificate
	// ClientCAs, when not nil, makes the edge demand a client certificate
	// signed by one of them. An empty pool refuses every client.
	ClientCAs *x509.CertPool
	// ID is a hash of all of these. Endpoints with equal IDs may serve each
	// other's connections (decision 36), those with different ones never.
	ID string

	config atomic.Pointer[tls.Config]
}

// Config returns the TLS configuration of these settings, made by build at
// the first call and shared from then on, so that a handshake builds nothing.
func (t *TLSSettings) Config(build func(*TLSSettings) *tls.Config) *tls.Config {
	if c := t.config.Load(); c != nil {
		return c
	}
	t.config.CompareAndSwap(nil, build(t))
	return t.config.Load()
}
