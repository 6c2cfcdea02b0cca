package edge

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/route"
)

// inside makes an endpoint an internal one.
func inside(e *route.Endpoint) { e.Key.Binding = endpoint.Internal }

func forwards(to string) string {
	return "on_http_request: [{actions: [{type: forward-internal, config: {url: '" + to + "'}}]}]\n"
}

func TestPolicy58_ForwardInternal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://svc.internal", w.serve(seen), inside, governed(t, `
on_tcp_connect: [{actions: [{type: act, config: {close: true}}]}]
on_http_request: [{actions: [{type: act, config: {set: {x-a: "${endpoint.host} ${conn.client_ip}"}}}]}]
on_http_response: [{actions: [{type: act, config: {set: {x-c: inner}}}]}]
`))
	w.online("http://broken.internal", w.serve(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }), inside)
	w.online("http://bare.internal", w.serve(seen), inside)
	outer := "on_http_response: [{actions: [{type: act, config: {set: {x-b: \"${res.headers['x-c'][0]}\"}}}]}]\n"
	w.online(app, refused(t), governed(t, forwards("http://svc.internal")+outer))
	w.online("https://broken.example.com", refused(t), governed(t, forwards("http://broken.internal")))
	w.online("https://bare.example.com", refused(t), governed(t, forwards("https://bare.internal")))
	w.online("https://gone.example.com", refused(t), governed(t, forwards("http://gone.internal")))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		for _, body := range []string{"", "hello", strings.Repeat("x", 200_000)} {
			r := do(t, c, "POST", "/p?q", strings.NewReader(body))
			wantBody(t, r, "POST /p?q host=app.example.com a=svc.internal 203.0.113.7 for=203.0.113.7 body="+body)
			if r.Header.Get("X-B") != "inner" || r.Header.Get("X-C") != "inner" {
				t.Errorf("got X-B %q, X-C %q", r.Header.Get("X-B"), r.Header.Get("X-C"))
			}
			wantBody(t, do(t, c, "POST", "https://bare.example.com/", strings.NewReader(body)), "POST / host=bare.example.com a= for=203.0.113.7 body="+body)
		}
		wantStatus(t, do(t, c, "GET", "https://broken.example.com", nil), 500, "")
		wantStatus(t, do(t, c, "GET", "https://gone.example.com", nil), 404, "ERR_NGROK_3200")
	}
}

func TestEndpoints35_FallbackLadder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://dead.internal", answer(t, ""), inside)
	w.online(app, w.serve(seen), governed(t, `
on_http_request:
  - actions:
      - {type: forward-internal, config: {url: "http://gone.internal", on_error: continue}}
      - {type: act, config: {set: {x-a: "${actions.ngrok.forward_internal.url} ${actions.ngrok.forward_internal.error.code}"}}}
      - {type: forward-internal, config: {url: "http://dead.internal", on_error: continue}}
  - expressions: ["req.url.path == '/page'"]
    actions: [{type: act, config: {status: 503, body: "${actions.ngrok.forward_internal.error.code}"}}]
`))
	c := w.h1()
	for _, body := range []string{"", "hello", strings.Repeat("x", 100_000)} {
		wantBody(t, do(t, c, "POST", "/", strings.NewReader(body)), "POST / host=app.example.com a=http://gone.internal:80 ERR_NGROK_3200 for=203.0.113.7 body="+body)
	}
	if r := do(t, c, "GET", "/page", nil); r.StatusCode != 503 || r.body != "ERR_NGROK_3004" {
		t.Errorf("got %d %q", r.StatusCode, r.body)
	}
}

func TestEndpoints37_ACircleOfForwardsEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://a.internal", refused(t), inside, governed(t, forwards("http://b.internal")))
	w.online("http://b.internal", refused(t), inside, governed(t, forwards("http://a.internal")))
	w.online(app, refused(t), governed(t, forwards("http://a.internal")))
	wantStatus(t, do(t, w.h1(), "GET", "/", nil), 508, "ERR_NGROK_3501")
	w.online("tcp://a.internal:5000", refused(t), inside, governed(t, "on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tcp://a.internal:5000'}}]}]"))
}

func TestEndpoints22_WebSocketThroughAForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://ws.internal", w.serve(func(rw http.ResponseWriter, r *http.Request) {
		c, brw, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, brw)
	}), inside, governed(t, "on_http_response: [{actions: [{type: act, config: {set: {x-c: inner}}}]}]"))
	w.online(app, refused(t), governed(t, forwards("http://ws.internal")))
	c := w.dial(true)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	wantRead(t, c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-C: inner\r\n\r\n")
	wantEcho(t, c, "hello")
}

func TestEndpoints36_ConnectPhaseOfAnInternalTLSEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := func(name string) string {
		return "on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tls://" + name + ".internal'}}]}]"
	}
	w.online("tls://ok.internal", tlsEcho(t, w.certs["example.com"]), inside, governed(t, "on_tcp_connect: [{actions: [{type: act}]}]"))
	w.online("tls://no.internal", refused(t), inside, governed(t, "on_tcp_connect: [{actions: [{type: act, config: {refuse: true}}]}]"))
	w.online("tls://ok.example.com", refused(t), governed(t, to("ok")))
	w.online("tls://no.example.com", refused(t), governed(t, to("no")))
	w.online("tls://gone.example.com", refused(t), governed(t, to("gone")))
	w.online("tls://circle.internal", refused(t), inside, governed(t, to("circle")))
	w.online("tls://circle.example.com", refused(t), governed(t, to("circle")))
	c, err := w.tls(tlsName("ok.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, c, "hello")
	for _, name := range []string{"no", "gone", "circle"} {
		if _, err := w.tls(tlsName(name + ".example.com")); err == nil {
			t.Errorf("%s: the connection was served", name)
		}
	}
}

// TestT60_InternalEndpointsHaveNoWayIn asks for one by every name that a client
// can give.
func TestT60_InternalEndpointsHaveNoWayIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, u := range []string{"http://svc.internal", "https://svc.internal:443", "tls://db.internal"} {
		w.online(u, refused(t), inside)
	}
	w.online(app, w.serve(seen))
	w.online("http://app.example.com", w.serve(seen))
	for _, tt := range []string{
		"GET / HTTP/1.1\r\nHost: svc.internal\r\n",
		"GET / HTTP/1.1\r\nHost: SVC.internal.:80\r\n",
		"GET http://svc.internal/ HTTP/1.1\r\nHost: svc.internal\r\n",
		"GET http://svc.internal/ HTTP/1.1\r\nHost: app.example.com\r\n",
		"CONNECT svc.internal:443 HTTP/1.1\r\nHost: svc.internal:443\r\n",
		"GET / HTTP/1.1\r\nHost: svc.internal\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Version: 13\r\nSec-Websocket-Key: eA==\r\n",
	} {
		for _, secure := range []bool{false, true} {
			if secure {
				tt = strings.Replace(tt, "http://", "https://", 1)
			}
			c := w.dial(secure)
			_, _ = io.WriteString(c, tt+"Connection: close\r\n\r\n")
			b, _ := io.ReadAll(c)
			var status int
			_, _ = fmt.Sscanf(string(b), "HTTP/1.1 %d", &status)
			if status != 404 && status != 405 && status != 421 && status != 400 {
				t.Errorf("%q (TLS %t): got %.200q", tt, secure, b)
			}
		}
	}
	if r := do(t, w.h2(), "GET", "/", nil, func(r *http.Request) { r.Host = "svc.internal" }); r.StatusCode != 404 && r.StatusCode != 421 {
		t.Errorf(":authority: got %d", r.StatusCode)
	}
	for _, name := range []string{"svc.internal", "db.internal"} {
		if _, err := w.tls(tlsName(name)); err == nil {
			t.Errorf("SNI %s: the handshake was made", name)
		}
	}
	// The names of another account.
	theirs := func(e *route.Endpoint) { e.Key.Account, e.Account = "other", "other" }
	w.online("http://theirs.internal", refused(t), inside, theirs)
	w.online("https://ours.example.com", refused(t), governed(t, forwards("http://theirs.internal")))
	wantStatus(t, do(t, w.h1(), "GET", "https://ours.example.com", nil), 404, "ERR_NGROK_3200")
}

func tlsName(name string) *tls.Config { return &tls.Config{ServerName: name} }
