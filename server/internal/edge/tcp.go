package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/sniff"
)

// dialTimeout bounds the opening of a stream to an agent, which has its own,
// shorter limits.
const dialTimeout = 10 * time.Second

// serveTCP joins a connection to the TCP endpoint of its port. Nothing is read
// from the client before, unless a policy ends TLS here: its server may be the
// one to speak first.
func (s *Server) serveTCP(ctx context.Context, ec *edgeConn) {
	pool := s.poolFor(ctx, ec)
	if pool == nil {
		s.log.Debug("no endpoint on the port", "client", ec.remote.String(), "port", ec.port)
		_ = ec.Close()
		return
	}
	ep := pool.Pick()
	to, conn, err := s.passConnect(ctx, ec, ep)
	if err != nil {
		ec.reset()
		return
	}
	defer untilGone(ep, ec)()
	if conn == nil || conn.Terminate == nil {
		s.join(ctx, ec, nil, to)
		return
	}
	tc, err := s.handshakeTCP(ctx, ec, ep, conn)
	if err != nil {
		s.refuseTLS(ec, err)
		return
	}
	s.join(ctx, ec, tc, to)
}

// untilGone resets the connection when its endpoint is gone. What it returns is
// to be called at the end.
func untilGone(ep *route.Endpoint, ec *edgeConn) func() bool {
	if ep.Gone == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ep.Gone, ec.reset)
}

// handshakeTCP ends TLS for a TCP endpoint. Its clients need not name a host:
// they have come by the port.
func (s *Server) handshakeTCP(ctx context.Context, ec *edgeConn, ep *route.Endpoint, conn *policy.Conn) (*tls.Conn, error) {
	hello, err := ec.ClientHello(time.Now().Add(s.live.Load().SniffTimeout))
	switch {
	case errors.Is(err, sniff.ErrNotTLS):
		return nil, err // it need not be HTTP
	case err != nil:
		return nil, s.badHello(ec, err)
	}
	ec.sni = hello.ServerName
	return s.handshake(ctx, ec, ep, conn)
}

// poolFor finds the pool for a connection of tcp or with TLS, waiting for a
// moment if its agent is expected back (decision 35).
func (s *Server) poolFor(ctx context.Context, ec *edgeConn) *route.Pool {
	var p *route.Pool
	found := func() bool {
		p = s.pool(ec)
		return p != nil
	}
	if !found() && s.returning.expected(ec.scheme, ec.sni, ec.port) {
		ec.awaited = errors.Is(s.returning.await(ctx, found), errNobodyCame)
	}
	return p
}

// pool looks into the table as it is now.
func (s *Server) pool(ec *edgeConn) *route.Pool {
	t := s.cfg.Router.Table()
	if ec.scheme == endpoint.TCP {
		return t.Lookup(endpoint.Public, endpoint.TCP, "", ec.port)
	}
	return t.LookupName(ec.sni, ec.port)
}

// otherThan returns another member with the same TLS settings than lost, to
// which no stream could be opened: its session has ended, and the table will
// say so in a moment. It returns nil if there is none.
func (s *Server) otherThan(ctx context.Context, ec *edgeConn, lost *route.Endpoint) *route.Endpoint {
	var other *route.Endpoint
	err := s.returning.await(ctx, func() bool {
		p := s.pool(ec)
		if p == nil {
			other = nil
			return !s.returning.expected(ec.scheme, ec.sni, ec.port)
		}
		if p.Scheme() != lost.Key.URL.Scheme {
			return true
		}
		other = p.PickTLS(lost.TLSID())
		return other != lost
	})
	if err != nil {
		return nil
	}
	return other
}

// join opens a stream to ep and copies both ways until both directions have
// ended. If tc is not nil TLS ends there, else the bytes pass as they are. The
// connection is closed in the end.
func (s *Server) join(ctx context.Context, ec *edgeConn, tc *tls.Conn, ep *route.Endpoint) {
	start := time.Now()
	defer ec.Close()
	up, err := s.dial(ctx, ec, ep, ec.scheme == endpoint.TLS && tc == nil)
	for range others {
		if !fault.Has(err, fault.AgentUnreachable) {
			break
		}
		// Its session ended just now, and nothing was sent.
		other := s.otherThan(ctx, ec, ep)
		if other == nil || other.Policy != ep.Policy || ep.Key.Binding != endpoint.Public {
			break // another policy has not judged the connection
		}
		ep = other
		up, err = s.dial(ctx, ec, ep, ec.scheme == endpoint.TLS && tc == nil)
	}
	if err != nil {
		s.log.Debug("no stream to the agent", "endpoint", ep.ID, "url", ep.Key.URL.String(), "err", err)
		s.logConn(ctx, ec, ep, start, mux.SpliceResult{Err: err})
		return
	}
	var client net.Conn = tc
	var ahead []byte
	if tc == nil {
		client, ahead = ec.Detach()
	}
	idle := max(s.cfg.Limits.IdleTimeout, 0)
	var res mux.SpliceResult
	if st, ok := up.(*mux.Stream); ok {
		o := mux.SpliceOptions{Idle: idle, Initial: ahead}
		if tc == nil { // else the connection counts below TLS
			o.Passed = ec.metered.Load().Out()
		}
		res = mux.Splice(st, client, o)
	} else {
		res.ToConn = joinPlain(up, client, ahead, idle)
		_ = up.Close()
	}
	s.logConn(ctx, ec, ep, start, res)
}

// dial opens a stream to ep for the connection, with a PROXY header as its
// first bytes if the upstream wants one.
func (s *Server) dial(ctx context.Context, ec *edgeConn, ep *route.Endpoint, passthrough bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	up, err := ep.Upstream.Dial(ctx, wire.ProxyHeader{
		ClientAddr:     ec.remote.String(),
		Proto:          string(ec.scheme),
		PassthroughTLS: passthrough,
	})
	if err != nil {
		return nil, err
	}
	countTo(up, ec.metered.Load())
	if ep.ProxyProto == 0 {
		return up, nil
	}
	if _, err := up.Write(proxyproto.Append(nil, ep.ProxyProto, ec.remote, ec.local)); err != nil {
		_ = up.Close()
		return nil, err
	}
	return up, nil
}
