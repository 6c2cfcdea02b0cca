package edge

import (
	"errors"
	"net"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/route"
)

// count notes a request with its endpoint, unless the limits of the endpoint's
// account refuse it or the connection that it is the first on.
func (x *exchange) count() error {
	m := x.ep.Meter()
	if m == nil {
		return nil
	}
	last := x.cc.metered.Load()
	if last != m && x.cc.metered.CompareAndSwap(last, m) {
		if last == nil {
			m.Sent(x.cc.watch.out.Load()) // the handshake
		}
		if !m.Same(last) {
			if err := m.Visitor(); err != nil {
				x.cc.metered.CompareAndSwap(m, last) // the next one asks again
				x.closing, x.last = true, true
				return x.limited(err)
			}
		}
	}
	if err := m.Request(); err != nil {
		return x.limited(err)
	}
	return nil
}

// limited is the fault of a limit that is reached.
func (x *exchange) limited(err error) error {
	r, ok := errors.AsType[*meter.Refusal](err)
	if !ok {
		return err
	}
	x.wait = r.Wait
	return r.Fault
}

// payer is the counter of the endpoint that the client asked for: internal
// ones behind it count nothing of their own (api.md 5).
func (x *exchange) payer() *meter.Counter {
	for x.inner != nil {
		x = x.inner.of
	}
	return x.ep.Meter()
}

// count notes a connection with its endpoint of tcp or tls, unless the limits of
// the endpoint's account refuse it. Those of http and https count by requests.
func (ec *edgeConn) count(ep *route.Endpoint) error {
	m := ep.Meter()
	if m == nil || ep.Key.URL.Scheme.IsHTTP() {
		return nil
	}
	if err := m.Connection(); err != nil {
		return err
	}
	ec.metered.Store(m)
	return nil
}

// countTo has what is written to a stream counted.
func countTo(up net.Conn, m *meter.Counter) {
	if st, ok := netx.Innermost(up).(*mux.Stream); ok && m != nil {
		st.CountWrites(m.Out())
	}
}
