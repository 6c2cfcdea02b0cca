package node_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// asks is a policy that asks somebody and answers with what came back.
func asks(url, config string) culvert.EndpointOption {
	return culvert.WithTrafficPolicy(`
on_http_request:
  - actions:
      - type: http-request
        config: {url: "` + url + `", ` + config + `}
      - type: custom-response
        config:
          status_code: 200
          body: "${actions.ngrok.http_request.res.status_code} ${actions.ngrok.http_request.error.code} ${actions.ngrok.http_request.res.header['x-gate']} ${actions.ngrok.http_request.res.body}"
`)
}

// gate tells what it got, and has a policy that adds to it.
func gate(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, "%s %s %s host=%s for=%s host=%s policy=%s cookie=%s body=%s", r.Method, r.URL, r.Header.Get("Ngrok-Req-Type"),
		r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Policy"), r.Header.Get("Cookie"), body)
}

func TestPolicy57_InternalEndpoint(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	s.ServeHTTP(a, http.HandlerFunc(gate), culvert.WithURL("https://gate.internal"), culvert.WithTrafficPolicy(`
on_http_request:
  - actions: [{type: add-headers, config: {headers: {x-policy: "${endpoint.host} ${conn.client_ip}"}}}]
on_http_response:
  - actions: [{type: add-headers, config: {headers: {x-gate: "${req.url}"}}}]
`))
	for _, body := range []string{"", "short", strings.Repeat("b", 20_000)} {
		ln := s.ServeHTTP(a, nodetest.Text("upstream"), asks("http://gate.internal/check?q=1", "method: POST, body: '"+body+"'"))
		resp, got := s.Get(ln.URL().String(), func(r *http.Request) { r.Header.Set("Cookie", "secret=1") })
		want := "202  [\"https://gate.internal/check?q=1\"] POST /check?q=1 http-request host=gate.internal for=127.0.0.1 host=gate.internal policy=gate.internal 127.0.0.1 cookie= body=" + body
		if resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("got %d %q\nwant %q", resp.StatusCode, got, want)
		}
	}
	ln := s.ServeHTTP(a, nodetest.Text("upstream"), asks("http://gone.internal/", ""))
	if _, got := s.Get(ln.URL().String()); got != "0 ERR_NGROK_3601 [] " {
		t.Errorf("no such endpoint: got %q", got)
	}
	ln = s.ServeHTTP(a, nodetest.Text("upstream"), asks("http://gone.internal/", "on_error: halt"))
	if resp, _ := s.Get(ln.URL().String()); resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Ngrok-Error-Code") != string(fault.CallFailed) {
		t.Errorf("no such endpoint, halting: got %d %s", resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"))
	}
	s.ServeHTTP(a, nodetest.Text("closed"), culvert.WithURL("https://closing.internal"), culvert.WithTrafficPolicy("on_http_request: [{actions: [{type: close-connection}]}]"))
	ln = s.ServeHTTP(a, nodetest.Text("upstream"), asks("https://closing.internal/", ""))
	if resp, got := s.Get(ln.URL().String()); resp.StatusCode != http.StatusOK || got != "0 ERR_NGROK_3601 [] " {
		t.Errorf("an endpoint that closes: got %d %q", resp.StatusCode, got)
	}
}

func TestPolicy57_SlowEndpoint(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	release := make(chan struct{})
	defer close(release)
	s.ServeHTTP(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush() // it can
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}), culvert.WithURL("https://slow.internal"))
	for _, path := range []string{"/", "/body"} {
		ln := s.ServeHTTP(a, nodetest.Text("upstream"), asks("https://slow.internal"+path, "timeout: 1s, on_error: halt"))
		resp, _ := s.Get(ln.URL().String())
		if resp.StatusCode != http.StatusGatewayTimeout || resp.Header.Get("Ngrok-Error-Code") != string(fault.CallTimeout) {
			t.Errorf("%s: got %d %s, want 504 %s", path, resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"), fault.CallTimeout)
		}
	}
}

// TestT31_RequestsToItself has an internal endpoint ask itself.
func TestT31_RequestsToItself(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	config := func(u string) culvert.EndpointOption {
		return culvert.WithTrafficPolicy("on_http_request: [{actions: [{type: http-request, config: {url: '" + u + "', on_error: halt}}]}]")
	}
	s.ServeHTTP(a, nodetest.Text("inside"), culvert.WithURL("https://self.internal"), config("https://self.internal/"))
	ln := s.ServeHTTP(a, nodetest.Text("upstream"), config("https://self.internal/"))
	if resp, _ := s.Get(ln.URL().String()); resp.StatusCode != http.StatusLoopDetected || resp.Header.Get("Ngrok-Error-Code") != string(fault.CallLoop) {
		t.Errorf("got %d %s, want 508 %s", resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"), fault.CallLoop)
	}
}

// TestT60_RequestsStayInTheAccount asks for an internal name of somebody else.
func TestT60_RequestsStayInTheAccount(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	s.ServeHTTP(s.NewAccount("other").Agent(), nodetest.Text("other"), culvert.WithURL("https://alone.internal"))
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("upstream"), asks("https://alone.internal/", ""))
	if _, got := s.Get(ln.URL().String()); got != "0 ERR_NGROK_3601 [] " {
		t.Errorf("got %q, want a failure", got)
	}
}

// TestT61_RequestsOutside asks a server on loopback under different settings.
func TestT61_RequestsOutside(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nodetest.Text("outside"))
	defer server.Close()
	for name, tt := range map[string]struct {
		edit func(*node.Config)
		want string
	}{
		"by default":    {func(*node.Config) {}, "0 ERR_NGROK_3601 [] "},
		"public":        {func(c *node.Config) { c.PolicyEgress = node.EgressPublic }, "0 ERR_NGROK_3601 [] "},
		"another range": {func(c *node.Config) { c.OutboundAllow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, "0 ERR_NGROK_3601 [] "},
		"loopback":      {func(c *node.Config) { c.OutboundAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }, "200  [] outside"},
	} {
		s := nodetest.Start(t, tt.edit)
		ln := s.ServeHTTP(s.Agent(), nodetest.Text("upstream"), asks(server.URL, ""))
		if _, got := s.Get(ln.URL().String()); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
