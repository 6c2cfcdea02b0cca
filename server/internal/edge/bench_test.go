package edge

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// canned is a member's stream without concurrency: each write makes the next
// answer readable.
type canned struct {
	net.Conn
	answer, left []byte
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}
func (c *canned) Write(p []byte) (int, error)      { c.left = c.answer; return len(p), nil }
func (c *canned) Readable() bool                   { return len(c.left) > 0 }
func (c *canned) Close() error                     { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

var cannedAnswer = append([]byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 05 Mar 2024 10:00:00 GMT\r\n"+
	"Content-Type: text/html\r\nContent-Length: 1024\r\nLast-Modified: Tue, 05 Mar 2024 09:00:00 GMT\r\n"+
	"Connection: keep-alive\r\nETag: \"65e6e0d0-400\"\r\nAccept-Ranges: bytes\r\n\r\n"), bytes.Repeat([]byte("x"), 1024)...)

// sink is a ResponseWriter that keeps nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// BenchmarkServeHTTP is one request through the handler alone, by the policy of
// its endpoint: neither the server in front nor a tunnel.
func BenchmarkServeHTTP(b *testing.B) {
	u, err := endpoint.ParseURL("http://app.example.com", endpoint.HTTP)
	if err != nil {
		b.Fatal(err)
	}
	add := "    actions: [{type: add-headers, config: {headers: {x-client: \"${conn.client_ip}\"}}}]\n"
	for _, tt := range []struct{ name, policy string }{
		{"no policy", ""},
		{"ten rules that miss", "on_http_request:\n  - expressions: [\"" + strings.Join(missing, "\"]\n"+add+"  - expressions: [\"") + "\"]\n" + add},
		{"a header on the request", "on_http_request:\n  - expressions: [\"req.method == 'GET'\"]\n" + add},
		{"a header on the response", "on_http_response:\n  - expressions: [\"res.status_code == 200\"]\n" + add},
	} {
		b.Run(tt.name, func(b *testing.B) {
			ep := &route.Endpoint{
				ID: "ep_1", Pooled: true, FaultRecord: true, Key: endpoint.Key{Binding: endpoint.Public, URL: u.WithDefaults()},
				Upstream: dialer(func(context.Context, wire.ProxyHeader) (net.Conn, error) {
					return &canned{answer: cannedAnswer}, nil
				}),
			}
			if tt.policy != "" {
				ruled(b, tt.policy)(ep)
			}
			serveMany(b, ep)
		})
	}
}

// missing are the expressions of the ten rules that make bench-path has.
var missing = []string{
	`req.method == 'POST'`, `req.url.path.startsWith('/api/v1/')`, `'x-api-key' in req.headers && req.headers['x-api-key'][0] == 'secret'`,
	`req.host == 'admin.example.com'`, `inCidrRanges(conn.client_ip, ['10.0.0.0/8', '192.168.0.0/16'])`,
	`req.url.path.matches('^/users/[0-9]+/orders$')`, `req.method in ['PUT', 'DELETE'] && req.url.path.startsWith('/files/')`,
	`req.headers['user-agent'].exists(a, a.contains('bot'))`, `req.url.query_params['debug'][0] == '1'`,
	`req.url.path.endsWith('.php') || req.url.path.startsWith('/wp-')`,
}

// serveMany sends requests to an endpoint through a handler.
func serveMany(b *testing.B, ep *route.Endpoint) {
	b.Helper()
	router := route.NewRouter()
	router.Update(func(t *route.Table) *route.Table { return t.With(ep) })
	h := newHandler(handlerConfig{router: router, returning: &returning{router: router}, limits: Limits{}.withDefaults()})
	cc := &clientConn{
		remote: netip.MustParseAddrPort("203.0.113.7:1234"), local: netip.MustParseAddrPort("127.0.0.1:80"),
		scheme: endpoint.HTTP, port: 80,
	}
	defer cc.upstreams.Close()
	ctx, cancel := context.WithCancel(context.WithValue(b.Context(), connKey{}, cc))
	defer cancel()
	base := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://app.example.com/index.html?x=y", nil)
	base.RequestURI = "/index.html?x=y"
	at := base.URL
	w := &sink{h: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		r, u := *base, *at
		r.URL = &u
		r.Header = http.Header{"User-Agent": {"Mozilla/5.0"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}}
		clear(w.h)
		h.ServeHTTP(w, &r)
	}
}

// BenchmarkExchange is one request from a client through the whole edge to a
// service in memory, one at a time and many at once on one connection.
func BenchmarkExchange(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1024)
	w := newWorld(b)
	w.online("https://app.example.com", w.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	for name, client := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
		get := func() error {
			resp, err := client.Get("https://app.example.com/")
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return err
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := get(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+" at once", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := get(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
