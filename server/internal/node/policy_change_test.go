package node_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// changing is a policy that changes whatever passes.
const changing = `
on_http_request:
  - expressions: ["req.url.path == '/close'"]
    actions:
      - type: close-connection
  - actions:
      - type: url-rewrite
        config: {from: "/users/(\\d+)", to: "/user?id=$1"}
      - type: remove-headers
        config: {headers: [x-forwarded-for, x-a]}
      - type: add-headers
        config: {headers: {x-a: from the policy}}
      - type: request-body-find-replace
        config: {replacements: [{from: "(s)ecret", to: "-$1-"}]}
on_http_response:
  - actions:
      - type: response-body-find-replace
        config: {replacements: [{from: "inner", to: "a longer word"}]}
on_event_stream_message:
  - actions:
      - type: sse-find-replace
        config: {replacements: [{from: inner, to: outer}, {field: retry, from: ".+", to: "5000"}]}
`

// echo answers with what it got.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/events" {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": a comment\n\nid: 1\nretry: 10\ndata: inner 1\ndata: inner 2\n\ndata: none\n\n")
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "inner: %s %s %d %q %q %q", r.Method, r.RequestURI, r.ContentLength, r.Header["X-A"], r.Header["X-Forwarded-For"], body)
})

func TestPolicy52_53_55_56_Changes(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), echo, culvert.WithTrafficPolicy(changing))
	u := strings.TrimSuffix(ln.URL().String(), "/")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, "a secret")
	_ = z.Close()
	for name, tt := range map[string]struct {
		body   io.Reader
		coding string
		want   string
	}{
		"length":  {strings.NewReader("a secret"), "", `5 ["from the policy"] [] "a -s-"`},
		"chunked": {io.MultiReader(strings.NewReader("a se"), strings.NewReader("cret")), "", `-1 ["from the policy"] [] "a -s-"`},
		"gzip":    {&zipped, "gzip", `5 ["from the policy"] [] "a -s-"`},
		"large":   {strings.NewReader(strings.Repeat("x", 100_000) + "secret"), "", `100003 ["from the policy"] [] "` + strings.Repeat("x", 100_000) + `-s-"`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u+"/users/7", tt.body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-A", "from the client")
		if tt.coding != "" {
			req.Header.Set("Content-Encoding", tt.coding)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := "a longer word: POST /user?id=7 " + tt.want; err != nil || string(got) != want || resp.ContentLength >= 0 && resp.ContentLength != int64(len(want)) {
			t.Errorf("%s: got %d %.200q with length %d, %v, want %.200q", name, resp.StatusCode, got, resp.ContentLength, err, want)
		}
	}
	const events = ": a comment\n\nid: 1\nretry: 5000\ndata: outer 1\ndata: outer 2\n\ndata: none\n\n"
	if resp, body := s.Get(u + "/events"); body != events {
		t.Errorf("got %d %q, want %q", resp.StatusCode, body, events)
	}
}

func TestPolicy61_CloseConnection(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), echo, culvert.WithTrafficPolicy(changing))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(ln.URL().String(), "/")+"/close", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Errorf("got an answer with status %d, want the connection closed", resp.StatusCode)
	}
}
