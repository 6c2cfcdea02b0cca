package edge

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/logs"
)

// logged is an access log in JSON, and its lines as far as policies wrote them.
func logged(w io.Writer) (func(*Config), func(t testing.TB, text string) []map[string]any) {
	log := slog.New(logs.NewHandler(w, logs.JSON, slog.LevelInfo))
	return func(c *Config) { c.AccessLog = log }, func(t testing.TB, text string) []map[string]any {
		t.Helper()
		var all []map[string]any
		for line := range strings.Lines(text) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			all = append(all, m)
		}
		return all
	}
}

func wantLogs(t testing.TB, line map[string]any, msg, entries string) {
	t.Helper()
	got, err := json.Marshal(line[logsKey])
	if err != nil {
		t.Fatal(err)
	}
	if line["msg"] != msg || string(got) != entries {
		t.Errorf("got %v with %s, want %s with %s", line["msg"], got, msg, entries)
	}
}

// TestPolicy60_LogsOfRequests has an outer and an inner endpoint record, in
// every phase.
func TestPolicy60_LogsOfRequests(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var out strings.Builder
	access, lines := logged(lockedWriter{&mu, &out})
	w := newWorld(t, access)
	up := answer(t, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	w.online("https://in.internal", up, inside, governed(t, "on_http_request: [{actions: [{type: log, config: {metadata: {inner: '${endpoint.host}'}}}]}]"))
	w.online(app, up, governed(t, `
on_tcp_connect:
  - actions: [{type: log, config: {metadata: {sni: "${conn.tls.sni}"}}}]
on_http_request:
  - actions:
      - {type: log, config: {metadata: {n: "${1 + 1}", list: [true, "a${req.method}b"]}}}
      - {type: forward-internal, config: {url: https://in.internal}}
on_http_response:
  - actions: [{type: log, config: {metadata: {status: "${res.status_code}"}}}]
`))
	c := w.h1()
	do(t, c, "GET", "/", nil)
	do(t, c, "GET", "/", nil) // when it is answered the lines before are written
	mu.Lock()
	defer mu.Unlock()
	got := lines(t, out.String())
	if len(got) < 2 {
		t.Fatalf("got %d lines: %s", len(got), out.String())
	}
	wantLogs(t, got[0], "connection", `[{"metadata":{"sni":"app.example.com"}}]`)
	wantLogs(t, got[1], "request", `[{"metadata":{"list":[true,"aGETb"],"n":2}},{"metadata":{"inner":"in.internal"}},{"metadata":{"status":201}}]`)
}

func TestPolicy60_LogsOfConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		access, lines := logged(&out)
		w := newWorld(t, tcpHost, access)
		w.claim()
		e := w.online(tcpURL, echo(t, ""), governed(t, "on_tcp_connect: [{actions: [{type: log, config: {metadata: {port: '${conn.server_port}'}}}]}]"))
		c := w.connect(clientIP, tcpAddr)
		wantEcho(t, c, "ping")
		_ = c.Close()
		synctest.Wait()
		w.offline(e)
		w.online(tcpURL, refused(t), governed(t, "on_tcp_connect: [{actions: [{type: log, config: {metadata: {no: true}}}, {type: act, config: {refuse: true}}]}]"))
		wantClosed(t, w.connect(clientIP, tcpAddr))
		synctest.Wait()
		got := lines(t, out.String())
		if len(got) != 2 {
			t.Fatalf("got %d lines: %s", len(got), out.String())
		}
		wantLogs(t, got[0], "connection", `[{"metadata":{"port":20001}}]`)
		wantLogs(t, got[1], "connection", `[{"metadata":{"no":true}}]`)
		if got[1]["err"] != errTurnedAway.Error() {
			t.Errorf("the refused one: got %v", got[1])
		}
	})
}
