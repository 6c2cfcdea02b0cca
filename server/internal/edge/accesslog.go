package edge

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/server/internal/route"
)

// statusClientGone is logged for an exchange whose client left before the
// answer. It is never sent.
const statusClientGone = 499

// log writes the access log's line for an exchange. The query is left out: it
// may carry secrets.
func (x *exchange) log() {
	path, _, _ := strings.Cut(x.target, "?")
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("client", x.cc.remote.String()),
		slog.String("method", x.r.Method),
		slog.String("scheme", string(x.cc.scheme)),
		slog.String("host", x.host),
		slog.String("path", path),
		slog.String("proto", x.r.Proto),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.sent),
		slog.Duration("duration", time.Since(x.start)),
		slog.String("request", x.requestID()),
	)
	if x.body != nil {
		attrs = append(attrs, slog.Int64("received", x.body.received()))
	}
	if x.ep != nil {
		attrs = append(attrs, slog.String("endpoint", x.ep.ID))
	}
	if x.fault != nil {
		attrs = append(attrs, slog.String("code", string(x.fault.Code)), slog.String("err", x.fault.Error()))
	}
	x.h.accessLog.LogAttrs(x.r.Context(), slog.LevelInfo, "request", attrs...)
}

// logConn writes the access log's line for a connection of tcp or tls.
func (s *Server) logConn(ctx context.Context, ec *edgeConn, ep *route.Endpoint, start time.Time, res mux.SpliceResult) {
	if s.cfg.AccessLog == nil {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("client", ec.remote.String()),
		slog.String("scheme", string(ec.scheme)),
		slog.Int("port", int(ec.port)),
		slog.Int64("bytes", res.ToConn),
		slog.Int64("received", res.ToStream),
		slog.Duration("duration", time.Since(start)),
		slog.String("endpoint", ep.ID),
	)
	if ec.sni != "" {
		attrs = append(attrs, slog.String("host", ec.sni))
	}
	if res.Err != nil {
		attrs = append(attrs, slog.String("err", res.Err.Error()))
	}
	s.cfg.AccessLog.LogAttrs(ctx, slog.LevelInfo, "connection", attrs...)
}
