package edge

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/h1"
)

// newFront returns the loop for ordinary HTTP/1.1. Everything else goes on to
// net/http's server (decision 16).
func (s *Server) newFront() *h1.Server {
	l := s.cfg.Limits
	return &h1.Server{
		Handler: s.handler, Refuse: s.handler.refuse, HeadTimeout: l.HeadTimeout, KeepAlive: l.KeepAlive,
		MaxHead: l.HeadBytes, MaxFields: l.Fields, MaxTrailer: l.TrailerBytes, MaxTrailerFields: l.TrailerFields, Logger: s.log,
	}
}

// refuse answers a request that two readers may take for two different ones.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, why string) {
	x := &exchange{h: h, w: w, r: r, cc: connFrom(r.Context()), ctx: r.Context(), host: r.Host}
	if h.accessLog != nil {
		x.start = time.Now()
		defer x.log() //nolint:contextcheck // the request in x has it
	}
	x.cc.linger(true)
	x.fail(fault.New(fault.BadRequest, why))
}

// serveHTTP serves the requests of a connection, which is that of ec, with TLS
// where there is any. It returns when the connection has ended or net/http's
// server has it.
func (s *Server) serveHTTP(ctx context.Context, ec *edgeConn, c net.Conn) {
	if ec.http2 {
		s.give(c)
		return
	}
	s.serving.add()
	defer s.serving.done()
	rest := s.front.Serve(withConn(ctx, c), c, ec)
	if rest == nil {
		_ = c.Close()
		return
	}
	ec.waiting.Store(false)
	ec.idleSince.Store(0)
	ec.handedOver = true
	s.give(netx.Prefixed(c, rest))
}

// Waiting implements h1.Phases.
func (ec *edgeConn) Waiting(now time.Time) bool {
	ec.awaitHead(true)
	if ec.began {
		ec.idleSince.Store(now.UnixNano())
	}
	ec.waiting.Store(true)
	return !ec.server.draining.Load()
}

// Serving implements h1.Phases.
func (ec *edgeConn) Serving() {
	ec.began = true
	ec.waiting.Store(false)
	ec.idleSince.Store(0)
	ec.awaitHead(false)
}

// Last implements h1.Phases.
func (ec *edgeConn) Last() bool { return ec.server.handler.ending.Load() }

// endWaiting closes the connections that wait for a request, and lets none
// begin to.
func (s *Server) endWaiting() {
	s.draining.Store(true)
	s.each(func(ec *edgeConn) bool { return ec.waiting.Load() }, (*edgeConn).hangUp)
}

// hangUp closes the connection from outside, in the words of TLS if it has it.
func (ec *edgeConn) hangUp() {
	if ec.tls != nil {
		_ = ec.tls.Close()
		return
	}
	_ = ec.Close()
}
