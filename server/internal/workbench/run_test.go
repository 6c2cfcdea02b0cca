package workbench_test

import (
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

const sample = `on_tcp_connect:
  - expressions: ["conn.client_ip == '198.51.100.9'"]
    actions: [{type: close-connection}]
on_http_request:
  - name: bots
    expressions: ["req.user_agent.is_bot", "'x-never' in req.headers"]
    actions: [{type: deny}]
  - expressions: ["req.headers['x-user'][0] == secrets.get('v', 's')"]
    actions: [{type: deny, config: {status_code: 401}}]
  - expressions: ["req.url.path.startsWith('/old/')"]
    actions:
      - type: set-vars
        config: {vars: [{path: "${req.url.path}"}, {none: ""}]}
      - type: url-rewrite
        config: {from: "/old/(.*)", to: "/new/$1"}
      - type: add-headers
        config: {headers: {x-was: "${vars.path}"}}
      - type: remove-headers
        config: {headers: [accept]}
  - name: sorry
    expressions: ["req.url.path == '/sorry'"]
    actions: [{type: custom-response, config: {status_code: 418, body: sorry}}]
  - expressions: ["req.url.path == '/broken'"]
    actions: [{type: add-headers, config: {headers: {x-a: "${req.headers['x'][0]}"}}}]
  - expressions: ["req.url.path == '/inner'"]
    actions: [{type: forward-internal, config: {url: https://inner.internal}}]
on_http_response:
  - expressions: ["res.status_code == 200"]
    actions:
      - type: add-headers
        config: {headers: {x-by: policy}}
      - type: log
        config: {metadata: {status: "${res.status_code}"}}
on_event_stream_message:
  - actions: [{type: sse-find-replace, config: {replacements: [{from: a, to: b}]}}]
`

func TestRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, change := range map[string]func(*workbench.Try){
		"rewritten.txt": func(t *workbench.Try) {
			t.Request = []byte("POST /old/x?q=1 HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\nbody\n")
		},
		"bot.txt": func(t *workbench.Try) {
			t.Request = []byte("GET / HTTP/1.1\nHost: a.example\nUser-Agent: Googlebot/2.1\nX-User: hush\n")
		},
		"answered.json": func(t *workbench.Try) { t.Request = []byte("GET /sorry HTTP/2.0\nHost: a.example\n") },
		"broken.txt":    func(t *workbench.Try) { t.Request = []byte("GET /broken HTTP/1.1\nHost: a.example\n") },
		"inner.txt":     func(t *workbench.Try) { t.Request = []byte("GET /inner HTTP/1.1\nHost: a.example\n") },
		"refused.txt":   func(t *workbench.Try) { t.Client = netip.MustParseAddrPort("198.51.100.9:1") },
		"missing.txt":   func(t *workbench.Try) { t.Response = []byte("HTTP/1.1 404 Not Found\r\n\r\nnone\r\n") },
		"events.txt": func(t *workbench.Try) {
			t.Response = []byte("HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\ndata: aa\nretry: 5\n\ndata: c\n\n")
		},
		"empty.txt":    func(t *workbench.Try) { t.Policy.Text = nil },
		"mistaken.txt": func(t *workbench.Try) { t.Policy.Text = []byte("on_http_request: 1\n") },
		"notbuilt.txt": func(t *workbench.Try) {
			t.Policy.Text = []byte("on_http_request: [{actions: [{type: jwt-validation}]}]\n")
		},
		"connection.txt": func(t *workbench.Try) {
			t.Endpoint, t.Request, t.TLS = endpoint.URL{Scheme: endpoint.TCP, Host: "a.example", Port: 22}, nil, nil
			t.Policy.Text = []byte("on_tcp_connect:\n  - actions:\n      - type: forward-internal\n        config: {url: \"tcp://inner.internal:22\"}\n")
		},
		"reset.txt": func(t *workbench.Try) {
			t.Endpoint, t.Request, t.TLS = endpoint.URL{Scheme: endpoint.TLS, Host: "a.example"}, nil, nil
			t.Policy.Text = []byte("on_tcp_connect:\n  - expressions: [\"conn.tls.sni == 'a.example'\"]\n    actions: [{type: deny}]\n")
		},
	} {
		try := workbench.Try{
			Policy:  workbench.File{Name: "p.yml", Text: []byte(sample)},
			Request: []byte("GET / HTTP/1.1\nHost: a.example\n"), TLS: &tls.ConnectionState{Version: tls.VersionTLS13},
		}
		try.Services.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
		try.Services.Secret = func(_, _, _ string) (string, error) { return "hush", nil }
		change(&try)
		w, o := output(strings.HasSuffix(name, ".json"))
		sound, err := b.Run(t.Context(), o, try)
		if err != nil || sound != (name != "mistaken.txt" && name != "notbuilt.txt") {
			t.Errorf("%s: got %v, %v", name, sound, err)
		}
		if o.JSON && !json.Valid([]byte(w.String())) {
			t.Errorf("%s is no JSON", name)
		}
		if strings.Contains(w.String(), `secrets.get("v", "s") = hush`) {
			t.Errorf("%s shows a secret", name)
		}
		golden(t, "run-"+name, w.String())
	}
}

func TestRunWithoutARequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, try := range map[string]workbench.Try{
		"https without a request": {},
		"tcp with a request":      {Endpoint: endpoint.URL{Scheme: endpoint.TCP}, Request: []byte("GET / HTTP/1.1\n")},
		"nonsense":                {Request: []byte("nonsense")},
		"response nonsense":       {Request: []byte("GET / HTTP/1.1\nHost: h\n"), Response: []byte("nonsense"), Policy: workbench.File{Text: []byte(sample)}},
	} {
		_, o := output(false)
		try.Services = policy.Services{}
		if _, err := b.Run(t.Context(), o, try); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
