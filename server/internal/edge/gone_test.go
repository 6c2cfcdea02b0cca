package edge

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// unanswered is the upstream of an endpoint without an agent.
func unanswered(context.Context, wire.ProxyHeader) (net.Conn, error) {
	return nil, fault.New(fault.CloudUnanswered, app)
}

// TestEndpoints40_NobodyStandsBehindACloudEndpoint: what its policy lets through is answered with the fault that
// says so, and the next endpoint gets its turn where another policy forwards to it.
func TestEndpoints40_NobodyStandsBehindACloudEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, dialer(unanswered), governed(t, "on_http_request: [{expressions: [\"req.url.path == '/page'\"], actions: [{type: act, config: {status: 200, body: page}}]}]"))
	w.online("https://bare.example.com", dialer(unanswered))
	w.online("https://cloud.internal", dialer(unanswered), inside, governed(t, "on_http_request: [{expressions: ['false'], actions: [{type: act}]}]"))
	w.online("https://ladder.example.com", dialer(unanswered), governed(t, `
on_http_request:
  - actions:
      - {type: forward-internal, config: {url: "https://cloud.internal", on_error: continue}}
      - {type: act, config: {status: 200, body: "${actions.ngrok.forward_internal.error.code}"}}
`))
	w.online("tls://raw.example.com", dialer(unanswered))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		if r := do(t, c, "GET", "/page", nil); r.StatusCode != 200 || r.body != "page" {
			t.Errorf("got %d %q", r.StatusCode, r.body)
		}
		wantStatus(t, do(t, c, "GET", "/other", nil), 500, "ERR_NGROK_6029")
		wantStatus(t, do(t, c, "GET", "https://bare.example.com/", nil), 500, "ERR_NGROK_6029")
		if r := do(t, c, "GET", "https://ladder.example.com/", nil); r.body != "ERR_NGROK_6029" {
			t.Errorf("got %d %q", r.StatusCode, r.body)
		}
	}
	if _, err := w.tls(tlsName("raw.example.com")); err == nil {
		t.Error("a tls endpoint with nobody behind it has served a connection")
	}
}

// TestEndpoints40_ConnectionsEndSomeTimeAfterTheirEndpoint: what is under way when an endpoint was deleted goes
// on until its Gone ends, and not longer.
func TestEndpoints40_ConnectionsEndSomeTimeAfterTheirEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone, end := context.WithCancel(t.Context())
	defer end()
	leaving := func(e *route.Endpoint) { e.Gone = gone }
	hold := func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, "begun")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	}
	var open []*route.Endpoint
	open = append(open,
		w.online(app, w.serve(hold), leaving),
		w.online("tls://raw.example.com", tlsEcho(t, w.certs["example.com"]), leaving),
		w.online("https://ws.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
			if _, err := http.ReadRequest(br); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				_, _ = io.Copy(c, br)
			}
		}), leaving))
	var bodies []io.ReadCloser
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		wantRead(t, resp.Body, "begun")
		bodies = append(bodies, resp.Body)
	}
	tc, err := w.tls(tlsName("raw.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	ws := w.dial(true)
	_, _ = io.WriteString(ws, "GET / HTTP/1.1\r\nHost: ws.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	wantRead(t, ws, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for _, e := range open {
		w.offline(e)
	}
	wantEcho(t, tc, "still there")
	wantEcho(t, ws, "still there")
	end()
	for i, b := range append(bodies, tc, ws) {
		if rest, err := io.ReadAll(b); err == nil && i < len(bodies) || len(rest) > 0 {
			t.Errorf("connection %d: read %q, %v; want it broken off", i, rest, err)
		}
	}
}
