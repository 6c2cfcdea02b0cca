package edge

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// ruled is an option of an endpoint: a policy of the actions that there are.
func ruled(t testing.TB, doc string) func(*route.Endpoint) {
	t.Helper()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{Forwarder: Forwarder{}})...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	return func(e *route.Endpoint) {
		d, found := policy.Parse("p.yml", []byte(doc))
		if !found.Failed() {
			e.Policy, found = c.Compile(d, policy.Target{Scheme: e.Key.URL.Scheme, Binding: e.Key.Binding})
		}
		if found.Failed() {
			t.Fatalf("%s: %v", doc, found)
		}
	}
}

const onlyTLS13 = "on_tcp_connect: [{actions: [{type: terminate-tls, config: {min_version: '1.3'}}]}]"

// alertProtocolVersion is the alert that RFC 8446 6.2 has for versions.
const alertProtocolVersion = 70

func TestPolicy46_OldVersionsGetTheAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), ruled(t, onlyTLS13))
	w.online("tls://tls.example.com", echo(t, ""), ruled(t, onlyTLS13))
	for _, name := range []string{"app.example.com", "tls.example.com"} {
		_, err := w.tls(&tls.Config{ServerName: name, MaxVersion: tls.VersionTLS12})
		wantAlert(t, err, alertProtocolVersion)
	}
	c, err := w.tls(tlsName("tls.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, c, "hello")
}

// TestEndpoints18_TerminatedOnce: the version is refused, and who comes with a
// newer one makes a single handshake, whose contents the upstream gets.
func TestEndpoints18_TerminatedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(func(rw http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(rw, r.TLS == nil, r.Host) })
	w.online(app, up, ruled(t, onlyTLS13))
	_, err := w.tls(&tls.Config{ServerName: "app.example.com", MaxVersion: tls.VersionTLS12})
	wantAlert(t, err, alertProtocolVersion)
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		r := do(t, c, "GET", "/", nil)
		wantBody(t, r, "trueapp.example.com")
		if r.TLS.Version != tls.VersionTLS13 {
			t.Errorf("got version %x", r.TLS.Version)
		}
	}
}

func TestEndpoints39_AnAllowListOfIPv4RefusesIPv6(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const allow = "[{actions: [{type: restrict-ips, config: {allow: 203.0.113.0/24}}]}]"
	w.online("http://request.example.com", w.serve(seen), ruled(t, "on_http_request: "+allow))
	w.online("http://connect.example.com", w.serve(seen), ruled(t, "on_tcp_connect: "+allow))
	for _, tt := range []struct{ from, host, want string }{
		{clientIP, "request", "HTTP/1.1 200"},
		{clientIP, "connect", "HTTP/1.1 200"},
		{"2001:db8::7", "request", "HTTP/1.1 403"},
		{"2001:db8::7", "connect", ""},
		{"198.51.100.7", "request", "HTTP/1.1 403"},
	} {
		c := w.connect(tt.from, plainAddr)
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s.example.com\r\nX-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\nConnection: close\r\n\r\n", tt.host)
		if tt.want == "" {
			wantClosed(t, c)
			continue
		}
		wantRead(t, c, tt.want)
	}
}

func TestPolicy54_NoHeaderFromInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := json.Marshal(r.Header)
		_, _ = rw.Write(b)
	})
	w.online(app, up, ruled(t, `
on_http_request:
  - actions: [{type: add-headers, config: {headers: {x-v: "${req.url.query_params['v'][0]}"}}}]
on_http_response:
  - actions: [{type: add-headers, config: {headers: {x-v: "${req.url.query_params['v'][0]}"}}}]
`))
	for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
		for _, cut := range []string{"%0d%0a", "%0a", "%0d", "%7f", "%0d%0a%0d%0a", "%E5%98%8A", "%C4%8A"} {
			r := do(t, c, "GET", "/?v=x"+cut+"X-Admin:%20yes", nil)
			if strings.Contains(strings.ToLower(r.body), `"x-admin"`) || r.Header.Get("X-Admin") != "" || r.StatusCode != http.StatusOK || len(r.Header["X-V"]) != 1 {
				t.Errorf("%s, %s: got %d, header %v, upstream %s", name, cut, r.StatusCode, r.Header, r.body)
			}
		}
	}
}

// TestPolicy14_VariablesStayInTheirExchange: they do not cross to the endpoint
// that a request is forwarded to, nor back.
func TestPolicy14_VariablesStayInTheirExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("http://svc.internal", w.serve(seen), inside, ruled(t, `
on_http_request:
  - actions:
      - {type: add-headers, config: {headers: {x-a: "${has(vars.outer)}"}}}
      - {type: set-vars, config: {vars: [{inner: "1"}]}}
`))
	w.online(app, refused(t), ruled(t, `
on_http_request:
  - actions:
      - {type: set-vars, config: {vars: [{outer: "1"}]}}
      - {type: forward-internal, config: {url: "http://svc.internal"}}
on_http_response:
  - actions: [{type: add-headers, config: {headers: {x-b: "${has(vars.outer)} ${has(vars.inner)}"}}}]
`))
	c := w.h1()
	for range 2 {
		r := do(t, c, "GET", "/", nil)
		wantBody(t, r, "GET / host=app.example.com a=false for=203.0.113.7 body=")
		if got := r.Header.Get("X-B"); got != "true false" {
			t.Errorf("the response phase knows of outer and inner: %s, want true false", got)
		}
	}
}

// TestT21_WhatThePolicySetsCannotBeListedAway by a Connection field.
func TestT21_WhatThePolicySetsCannotBeListedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), ruled(t, `on_http_request: [{actions: [{type: add-headers, config: {headers: {x-a: policy}}}]}]`))
	w.online("https://response.example.com", answer(t, "HTTP/1.1 200 OK\r\nConnection: x-b, close\r\nX-B: upstream\r\nContent-Length: 0\r\n\r\n"),
		ruled(t, `on_http_response: [{actions: [{type: add-headers, config: {headers: {x-b: policy}}}]}]`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		if r := do(t, c, "GET", "https://response.example.com/", nil); fmt.Sprint(r.Header["X-B"]) != "[policy]" {
			t.Errorf("the client gets X-B %q, want the policy's", r.Header["X-B"])
		}
	}
	for _, list := range []string{"X-A", "close, x-a", "X-A, X-Forwarded-For", "keep-alive , X-a"} {
		wantBody(t, do(t, w.h1(), "GET", "/", nil, header("Connection", list)), "GET / host=app.example.com a=policy for=203.0.113.7 body=")
	}
}

// TestT22_SpellingsOfWhatThePolicySets: an application that takes _ for - must
// not get the client's value beside the policy's.
func TestT22_SpellingsOfWhatThePolicySets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(func(rw http.ResponseWriter, r *http.Request) {
		var got []string
		for name, values := range r.Header {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Auth-User") {
				got = append(got, values...)
			}
		}
		_, _ = fmt.Fprint(rw, got)
	})
	w.online(app, up, ruled(t, `
on_http_request:
  - actions:
      - {type: remove-headers, config: {headers: [x-auth-user]}}
  - expressions: ["req.url.path == '/'"]
    actions:
      - {type: add-headers, config: {headers: {x-auth-user: policy}}}
`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		for path, want := range map[string]string{"/": "[policy]", "/removed": "[]"} {
			wantBody(t, do(t, c, "GET", path, nil, func(r *http.Request) {
				for _, name := range []string{"X_auth_user", "x-auth_user", "X_Auth-User", "X-Auth-User"} {
					r.Header[name] = []string{"client"}
				}
			}), want)
		}
	}
}

// TestT23_CredentialsAreNotShown: the upstream gets them, as documented, and
// neither an error page nor the log.
func TestT23_CredentialsAreNotShown(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	w := newWorld(t, func(c *Config) { c.AccessLog = slog.New(slog.NewTextHandler(&log, nil)) })
	const auth = "on_http_request: [{actions: [{type: basic-auth, config: {credentials: ['somebody:a-secret-word']}}]}]"
	w.online(app, w.serve(func(rw http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(rw, r.Header["Authorization"]) }), ruled(t, auth))
	w.online("https://dead.example.com", answer(t, ""), ruled(t, auth))
	credentials := func(password string) func(*http.Request) {
		return func(r *http.Request) {
			r.SetBasicAuth("somebody", password)
			r.Header.Set("Cookie", "session=a-secret-word")
		}
	}
	wantBody(t, do(t, w.h1(), "GET", "/", nil, credentials("a-secret-word")), "[Basic c29tZWJvZHk6YS1zZWNyZXQtd29yZA==]")
	wantStatus(t, do(t, w.h1(), "GET", "/", nil, credentials("not-the-one")), 401, "")
	for _, accept := range []string{"text/html", "application/json", "text/plain"} {
		r := do(t, w.h1(), "GET", "https://dead.example.com/", nil, credentials("a-secret-word"), header("Accept", accept))
		if r.StatusCode != 502 || strings.Contains(r.body, "secret") || strings.Contains(r.body, "c29tZWJvZHk6") {
			t.Errorf("%s: got %d %s", accept, r.StatusCode, r.body)
		}
	}
	if text := log.wait("status=502"); strings.Contains(text, "secret") || strings.Contains(text, "c29tZWJvZHk6") {
		t.Errorf("logged %s", text)
	}
}

// TestT31_LoopsEnd: a policy that leads back to its own endpoint ends, and a
// redirect to what was asked for is none.
func TestT31_LoopsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const again = "on_http_request: [{actions: [{type: forward-internal, config: {url: 'http://self.internal'}}]}]"
	w.online("http://self.internal", refused(t), inside, ruled(t, again))
	w.online(app, refused(t), ruled(t, again))
	w.online("https://redirect.example.com", w.serve(seen), ruled(t, `
on_http_request:
  - actions: [{type: redirect, config: {from: "^(.*)$", to: "$1"}}, {type: redirect, config: {to: "${req.url}"}}]
`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		wantStatus(t, do(t, c, "GET", "/", nil), http.StatusLoopDetected, "ERR_NGROK_3501")
		wantStatus(t, do(t, c, "GET", "https://redirect.example.com/a?b=c%20d", nil), http.StatusOK, "")
	}
}
