package edge

import (
	"log/slog"
	"time"
)

// statusClientGone is logged for an exchange whose client left before the
// answer. It is never sent.
const statusClientGone = 499

// log writes the access log's line for an exchange. The query is left out: it
// may carry secrets.
func (x *exchange) log() {
	path := x.target
	for i := range len(path) {
		if path[i] == '?' {
			path = path[:i]
			break
		}
	}
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
