package oracle

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// policyScenarios are endpoints whose policy the library hands over. What it leads to is what the same document does
// for an endpoint of our own agent.
func policyScenarios() []scenario {
	all := []scenario{
		{name: "policy_headers", run: policyHeaders},
		{name: "policy_forms", run: policyForms},
		{name: "policy_answers", run: policyAnswers},
		{name: "policy_rate_limit", run: policyRateLimit},
		{name: "policy_forward_internal", run: policyForwardInternal},
		{name: "policy_tcp", run: policyTCP},
		{name: "policy_refused", run: policyRefused},
	}
	for i := range all {
		all[i].lacks = func(l Lacks) bool { return l.Policy }
	}
	return all
}

// policyHeaders changes a request on its way in and its answer on the way out, by what they say of themselves.
func policyHeaders(t *testing.T, st *Stage) {
	o := st.Listen(t, Endpoint{Scheme: "https", Host: st.Host(), Policy: `
on_http_request:
  - actions:
      - type: add-headers
        config:
          headers:
            x-said: "${req.headers['x-say'][0]}"
            x-from: "${conn.client_ip} to ${endpoint.host}"
      - type: remove-headers
        config: {headers: [x-say]}
on_http_response:
  - expressions: ["res.status_code == 200"]
    actions:
      - type: add-headers
        config: {headers: {x-status: "${res.status_code} for ${req.method}"}}
`}, App{Name: "app", Kind: "http"})
	resp, body := ask(t, st, o.URL()+"/", "X-Say", "hello")
	if got, want := resp.Header.Get("X-Status"), "200 for GET"; got != want {
		t.Errorf("X-Status %q, want %q", got, want)
	}
	for _, want := range []string{`"x-said":"hello"`, `"x-from":"127.0.0.1 to ` + st.Host() + `"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the application saw %s, want %s", body, want)
		}
	}
	if strings.Contains(body, `"x-say"`) {
		t.Errorf("the application saw %s, want no x-say", body)
	}
}

// policyForms hands over one policy in both forms, and an older one.
func policyForms(t *testing.T, st *Stage) {
	s := st.Session(t)
	for name, policy := range map[string]string{
		"yaml":  "on_http_request:\n  - name: 418\n    expressions: [\"req.url.path.startsWith('/tea')\"]\n    actions:\n      - type: custom-response\n        config: {status_code: 418, body: \"${req.url.path}\"}\n",
		"json":  `{"on_http_request":[{"name":"418","expressions":["req.url.path.startsWith('/tea')"],"actions":[{"type":"custom-response","config":{"status_code":418,"body":"${req.url.path}"}}]}]}`,
		"older": `{"inbound":[{"name":"418","expressions":["req.url.path.startsWith('/tea')"],"actions":[{"type":"custom-response","config":{"status_code":418,"content":"${req.url.path}"}}]}]}`,
	} {
		o := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host(name), Policy: policy}, App{Name: "app", Kind: "http"})
		if resp, body := ask(t, st, o.URL()+"/teapot"); resp.StatusCode != 418 || body != "/teapot" {
			t.Errorf("%s: got %d %q, want 418 and the path", name, resp.StatusCode, body)
		}
		if seen := Get(t, st.Client(t), o.URL()+"/coffee"); seen.Name != "app" {
			t.Errorf("%s: another path is answered by %q", name, seen.Name)
		}
	}
}

// policyAnswers has the edge answer, so that nothing reaches the library.
func policyAnswers(t *testing.T, st *Stage) {
	o := st.Listen(t, Endpoint{Scheme: "https", Host: st.Host(), Policy: `
on_http_request:
  - expressions: ["req.url.path == '/deny'"]
    actions: [{type: deny, config: {status_code: 403}}]
  - expressions: ["req.url.path == '/page'"]
    actions: [{type: custom-response, config: {status_code: 203, headers: {content-type: text/html}, body: "<p>${req.url.query}"}}]
  - expressions: ["req.url.path.startsWith('/v1/')"]
    actions: [{type: redirect, config: {from: /v1/(.*), to: /v2/$1, status_code: 308}}]
`}, App{Name: "app", Kind: "http"})
	for _, tt := range []struct {
		path   string
		status int
		body   string
		header string
		want   string
	}{
		{"/deny", 403, "", "X-None", ""},
		{"/page?a=1", 203, "<p>a=1", "Content-Type", "text/html"},
		{"/v1/x?a=1", 308, "", "Location", o.URL() + "/v2/x?a=1"},
	} {
		resp, body := ask(t, st, o.URL()+tt.path)
		if resp.StatusCode != tt.status || tt.body != "" && body != tt.body || resp.Header.Get(tt.header) != tt.want {
			t.Errorf("%s: got %d %q, %s %q, want %d %q, %q", tt.path, resp.StatusCode, body, tt.header, resp.Header.Get(tt.header), tt.status, tt.body, tt.want)
		}
	}
	if seen := Get(t, st.Client(t), o.URL()+"/"); seen.Name != "app" {
		t.Errorf("answered by %q", seen.Name)
	}
}

func policyRateLimit(t *testing.T, st *Stage) {
	o := st.Listen(t, Endpoint{Scheme: "https", Host: st.Host(), Policy: `
on_http_request:
  - actions:
      - type: rate-limit
        config: {name: few, algorithm: sliding_window, capacity: 3, rate: 24h, bucket_key: ["req.headers['x-key']"]}
`}, App{Name: "app", Kind: "http"})
	for i := range 5 {
		want := http.StatusOK
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		resp, _ := ask(t, st, o.URL()+"/", "X-Key", "one")
		if resp.StatusCode != want || want != http.StatusOK && resp.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: got %d, Retry-After %q, want %d", i+1, resp.StatusCode, resp.Header.Get("Retry-After"), want)
		}
	}
	if resp, _ := ask(t, st, o.URL()+"/", "X-Key", "two"); resp.StatusCode != http.StatusOK {
		t.Errorf("another key: got %d", resp.StatusCode)
	}
}

// policyForwardInternal has a front door and a room behind it in one session, and a page for when the room is closed.
func policyForwardInternal(t *testing.T, st *Stage) {
	s := st.Session(t)
	name := st.Name + ".internal"
	room := MustListen(t, s, Endpoint{Scheme: "http", Host: name, Binding: "internal"}, App{Name: "room", Kind: "http"})
	if want := "http://" + name; room.URL() != want {
		t.Errorf("URL of the internal endpoint %q, want %q", room.URL(), want)
	}
	front := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host(), Policy: fmt.Sprintf(`
on_http_request:
  - expressions: ["req.url.path.startsWith('/room')"]
    actions:
      - {type: forward-internal, config: {url: "http://%s", on_error: continue}}
      - {type: custom-response, config: {status_code: 503, body: "closed: ${actions.ngrok.forward_internal.error.code}"}}
on_http_response:
  - actions: [{type: add-headers, config: {headers: {x-front: "yes"}}}]
`, name)}, App{Name: "front", Kind: "http"})
	for path, want := range map[string]string{"/": "front", "/room": "room"} {
		resp, body := ask(t, st, front.URL()+path)
		if !strings.Contains(body, `"name":"`+want+`"`) || resp.Header.Get("X-Front") != "yes" {
			t.Errorf("%s: got %s, X-Front %q, want an answer of %s", path, body, resp.Header.Get("X-Front"), want)
		}
	}
	if resp, _ := ask(t, st, front.URL()+"/", "Host", name); resp.StatusCode == http.StatusOK {
		t.Error("the internal endpoint answers a stranger who names it")
	}
	if err := room.Close(); err != nil {
		t.Fatal(err)
	}
	Until(t, "the page instead of the room", func() error {
		if resp, body := ask(t, st, front.URL()+"/room"); resp.StatusCode != http.StatusServiceUnavailable || body != "closed: ERR_NGROK_3200" {
			return fmt.Errorf("got %d %q", resp.StatusCode, body)
		}
		return nil
	})
}

// policyTCP decides about connections by their address.
func policyTCP(t *testing.T, st *Stage) {
	s := st.Session(t)
	bind := func(ranges string) Online {
		policy := `{"on_tcp_connect":[{"actions":[{"type":"restrict-ips","config":{"allow":["` + ranges + `"]}}]}]}`
		return MustListen(t, s, Endpoint{Scheme: "tcp", Policy: policy}, App{Name: "app", Kind: "tcp"})
	}
	if name := Talk(t, Dial(t, bind("127.0.0.0/8").URL())); name != "app" {
		t.Errorf("answered by %q", name)
	}
	if err := tryTalk(t, bind("10.0.0.0/8").URL(), nil); err == nil {
		t.Error("a client that the policy does not let in was served")
	}
}

// policyRefused hands over what is no policy: the library shows the code of the refusal, and the text says what is
// wrong, where, and under which code one reads about it.
func policyRefused(t *testing.T, st *Stage) {
	s := st.Session(t)
	for name, tt := range map[string]struct {
		scheme, policy string
		says           []string
	}{
		"action":     {"https", `{"on_http_request":[{"actions":[{"type":"denny"}]}]}`, []string{"NGROK_2201", "1:41", "did you mean deny?"}},
		"field":      {"https", "on_http_request:\n  - actions:\n      - type: deny\n        config: {status_cod: 403}\n", []string{"NGROK_2203", "4:18", "did you mean status_code?"}},
		"expression": {"https", "on_http_request:\n  - expressions: ['req.methd == \"GET\"']\n    actions: [{type: deny}]\n", []string{"NGROK_2200", "req.method"}},
		"phase":      {"tcp", "on_http_request: [{actions: [{type: deny}]}]", []string{"NGROK_2230", "on_tcp_connect"}},
		"several":    {"https", "on_http_request: [{actions: [{type: denny}, {type: deny, config: {status_code: 20}}]}]", []string{"NGROK_2201", "NGROK_2215", "actions[1].config.status_code"}},
	} {
		e := Endpoint{Scheme: tt.scheme, Policy: tt.policy}
		if tt.scheme == "https" {
			e.Host = st.Host(name)
		}
		_, err := s.Listen(t.Context(), e, App{Name: "app", Kind: "http"})
		st.WantCode(t, err, "ERR_NGROK_9026")
		for _, want := range tt.says {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nlacks %q", name, err, want)
			}
		}
	}
	o := MustListen(t, s, Endpoint{Scheme: "https", Host: st.Host("action")}, App{Name: "app", Kind: "http"})
	checkRequest(t, st, o, "https")
}

// ask fetches a URL with further headers, given as names and values, and returns whatever the answer is.
func ask(t *testing.T, st *Stage, u string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := st.Client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: body: %v", u, err)
	}
	return resp, string(body)
}
