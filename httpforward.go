package culvert

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// httpForwarder forwards requests instead of bytes, where a header has to be
// changed on the way.
type httpForwarder struct {
	f         *forwarder
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

func newHTTPForwarder(f *forwarder) *httpForwarder {
	h := &httpForwarder{f: f}
	h.transport = &http.Transport{
		DialContext:           h.dial,
		DialTLSContext:        h.dialTLS,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       30 * time.Second,
		DisableCompression:    true,
		ResponseHeaderTimeout: 0,
	}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:       h.rewrite,
		Transport:     h.transport,
		FlushInterval: -1,
		ErrorHandler:  h.failed,

		ModifyResponse: h.response,
		ErrorLog:       slog.NewLogLogger(f.session.log.Handler(), slog.LevelDebug),
	}
	return h
}

func (h *httpForwarder) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return h.f.connect(ctx, *h.f.target.Load(), nil, false)
}

func (h *httpForwarder) dialTLS(ctx context.Context, _, _ string) (net.Conn, error) {
	return h.f.connect(ctx, *h.f.target.Load(), nil, true)
}

// rewrite sends the request to the upstream with the wanted Host. Headers that
// the server has set about the client stay.
func (h *httpForwarder) rewrite(r *httputil.ProxyRequest) {
	t := h.f.target.Load()
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = v
		}
	}
	r.Out.Header.Set("X-Forwarded-Host", r.In.Host)
	r.Out.URL.Scheme, r.Out.URL.Host = "http", t.addr
	if t.network == "unix" {
		r.Out.URL.Host = "localhost"
	}
	if t.tls {
		r.Out.URL.Scheme = "https"
	}
	r.Out.URL.RawQuery = r.In.URL.RawQuery // also what cannot be parsed
	r.Out.Host = h.f.upstream.hostHeader
	if r.Out.Host == "rewrite" {
		r.Out.Host = withoutDefaultPort(r.Out.URL.Scheme, r.Out.URL.Host)
	}
}

// withoutDefaultPort returns a host as clients write it into a Host header.
func withoutDefaultPort(scheme, host string) string {
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// failed answers a request that the upstream cannot answer.
func (h *httpForwarder) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	var op *net.OpError
	if c, ok := r.Context().Value(connKey{}).(*Conn); ok && errors.As(err, &op) && op.Op == "dial" {
		// Only a connection that has carried nothing yet may end in a record.
		if c.out.Load() == 0 {
			if hj, ok := w.(http.Hijacker); ok {
				if _, _, err := hj.Hijack(); err == nil {
					h.f.fail(c, *h.f.target.Load(), op)
					return
				}
			}
		}
	}
	http.Error(w, "The upstream cannot be reached: "+upstreamError(err)+".", http.StatusBadGateway)
}

// connKey finds the connection of a request, statusKey where to note its
// response's status.
type (
	connKey   struct{}
	statusKey struct{}
)

// request serves one request and tells the handlers.
func (h *httpForwarder) request(w http.ResponseWriter, r *http.Request) {
	if !h.f.session.observed() || !h.f.session.opts.httpEvents {
		h.proxy.ServeHTTP(w, r)
		return
	}
	start, method, path, status := time.Now(), r.Method, r.URL.EscapedPath(), http.StatusBadGateway
	// Broken transfers end the handler by a panic.
	defer func() { h.f.requestDone(method, path, status, time.Since(start)) }()
	h.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), statusKey{}, &status)))
}

// response sees every response of the upstream.
func (h *httpForwarder) response(resp *http.Response) error {
	if status, ok := resp.Request.Context().Value(statusKey{}).(*int); ok {
		*status = resp.StatusCode
	}
	restoreLocation(resp)
	return nil
}

// restoreLocation leads a redirect to the name the upstream was told back to
// the name the client asked for (endpoints.md 7.2).
func restoreLocation(resp *http.Response) {
	text := resp.Header.Get("Location")
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !strings.EqualFold(withoutDefaultPort(u.Scheme, u.Host), resp.Request.Host) {
		return
	}
	u.Host = resp.Request.Header.Get("X-Forwarded-Host")
	protos := strings.Split(strings.Join(resp.Request.Header["X-Forwarded-Proto"], ","), ",")
	if proto := strings.TrimSpace(protos[len(protos)-1]); proto != "" {
		u.Scheme = proto
	}
	resp.Header.Set("Location", u.String())
}

// serve speaks HTTP/1.1 on one connection until it ends.
func (h *httpForwarder) serve(c *Conn) {
	closed := make(chan struct{})
	var once sync.Once
	// A request that was upgraded outlives the server's interest in it.
	var requests sync.WaitGroup
	defer requests.Wait()
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			defer requests.Done()
			h.request(w, r)
		}),
		ReadHeaderTimeout: time.Minute,
		MaxHeaderBytes:    1<<20 + 64<<10, // what the server lets through, and what it adds
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext:       func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				once.Do(func() { close(closed) })
			}
		},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	requests.Go(func() {
		select {
		case <-h.f.closing: // ends the connection once it carries nothing
			server.SetKeepAlivesEnabled(false)
		case <-closed:
		}
	})
	_ = server.Serve(&oneConn{conn: c, closed: closed}) // ends with the connection
}

// oneConn is a listener with one connection; Accept returns an error once that
// one has ended.
type oneConn struct {
	conn   *Conn
	taken  bool
	closed <-chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
