package edge

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// statusClientGone is logged for an exchange whose client left before the
// answer. It is never sent.
const statusClientGone = 499

// logsKey is the attribute with what log actions have recorded.
const logsKey = "policy_logs"

// logEntries are JSON in every format of the log.
type logEntries []map[string]any

// MarshalJSON implements json.Marshaler.
func (l logEntries) MarshalJSON() ([]byte, error) { return json.Marshal([]map[string]any(l)) }

// String returns the entries as JSON.
func (l logEntries) String() string {
	text, err := l.MarshalJSON()
	if err != nil { // its parts were JSON already
		return err.Error()
	}
	return string(text)
}

// log writes the access log's line for an exchange. The query is left out: it
// may carry secrets. What expressions have got of secrets is replaced.
func (x *exchange) log() {
	path, _, _ := strings.Cut(x.target, "?")
	hide := x.redactor()
	attrs := make([]slog.Attr, 0, 15)
	attrs = append(attrs,
		slog.String("client", x.cc.remote.String()),
		slog.String("method", x.r.Method),
		slog.String("scheme", string(x.cc.scheme)),
		slog.String("host", hide.Text(x.host)),
		slog.String("path", hide.Path(path)),
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
		attrs = append(attrs, slog.String("code", string(x.fault.Code)), slog.String("err", hide.Text(x.fault.Error())))
	}
	if x.run != nil && len(x.run.px.Logs) > 0 {
		attrs = append(attrs, slog.Any(logsKey, logEntries(hide.Logs(x.run.px.Logs))))
	}
	x.h.accessLog.LogAttrs(x.r.Context(), slog.LevelInfo, "request", attrs...)
}

// logConn writes the access log's line for a connection of tcp or tls.
func (s *Server) logConn(ctx context.Context, ec *edgeConn, ep *route.Endpoint, start time.Time, res mux.SpliceResult) {
	if s.cfg.AccessLog == nil {
		return
	}
	attrs := ec.attrs(ep, start)
	attrs = append(attrs, slog.Int64("bytes", res.ToConn), slog.Int64("received", res.ToStream))
	s.cfg.AccessLog.LogAttrs(ctx, slog.LevelInfo, "connection", withOutcome(attrs, res.Err, ec.logs)...)
}

// logConnect writes what log actions recorded in the connect phase of a
// connection that gets no line of its own: requests follow, or it was refused.
func (c *clientConn) logConnect(ctx context.Context, log *slog.Logger, ep *route.Endpoint, conn *policy.Conn, err error) {
	if log != nil && len(conn.Logs) > 0 {
		log.LogAttrs(ctx, slog.LevelInfo, "connection", withOutcome(c.attrs(ep, c.start), err, conn.Redactor().Logs(conn.Logs))...)
	}
}

// attrs are what the lines of connections have in common.
func (c *clientConn) attrs(ep *route.Endpoint, start time.Time) []slog.Attr {
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("client", c.remote.String()),
		slog.String("scheme", string(c.scheme)),
		slog.Int("port", int(c.port)),
		slog.Duration("duration", time.Since(start)),
		slog.String("endpoint", ep.ID),
	)
	if c.sni != "" {
		attrs = append(attrs, slog.String("host", c.sni))
	}
	return attrs
}

func withOutcome(attrs []slog.Attr, err error, logs logEntries) []slog.Attr {
	if err != nil {
		attrs = append(attrs, slog.String("err", err.Error()))
	}
	if len(logs) > 0 {
		attrs = append(attrs, slog.Any(logsKey, logs))
	}
	return attrs
}
