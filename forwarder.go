package culvert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/internal/wire"
)

// EndpointForwarder is an endpoint that forwards its connections.
type EndpointForwarder interface {
	Endpoint
	// UpstreamProtocol returns what the service speaks. It differs from the
	// scheme of UpstreamURL for HTTP/2.
	UpstreamProtocol() string
	// UpstreamURL returns where connections go.
	UpstreamURL() url.URL
	// UpstreamTLSClientConfig returns how TLS is spoken with the service.
	UpstreamTLSClientConfig() *tls.Config
	// ProxyProtocol returns the version of the PROXY header, or "".
	ProxyProtocol() ProxyProtoVersion
}

// UpdateableEndpointForwarder is implemented by every [EndpointForwarder] of
// this package; use a type assertion to reach it.
type UpdateableEndpointForwarder interface {
	EndpointForwarder
	// UpdateUpstream changes where new connections go. An address that cannot
	// be used is logged and ignored.
	UpdateUpstream(u url.URL)
	// Update changes the endpoint on the server; nil leaves a value as it is.
	Update(ctx context.Context, name, description, metadata *string, poolingEnabled *bool, trafficPolicy *string) error
}

const (
	// upstreamWait bounds dialling the upstream (endpoints.md 7.6).
	upstreamWait = 3 * time.Second
	// handshakeWait bounds TLS handshakes and the PROXY header.
	handshakeWait = 10 * time.Second
	// lingerWait is how long a fault record may take to be read.
	lingerWait = 5 * time.Second
)

// forwarder implements UpdateableEndpointForwarder.
type forwarder struct {
	*endpoint
	upstream *Upstream
	target   atomic.Pointer[target]
	http     *httpForwarder // nil while bytes are copied
}

func newForwarder(e *endpoint, u *Upstream) (*forwarder, error) {
	if err := u.check(e.opts.proto); err != nil {
		return nil, err
	}
	t, err := parseUpstream(u.addr, e.opts.proto)
	if err != nil {
		return nil, err
	}
	f := &forwarder{endpoint: e, upstream: u}
	f.target.Store(&t)
	if u.hostHeader != "" {
		f.http = newHTTPForwarder(f)
		e.cleanup = f.http.transport.CloseIdleConnections
	}
	e.opts.forwardsTo = t.url.String()
	e.public = f
	e.take = f.forward
	return f, nil
}

func (f *forwarder) UpstreamURL() url.URL                 { return f.target.Load().url }
func (f *forwarder) UpstreamTLSClientConfig() *tls.Config { return f.upstream.tlsConfig }
func (f *forwarder) ProxyProtocol() ProxyProtoVersion     { return f.upstream.proxyProto }

func (f *forwarder) UpstreamProtocol() string {
	if f.upstream.protocol != "" {
		return f.upstream.protocol
	}
	return f.target.Load().url.Scheme
}

// UpdateUpstream implements UpdateableEndpointForwarder.
func (f *forwarder) UpdateUpstream(u url.URL) {
	t, err := parseUpstream(upstreamText(u), f.opts.proto)
	if err != nil {
		f.session.log.Error("the new upstream cannot be used", "url", f.URL().String(), "err", err)
		return
	}
	f.target.Store(&t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opts.forwardsTo = t.url.String()
}

// Update implements UpdateableEndpointForwarder.
func (f *forwarder) Update(ctx context.Context, name, description, metadata *string, poolingEnabled *bool, trafficPolicy *string) error {
	k, err := f.session.waitLink(ctx)
	if err != nil {
		return err
	}
	var resp wire.ErrorResp
	err = k.peer.Call(ctx, wire.TypePatchTunnelState, wire.PatchTunnelState{
		TunnelId: f.TunnelID(), Name: name, Description: description, Metadata: metadata,
		TrafficPolicy: trafficPolicy, PoolingEnabled: poolingEnabled,
	}, &resp)
	if err != nil {
		return err
	}
	if refusal := fault.ParseWire(resp.Error); refusal != nil {
		return coded(refusal)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	set(&f.opts.name, name)
	set(&f.opts.description, description)
	set(&f.opts.metadata, metadata)
	if trafficPolicy != nil {
		f.opts.policy = *trafficPolicy
		f.wireOpts = withPolicy(f.wireOpts, *trafficPolicy)
	}
	set(&f.opts.pooling, poolingEnabled)
	f.updated = time.Now()
	return nil
}

// withPolicy changes the policy in the options that the next bind sends.
func withPolicy(opts json.RawMessage, policy string) json.RawMessage {
	m := map[string]json.RawMessage{}
	if json.Unmarshal(opts, &m) != nil {
		return opts
	}
	text, err := json.Marshal(policy)
	if err != nil {
		return opts
	}
	m["TrafficPolicy"] = text
	changed, err := json.Marshal(m)
	if err != nil {
		return opts
	}
	return changed
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// forward serves one connection from its first to its last byte.
func (f *forwarder) forward(c *Conn) {
	defer c.end()
	if f.http != nil {
		f.http.serve(c)
		return
	}
	ctx := c.link.life
	t := *f.target.Load()

	// What comes first ends up first at the upstream: the PROXY header, ahead
	// of any TLS. It is taken apart only where TLS starts or ends here.
	secure := t.tls && !c.header.PassthroughTLS
	var front net.Conn
	var head []byte
	var err error
	if f.opts.agentTLS != nil {
		secure = t.tls
		head, front, err = f.terminate(ctx, c)
	} else if secure || f.observesHTTP(t) {
		head, err = f.proxyHead(c)
	}
	if err != nil {
		f.session.log.Debug("connection refused", "endpoint", f.TunnelID(), "client", c.header.ClientAddr, "err", err)
		c.stream.Abort()
		return
	}
	back, err := f.connect(ctx, t, head, secure)
	if err != nil {
		f.session.log.Warn("upstream unreachable", "upstream", t.url.String(), "url", f.URL().String(), "err", err)
		f.fail(c, t, err)
		return
	}
	if front != nil {
		relay(front, back)
		return
	}
	var tap mux.Tap
	if f.observesHTTP(t) {
		o := newObserver(f.told())
		c.observer.Store(o)
		tap = o
	}
	f.splice(c, back, tap)
}

// observesHTTP reports whether requests are looked at on their way: to tell of
// them, and to know which connections carry none when the endpoint drains.
func (f *forwarder) observesHTTP(t target) bool {
	isHTTP := f.opts.proto == "http" || f.opts.proto == "https"
	return isHTTP && f.session.observed() &&
		f.upstream.protocol != "http2" && (t.url.Scheme != "tcp" && t.url.Scheme != "tls")
}

// told returns what an observer tells of requests, nil if nobody wants to know.
func (f *forwarder) told() func(method, path string, status int, d time.Duration) {
	if !f.session.opts.httpEvents {
		return nil
	}
	return f.requestDone
}

func (f *forwarder) requestDone(method, path string, status int, d time.Duration) {
	f.session.emit(&EventHTTPRequestComplete{
		baseEvent: event(EventTypeHTTPRequestComplete), Endpoint: f,
		Method: method, Path: path, StatusCode: status, Duration: d,
	})
}

// proxyHead takes the PROXY header off the connection, if there is one.
func (f *forwarder) proxyHead(c *Conn) ([]byte, error) {
	if f.upstream.proxyProto == "" {
		return nil, nil
	}
	_ = c.SetReadDeadline(time.Now().Add(handshakeWait))
	_, raw, err := proxyproto.Read(c)
	_ = c.SetReadDeadline(time.Time{})
	if err != nil {
		return nil, fmt.Errorf("read PROXY header: %w", err)
	}
	return raw, nil
}

// terminate ends the client's TLS. The handshake is complete, and a client
// certificate verified, before anything is dialled.
func (f *forwarder) terminate(ctx context.Context, c *Conn) (head []byte, front net.Conn, err error) {
	if head, err = f.proxyHead(c); err != nil {
		return nil, nil, err
	}
	server := tls.Server(c, f.opts.agentTLS)
	ctx, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	if err := server.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("TLS with the client: %w", err)
	}
	return head, server, nil
}

// connect dials the upstream, writes the PROXY header, and starts TLS.
func (f *forwarder) connect(ctx context.Context, t target, head []byte, secure bool) (net.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	start := time.Now()
	conn, err := f.upstream.dial(dialCtx, t)
	if f.session.observed() {
		f.session.emit(&EventUpstreamDialComplete{
			baseEvent: event(EventTypeUpstreamDialComplete), Endpoint: f, Duration: time.Since(start), Err: err,
		})
	}
	if err != nil {
		return nil, err
	}
	if len(head) > 0 {
		if _, err := conn.Write(head); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	if !secure {
		return conn, nil
	}
	tlsCtx, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	start = time.Now()
	client := tls.Client(conn, f.upstream.clientTLS(t, f.opts.proto))
	err = client.HandshakeContext(tlsCtx)
	if f.session.observed() {
		f.session.emit(&EventUpstreamTLSHandshakeComplete{
			baseEvent: event(EventTypeUpstreamTLSHandshakeComplete), Endpoint: f, Duration: time.Since(start), Err: err,
		})
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS with the upstream: %w", err)
	}
	return client, nil
}

// splice copies raw bytes, the fast way.
func (f *forwarder) splice(c *Conn, back net.Conn, tap mux.Tap) {
	result := mux.Splice(c.stream, back, mux.SpliceOptions{Tap: tap})
	c.in.Add(result.ToConn)
	c.out.Add(result.ToStream)
}

// unreachable explains why the upstream did not take a connection.
func unreachable(t target, cause error) *fault.Error {
	why := fault.New(fault.UpstreamUnreachable, t.url.String(), upstreamError(cause))
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(cause, &verify):
		why.Remedy = "Give the agent the authority of the service's certificate (--upstream-tls-verify-cas FILE, or tls_verify_cas in the " +
			"configuration), or give the service a certificate for the name in its address."
	case errors.As(cause, &record):
		why.Remedy = "The service does not speak TLS on that address: give the agent its http:// or tcp:// address."
	}
	return why
}

// fail tells the client of an http or https endpoint that the upstream cannot
// be reached; other connections are just closed.
func (f *forwarder) fail(c *Conn, t target, cause error) {
	if f.opts.proto != "http" && f.opts.proto != "https" {
		_ = c.stream.Close() // never fails
		return
	}
	_ = c.SetDeadline(time.Now().Add(lingerWait))
	why := unreachable(t, cause)
	switch {
	case c.link.agreed().FaultRecord:
		_, _ = c.Write(wire.AppendFault(nil, why)) // the client is gone if it fails
	case f.upstream.protocol != "http2":
		text := why.Message + "\r\n"
		_, _ = fmt.Fprintf(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}
	// Closing would answer the rest of the request with a reset, which could
	// overtake what was written.
	_ = c.CloseWrite()
	rest := io.Discard
	var o *observer
	if f.http == nil && f.observesHTTP(t) {
		o = newObserver(f.told())
		rest = requestWriter{o}
	}
	_, _ = io.Copy(rest, c)
	if o != nil { // what was asked is known by now, and so is what the client got
		o.response([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"))
	}
	_ = c.stream.Close() // never fails
}
