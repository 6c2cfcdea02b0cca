package node_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// The same policy as YAML and as JSON does the same.
func TestPolicy01_YAMLAndJSON(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	for name, text := range map[string]string{
		"yaml": "on_http_request:\n  - expressions: [\"req.url.path == '/teapot'\"]\n    actions:\n      - type: custom-response\n        config:\n          status_code: 418\n          body: \"short and ${req.method}\"\n",
		"json": `{"on_http_request":[{"expressions":["req.url.path == '/teapot'"],"actions":[{"type":"custom-response","config":{"status_code":418,"body":"short and ${req.method}"}}]}]}`,
	} {
		ln := s.ServeHTTP(s.Agent(), nodetest.Text("upstream"), culvert.WithTrafficPolicy(text))
		u := strings.TrimSuffix(ln.URL().String(), "/")
		if resp, body := s.Get(u + "/teapot"); resp.StatusCode != 418 || body != "short and GET" {
			t.Errorf("%s: got %d %q, want the policy's answer", name, resp.StatusCode, body)
		}
		if resp, body := s.Get(u + "/"); resp.StatusCode != 200 || body != "upstream" {
			t.Errorf("%s: got %d %q, want the upstream's answer", name, resp.StatusCode, body)
		}
	}
}

func TestPolicy02_MisspeltPhase(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	const u = "https://h.culvert.localhost"
	_, err := a.Listen(t.Context(), culvert.WithURL(u), culvert.WithTrafficPolicy("on_http_reqest:\n  - actions: [{type: deny}]\n"))
	f := fault.From(err)
	if err == nil || f.Code != fault.PolicyRefused || !strings.Contains(f.Message, "1:1: on_http_reqest") {
		t.Errorf("got %v, want %s that names the key and its place", err, fault.PolicyRefused)
	}
	if resp, _ := s.Get(u + ":9443/"); resp.Header.Get("Ngrok-Error-Code") != string(fault.EndpointOffline) {
		t.Errorf("got %d %s, want the endpoint closed", resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"))
	}
}

// A policy that is replaced while a request is in progress rules from the next one on.
func TestPolicy20_PolicyReplacedInFlight(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	entered, release := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-release
		}
		_, _ = io.WriteString(w, "done")
	}))
	defer up.Close()
	policy := func(version string) *string {
		text := fmt.Sprintf("on_http_response:\n  - actions:\n      - type: add-headers\n        config: {headers: {x-policy: %s}}\n", version)
		return &text
	}
	e, err := s.Agent().Forward(context.Background(), culvert.WithUpstream(up.URL), culvert.WithTrafficPolicy(*policy("one")))
	if err != nil {
		t.Fatal(err)
	}
	update := func(text *string) {
		t.Helper()
		u, ok := e.(culvert.UpdateableEndpointForwarder)
		if !ok {
			t.Fatal("the forwarder cannot be changed")
		}
		if err := u.Update(t.Context(), nil, nil, nil, nil, text); err != nil {
			t.Fatal(err)
		}
	}
	c := s.Client() // one connection for all
	want := func(resp *http.Response, version string) {
		t.Helper()
		if got := resp.Header.Get("X-Policy"); got != version {
			t.Errorf("answered under policy %q, want %q", got, version)
		}
	}
	slow := make(chan *http.Response)
	go func() {
		resp, err := c.Get(e.URL().String() + "/slow")
		if err != nil {
			t.Error(err)
			resp = &http.Response{Header: http.Header{}, Body: http.NoBody}
		}
		slow <- resp
	}()
	<-entered
	update(policy("two"))
	resp, _ := s.Do(c, http.MethodGet, e.URL().String(), nil)
	want(resp, "two")
	close(release)
	resp = <-slow
	want(resp, "one")
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	empty := ""
	update(&empty)
	resp, body := s.Do(c, http.MethodGet, e.URL().String(), nil)
	want(resp, "")
	if body != "done" {
		t.Errorf("got %q without a policy", body)
	}
	wrong := "on_http_request: 1"
	if err := e.(culvert.UpdateableEndpointForwarder).Update(t.Context(), nil, nil, nil, nil, &wrong); !fault.Has(err, fault.PolicyRefused) { //nolint:errcheck,forcetypeassert // tried above
		t.Errorf("a policy with mistakes: got %v, want %s", err, fault.PolicyRefused)
	}
}

// The policy survives the loss of the agent's connection, the changed one too.
func TestPolicySurvivesAReconnect(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	links := &breaker{Dialer: s.Dialer()}
	ln := s.ServeHTTP(s.Agent(culvert.WithDialer(links)), nodetest.Text("upstream"), culvert.WithTrafficPolicy("on_http_request: [{actions: [{type: deny}]}]"))
	for range 2 {
		if resp, body := s.Get(ln.URL().String()); resp.StatusCode != http.StatusForbidden {
			t.Errorf("got %d %q, want 403", resp.StatusCode, body)
		}
		links.cut()
	}
}

// Internal endpoints are shown as they are asked for and are out of reach of the public.
func TestEndpoints06_InternalIsNotPublic(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	for _, u := range []string{"https://foo.internal", "http://foo.internal", "tls://bar.internal", "tcp://db.internal:20001"} {
		ln := s.ServeHTTP(a, nodetest.Text("inside"), culvert.WithURL(u))
		if got := ln.URL().String(); got != u {
			t.Errorf("got URL %s, want %s", got, u)
		}
	}
	resp, _ := s.Get("http://h.culvert.localhost:9080/", func(r *http.Request) { r.Host = "foo.internal" })
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("from outside: got %d, want 404", resp.StatusCode)
	}
	if c, err := s.Net.DialFrom(t.Context(), "tcp", "127.0.0.1", "127.0.0.1:20001"); err == nil {
		_ = c.Close()
		t.Error("the port of an internal tcp endpoint is open")
	}
	for u, tt := range map[string]struct {
		binding string
		want    fault.Code
	}{
		"https://foo.internal":        {"public", fault.PublicInternal},
		"https://x.culvert.localhost": {"internal", fault.InternalSuffix},
	} {
		if _, err := a.Listen(t.Context(), culvert.WithURL(u), culvert.WithBindings(tt.binding)); !fault.Has(err, tt.want) {
			t.Errorf("%s as %s: got %v, want %s", u, tt.binding, err, tt.want)
		}
	}
}

// Two accounts may have one internal name each; forwards reach their own.
func TestEndpoints08_InternalNamesPerAccount(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	own, other := s.Agent(), s.NewAccount("other").Agent()
	s.ServeHTTP(own, nodetest.Text("own"), culvert.WithURL("https://api.internal"))
	s.ServeHTTP(other, nodetest.Text("other"), culvert.WithURL("https://api.internal"))
	s.ServeHTTP(other, nodetest.Text("other alone"), culvert.WithURL("https://alone.internal"))
	forward := func(name string) culvert.EndpointOption {
		return culvert.WithTrafficPolicy("on_http_request:\n  - actions:\n      - type: forward-internal\n        config: {url: https://" + name + ".internal}\n")
	}
	for agent, want := range map[culvert.Agent]string{own: "own", other: "other"} {
		ln := s.ServeHTTP(agent, nodetest.Text("not forwarded"), forward("api"))
		if resp, body := s.Get(ln.URL().String()); resp.StatusCode != 200 || body != want {
			t.Errorf("got %d %q, want %q", resp.StatusCode, body, want)
		}
	}
	ln := s.ServeHTTP(own, nodetest.Text("not forwarded"), forward("alone"))
	if resp, body := s.Get(ln.URL().String()); resp.Header.Get("Ngrok-Error-Code") != string(fault.EndpointOffline) {
		t.Errorf("the name of another account: got %d %q, want %s", resp.StatusCode, body, fault.EndpointOffline)
	}
}
