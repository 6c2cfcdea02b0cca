package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// says is a policy that answers with text.
func says(text string) string {
	return fmt.Sprintf("on_http_request: [{actions: [{type: custom-response, config: {status_code: 200, body: %q}}]}]", text)
}

// jsonOf is an object as the body of a request.
func jsonOf(t *testing.T, fields map[string]any) string {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cloudURL is where clients reach an endpoint.
func cloudURL(a *nodetest.API, id string) string {
	return a.Must(http.StatusOK, http.MethodGet, "/endpoints/"+id, "")["public_url"].(string)
}

func wantAnswer(t *testing.T, s *nodetest.Server, url string, status int, want string) {
	t.Helper()
	if resp, text := s.Get(url); resp.StatusCode != status || text != want {
		t.Errorf("GET %s: got %d %.200q, want %d %q", url, resp.StatusCode, text, status, want)
	}
}

// TestAPI30_ANewPolicyForTheNextRequest is changed between two requests on one connection.
func TestAPI30_ANewPolicyForTheNextRequest(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	id := a.Create("/endpoints", map[string]any{"url": "https://app.culvert.localhost", "traffic_policy": says("0")})
	url, c := cloudURL(a, id), s.Client()
	for i := range 5 {
		reused := false
		resp, text := s.Do(c, http.MethodGet, url, nil, func(r *http.Request) {
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(g httptrace.GotConnInfo) { reused = g.Reused }}))
		})
		if resp.StatusCode != 200 || text != fmt.Sprint(i) || reused != (i > 0) {
			t.Errorf("request %d: got %d %q, on the same connection: %v", i, resp.StatusCode, text, reused)
		}
		a.Must(200, "PATCH", "/endpoints/"+id, jsonOf(t, map[string]any{"traffic_policy": says(fmt.Sprint(i + 1))}))
	}
}

// TestEndpoints40_AnotherNameInPlace moves an endpoint from name to name while somebody asks for it all the time:
// there is no moment in which neither the old nor the new one serves (scenario 31 of the API too).
func TestEndpoints40_AnotherNameInPlace(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	const names = 15
	name := func(i int64) string { return fmt.Sprintf("https://n%d.culvert.localhost", i) }
	shown := func(i int64) string { return name(i) + ":" + fmt.Sprint(s.Info.HTTPSPort) }
	if status, _, e := a.Do("POST", "/endpoints", jsonOf(t, map[string]any{"url": name(0)})); status != 400 || e["error_code"] != "ERR_NGROK_18011" {
		t.Errorf("without a policy: %d %v", status, e)
	}
	id := a.Create("/endpoints", map[string]any{"url": name(0), "traffic_policy": says("here")})
	var begun atomic.Int64 // the name that was asked for last
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		c := s.Client()
		for i := int64(0); ; {
			select {
			case <-done:
				return
			default:
			}
			resp, text := s.Do(c, http.MethodGet, shown(i), nil)
			switch {
			case resp.StatusCode == 200 && text == "here":
			case resp.StatusCode == 404 && i < begun.Load():
				i++
			default:
				t.Errorf("%s: got %d, and the endpoint is on its way to name %d", shown(i), resp.StatusCode, begun.Load())
				return
			}
		}
	})
	for i := int64(1); i < names; i++ {
		begun.Store(i)
		got := a.Must(200, "PATCH", "/endpoints/"+id, jsonOf(t, map[string]any{"url": name(i)}))
		if got["id"] != id || got["url"] != name(i) || got["public_url"] != shown(i) {
			t.Errorf("got %v", got)
		}
		wantAnswer(t, s, shown(i), 200, "here")
	}
	close(done)
	wg.Wait()
	if resp, _ := s.Get(shown(0)); resp.StatusCode != 404 || resp.Header.Get("Ngrok-Error-Code") != "ERR_NGROK_3200" {
		t.Errorf("the first name: %d %s", resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"))
	}
	if status, _, e := a.Do("PATCH", "/endpoints/"+id, `{"url":"http://n1.culvert.localhost"}`); status != 400 || e["error_code"] != "ERR_NGROK_18005" {
		t.Errorf("another scheme: %d %v", status, e)
	}
	wantAnswer(t, s, shown(names-1), 200, "here")
}

// TestEndpoints40_ADeletedEndpointKeepsItsConnections for a while: only new ones are refused.
func TestEndpoints40_ADeletedEndpointKeepsItsConnections(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a, agent := s.API(), s.Agent()
	s.ServeEcho(agent, "in: ", culvert.WithURL("tcp://echo.internal:7"))
	id := a.Create("/endpoints", map[string]any{
		"url": "tcp://localhost:20007", "traffic_policy": "on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tcp://echo.internal:7'}}]}]",
	})
	c := s.Dial("127.0.0.1:20007")
	echo := func() {
		t.Helper()
		buf := make([]byte, 5)
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
			t.Fatalf("read %q, %v", buf, err)
		}
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "in: " {
		t.Fatalf("read %q, %v", head, err)
	}
	echo()
	a.Must(204, "DELETE", "/endpoints/"+id, "")
	echo()
	if c, err := s.Net.DialFrom(t.Context(), "tcp", "127.0.0.1", "127.0.0.1:20007"); err == nil {
		_ = c.Close()
		t.Error("the port of a deleted endpoint is open")
	}
	a.Create("/endpoints", map[string]any{"url": "tcp://localhost:20007", "traffic_policy": "on_tcp_connect: [{actions: [{type: deny}]}]"})
	echo()
}

// TestEndpoints34_CloudAndAgentInOnePool share a URL, and each answers by its own policy.
func TestEndpoints34_CloudAndAgentInOnePool(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a, agent := s.API(), s.Agent()
	url := "https://pool.culvert.localhost"
	id := a.Create("/endpoints", map[string]any{"url": url, "pooling_enabled": true, "traffic_policy": says("cloud")})
	s.ServeHTTP(agent, nodetest.Text("agent"), culvert.WithURL(url), culvert.WithPoolingEnabled(true),
		culvert.WithTrafficPolicy("on_http_response: [{actions: [{type: add-headers, config: {headers: {x-by: agent}}}]}]"))
	got := map[string]int{}
	for range 20 {
		resp, text := s.Get(cloudURL(a, id))
		got[text+" "+resp.Header.Get("X-By")]++
	}
	if got["cloud "] != 10 || got["agent agent"] != 10 {
		t.Errorf("got %v, want ten answers of each with its own policy", got)
	}
	a.Must(204, "DELETE", "/endpoints/"+id, "")
	for range 4 {
		wantAnswer(t, s, url+":"+fmt.Sprint(s.Info.HTTPSPort), 200, "agent")
	}
}

// TestEndpoints06_FailOverToAPageOfTheServer is the use of cloud endpoints: one forwards to what an agent has
// online, and answers by itself while that is away.
func TestEndpoints06_FailOverToAPageOfTheServer(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a, agent := s.API(), s.Agent()
	front := a.Must(201, "POST", "/endpoints", jsonOf(t, map[string]any{"url": "https://shop.culvert.localhost", "traffic_policy": `
on_http_request:
  - actions:
      - {type: forward-internal, config: {url: "https://shop.internal", on_error: continue}}
      - {type: custom-response, config: {status_code: 503, body: "back soon"}}
`}))
	url := front["public_url"].(string)
	wantAnswer(t, s, url, 503, "back soon")
	for range 2 {
		ln := s.ServeHTTP(agent, nodetest.Text("the shop"), culvert.WithURL("https://shop.internal"))
		wantAnswer(t, s, url, 200, "the shop")
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, s, url, 503, "back soon")
	}
	// An internal one that stands on the server, found by its name alone; its binding follows from that.
	inner := a.Must(201, "POST", "/endpoints", jsonOf(t, map[string]any{"url": "https://shop.internal", "traffic_policy": says("the stand-in")}))
	if b := inner["bindings"].([]any); len(b) != 1 || b[0] != "internal" {
		t.Errorf("bindings %v, want internal", b)
	}
	wantAnswer(t, s, url, 200, "the stand-in")
	s.Restart()
	wantAnswer(t, s, url, 200, "the stand-in")
}

// TestEndpoints36_AnInternalConnectPhase runs for tcp, and never for https, which is warned of.
func TestEndpoints36_AnInternalConnectPhase(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	deny := "on_tcp_connect: [{actions: [{type: deny}]}]\n"
	inner := a.Must(201, "POST", "/endpoints", jsonOf(t, map[string]any{"url": "https://svc.internal", "traffic_policy": deny + says("served")}))
	if w, _ := inner["warnings"].([]any); len(w) != 1 || !strings.Contains(w[0].(string), "never runs") {
		t.Errorf("warnings %v, want one", inner["warnings"])
	}
	front := a.Must(201, "POST", "/endpoints", jsonOf(t, map[string]any{
		"url": "https://svc.culvert.localhost", "traffic_policy": "on_http_request: [{actions: [{type: forward-internal, config: {url: 'https://svc.internal'}}]}]",
	}))
	wantAnswer(t, s, front["public_url"].(string), 200, "served")
	a.Create("/endpoints", map[string]any{"url": "tcp://svc.internal:7", "traffic_policy": deny})
	a.Create("/endpoints", map[string]any{
		"url": "tcp://localhost:20001", "traffic_policy": "on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tcp://svc.internal:7'}}]}]",
	})
	c := s.Dial("127.0.0.1:20001")
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes of a connection that the inner policy refuses", n)
	}
}

// TestAPI32_TwoAtTheSameMoment asks for one URL from both sides at once, in all combinations.
func TestAPI32_TwoAtTheSameMoment(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	for i, tt := range []struct {
		one, two bool
		refusals string
	}{
		{true, true, ""}, {true, false, "ERR_NGROK_18016 ERR_NGROK_18017"}, {false, true, "ERR_NGROK_18016 ERR_NGROK_18017"}, {false, false, "ERR_NGROK_18009"},
	} {
		url := fmt.Sprintf("https://u%d.culvert.localhost", i)
		var wg sync.WaitGroup
		var status [2]int
		var answers [2]map[string]any
		for j, pooled := range []bool{tt.one, tt.two} {
			body := jsonOf(t, map[string]any{"url": url, "pooling_enabled": pooled, "traffic_policy": says("x")})
			wg.Go(func() { status[j], _, answers[j] = a.Do("POST", "/endpoints", body) })
		}
		wg.Wait()
		made := 0
		for j := range status {
			code, _ := answers[j]["error_code"].(string)
			switch {
			case status[j] == 201:
				made++
			case status[j] != 400 || !strings.Contains(tt.refusals, code):
				t.Errorf("%s, %d: got %d %v, want one of %q", url, j, status[j], answers[j], tt.refusals)
			}
		}
		if want := map[bool]int{true: 2, false: 1}[tt.refusals == ""]; made != want {
			t.Errorf("%s: %d were made, want %d", url, made, want)
		}
		wantAnswer(t, s, url+":"+fmt.Sprint(s.Info.HTTPSPort), 200, "x")
	}
}

// TestAPI33_WhatAnAgentHasOnline is in the list, and is its agent's alone to change.
func TestAPI33_WhatAnAgentHasOnline(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a, agent := s.API(), s.Agent()
	cloud := a.Create("/endpoints", map[string]any{"url": "https://cloud.culvert.localhost", "traffic_policy": says("x")})
	ln := s.ServeHTTP(agent, nodetest.Text("agent"), culvert.WithURL("https://agent.culvert.localhost"), culvert.WithMetadata("m"), culvert.WithName("web"),
		culvert.WithTrafficPolicy(says("agent's")))
	list := a.List("/endpoints")
	if len(list) != 2 || list[1]["id"] != cloud {
		t.Fatalf("got %v, want the agent's and %s", list, cloud)
	}
	own := list[0]["id"].(string)
	e := a.Must(200, "GET", "/endpoints/"+own, "")
	suffix := strings.TrimPrefix(own, "ep_")
	if e["type"] != "ephemeral" || e["tunnel"].(map[string]any)["id"] != "tn_"+suffix || e["metadata"] != "m" || e["name"] != "web" ||
		e["url"] != ln.URL().String() || e["traffic_policy"] != says("agent's") || e["proto"] != "https" || e["upstream_url"] == "" {
		t.Errorf("got %v", e)
	}
	a.Must(200, "GET", "/tunnel_sessions/"+e["tunnel_session"].(map[string]any)["id"].(string), "")
	a.Must(200, "GET", "/tunnels/tn_"+suffix, "")
	for _, method := range []string{"PATCH", "DELETE"} {
		body := map[string]string{"PATCH": `{"description":"x"}`}[method]
		if status, _, e := a.Do(method, "/endpoints/"+own, body); status != 400 || e["error_code"] != "ERR_CULVERT_1660" {
			t.Errorf("%s: got %d %v", method, status, e)
		}
	}
	for filter, want := range map[string]int{`obj.type == "agent"`: 1, `obj.type == "ephemeral"`: 1, `obj.type == "cloud"`: 1, `obj.url.endsWith("localhost")`: 1} {
		if got := a.List("/endpoints?filter=" + url.QueryEscape(filter)); len(got) != want {
			t.Errorf("%s: %d endpoints, want %d", filter, len(got), want)
		}
	}
	// A name that is reserved is referred to.
	rd := a.Create("/reserved_domains", map[string]any{"domain": "shop.test"})
	for _, host := range []string{"shop.test", "a.shop.test"} {
		e := a.Must(201, "POST", "/endpoints", jsonOf(t, map[string]any{"url": "https://" + host, "traffic_policy": says("x")}))
		if d, _ := e["domain"].(map[string]any); d["id"] != rd {
			t.Errorf("%s: the domain is %v, want %s", host, e["domain"], rd)
		}
		a.Must(204, "DELETE", "/endpoints/"+e["id"].(string), "")
	}
	other := s.NewAccount("other")
	if got := other.List("/endpoints"); len(got) != 0 {
		t.Errorf("another account sees %v", got)
	}
	for _, id := range []string{cloud, own} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			body := map[string]string{"PATCH": `{"description":"x"}`}[method]
			if status, _, e := other.Do(method, "/endpoints/"+id, body); status != 404 {
				t.Errorf("another account: %s %s: got %d %v, want 404", method, id, status, e)
			}
		}
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	a.Must(404, "GET", "/endpoints/"+own, "")
}

// TestAPI39_ASecretInAPolicy is rotated without an update of the endpoint.
func TestAPI39_ASecretInAPolicy(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	v := a.Create("/vaults", map[string]any{"name": "shop"})
	secret := a.Create("/vault_secrets", map[string]any{"name": "word", "value": "open-sesame", "vault_id": v})
	e := a.Must(201, "POST", "/endpoints", jsonOf(t, map[string]any{"url": "https://secret.culvert.localhost", "traffic_policy": `
on_http_request:
  - expressions: ["req.headers['x-word'][0] == secrets.get('shop', 'word')"]
    actions: [{type: custom-response, config: {status_code: 200, body: "come in"}}]
  - actions: [{type: deny}]
`}))
	ask := func(word string) int {
		resp, _ := s.Get(e["public_url"].(string), func(r *http.Request) { r.Header.Set("X-Word", word) })
		return resp.StatusCode
	}
	if got := [2]int{ask("open-sesame"), ask("other")}; got != [2]int{200, 403} {
		t.Errorf("got %v", got)
	}
	a.Must(200, "PATCH", "/vault_secrets/"+secret, `{"value":"other"}`)
	if got := [2]int{ask("open-sesame"), ask("other")}; got != [2]int{403, 200} {
		t.Errorf("after the change: got %v", got)
	}
}

// Endpoints of tcp are there again after a restart, with their ports.
func TestStoredEndpointsAfterARestart(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.API()
	url := cloudURL(a, a.Create("/endpoints", map[string]any{"url": "https://app.culvert.localhost", "traffic_policy": says("x")}))
	a.Create("/endpoints", map[string]any{"url": "tcp://localhost:20003", "traffic_policy": "on_tcp_connect: [{actions: [{type: close-connection}]}]"})
	s.Restart()
	wantAnswer(t, s, url, 200, "x")
	c := s.Dial("127.0.0.1:20003") // opened, and closed by its policy
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the policy of the tcp endpoint has not closed the connection")
	}
	if got := a.List("/endpoints"); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

// TestA2_EndpointsOfASuspendedAccount say so at once, end what goes through them, and are back afterwards.
func TestA2_EndpointsOfASuspendedAccount(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	other := s.NewAccount("other")
	s.ServeEcho(s.Agent(), "", culvert.WithURL("tcp://echo.internal:7"))
	forward := "on_tcp_connect: [{actions: [{type: forward-internal, config: {url: 'tcp://echo.internal:7'}}]}]"
	s.API().Create("/endpoints", map[string]any{"url": "tcp://localhost:20001", "traffic_policy": forward})
	s.ServeEcho(other.Agent(), "", culvert.WithURL("tcp://echo.internal:7"))
	other.Create("/endpoints", map[string]any{"url": "tcp://localhost:20002", "traffic_policy": forward})
	url := cloudURL(other.API, other.Create("/endpoints", map[string]any{"url": "https://other.culvert.localhost", "traffic_policy": says("x")}))
	echo := func(c net.Conn) error {
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	own, others := s.Dial("127.0.0.1:20001"), s.Dial("127.0.0.1:20002")
	for _, c := range []net.Conn{own, others} {
		if err := echo(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Node.Directory().Suspend(t.Context(), other.ID, false); err != nil {
		t.Fatal(err)
	}
	barred := func() {
		t.Helper()
		resp, body := s.Get(url)
		if code := resp.Header.Get("Ngrok-Error-Code"); resp.StatusCode != 403 || code != "ERR_NGROK_3208" {
			t.Errorf("an endpoint of a suspended account: got %d %s, want 403 ERR_NGROK_3208", resp.StatusCode, code)
		}
		if strings.Contains(body, other.ID) {
			t.Errorf("the page names the account: %s", body)
		}
	}
	barred()
	if _, err := io.ReadAll(others); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("its connection ended with %v", err)
	}
	if err := echo(own); err != nil {
		t.Errorf("another account's connection: %v", err)
	}
	again := s.Dial("127.0.0.1:20002")
	if err := echo(again); err == nil {
		t.Error("a connection to an endpoint of a suspended account is served")
	}
	s.Restart()
	barred()
	if err := s.Node.Directory().Suspend(t.Context(), other.ID, true); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, s, url, 200, "x")
}
