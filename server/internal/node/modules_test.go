package node_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// What modules ask for is done by the actions of policies, one way for all clients.
func TestModules(t *testing.T) { //nolint:tparallel // one agent serves all
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	headers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "upstream")
		if r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		for _, name := range []string{"X-Added", "X-Removed"} {
			_, _ = io.WriteString(w, name+"="+strings.Join(r.Header.Values(name), ",")+" ")
		}
		_, _ = io.WriteString(w, r.Host+strings.Repeat(".", 1000))
	})
	always := 0.0
	type m = culvert.Modules
	agent := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("User-Agent", name) }
	}
	login := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	const ok, unauthorized, forbidden = http.StatusOK, http.StatusUnauthorized, http.StatusForbidden
	long := make([]string, 40)
	for i := range long {
		long[i] = strings.Repeat("x?y", 33) + strconv.Itoa(i%10)
	}
	type visit struct {
		edit   func(*http.Request)
		status int
		code   fault.Code
	}
	tests := []struct {
		name    string
		modules m
		visits  []visit
	}{
		{"nothing", m{}, []visit{{nil, ok, ""}}},
		{"basic auth", m{BasicAuth: []string{"u:pass:${word}", "v:password"}}, []visit{
			{nil, unauthorized, ""}, {login("u", "password"), unauthorized, ""}, {login("u", "pass:${word}"), ok, ""}, {login("v", "password"), ok, ""},
		}},
		{"allowed address", m{AllowCIDRs: []string{"127.0.0.0/8"}}, []visit{{nil, ok, ""}}},
		{"other addresses allowed", m{AllowCIDRs: []string{"10.0.0.0/8"}}, []visit{
			{nil, forbidden, fault.AddressRefused},
			{func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") }, forbidden, fault.AddressRefused},
		}},
		{"denied address", m{AllowCIDRs: []string{"0.0.0.0/0", "::/0"}, DenyCIDRs: []string{"127.0.0.1"}}, []visit{{nil, forbidden, fault.AddressRefused}}},
		{"denied agents", m{DenyUserAgents: []string{"(?i)bot", "^curl/"}}, []visit{
			{agent("Mozilla/5.0"), ok, ""},
			{agent("SomeBot/1"), forbidden, fault.UserAgentRefused},
			{agent("curl/8"), forbidden, fault.UserAgentRefused},
			{agent(""), forbidden, fault.UserAgentRefused},
			{agent("x" + strings.Repeat("y", 1024)), forbidden, fault.UserAgentRefused},
			{agent(strings.Repeat("x", 30_000) + "bot"), forbidden, fault.UserAgentRefused},
		}},
		{"as many agents as there is room for", m{DenyUserAgents: append(long, strings.Repeat("z", 92)+"|bot")}, []visit{
			{agent(strings.Repeat("ß", 1021) + "bot"), forbidden, fault.UserAgentRefused}, {agent(strings.Repeat("ß", 1021)), ok, ""},
		}},
		{"allowed agents", m{AllowUserAgents: []string{"^mine/", "^$"}}, []visit{
			{agent("mine/1"), ok, ""}, {agent("yours/1"), forbidden, fault.UserAgentRefused}, {agent(""), ok, ""},
		}},
		{"agents allowed in spite of a denial", m{AllowUserAgents: []string{"images"}, DenyUserAgents: []string{"bot"}}, []visit{
			{agent("bot-images"), ok, ""}, {agent("bot"), forbidden, fault.UserAgentRefused}, {agent("other"), ok, ""},
		}},
		{"circuit breaker", m{CircuitBreaker: &always}, []visit{
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, ok, ""},
			{nil, http.StatusServiceUnavailable, fault.CircuitOpen},
		}},
		{"address before password", m{AllowCIDRs: []string{"10.0.0.0/8"}, BasicAuth: []string{"u:password"}}, []visit{{nil, forbidden, fault.AddressRefused}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln := s.ServeHTTP(a, headers, culvert.WithModules(tt.modules))
			for i, v := range tt.visits {
				if v.edit == nil {
					v.edit = func(*http.Request) {}
				}
				resp, _ := s.Get(ln.URL().String(), v.edit)
				if code := resp.Header.Get("Ngrok-Error-Code"); resp.StatusCode != v.status || code != string(v.code) {
					t.Errorf("visit %d: got %d %q, want %d %q", i, resp.StatusCode, code, v.status, v.code)
				}
				if resp.StatusCode == unauthorized && resp.Header.Get("WWW-Authenticate") != `Basic realm="ngrok"` {
					t.Errorf("visit %d: asked with %q", i, resp.Header.Get("WWW-Authenticate"))
				}
			}
		})
	}
	t.Run("headers and compression", func(t *testing.T) {
		ln := s.ServeHTTP(a, headers, culvert.WithModules(m{
			RequestHeaders:  culvert.HeaderChanges{Add: []string{"x-added: one:${req.method}", "x-added:two", "host:other.example"}, Remove: []string{"x-removed", "x-added"}},
			ResponseHeaders: culvert.HeaderChanges{Add: []string{"server: mine"}, Remove: []string{"Server"}},
			Compression:     true,
		}), culvert.WithTrafficPolicy("on_http_response:\n  - actions:\n      - type: add-headers\n        config: {headers: {x-policy: '${res.headers[\"server\"][0]}'}}\n"))
		resp, body := s.Get(ln.URL().String(), func(r *http.Request) { r.Header.Set("X-Removed", "x"); r.Header.Set("X-Added", "x") }) // Go asks for gzip
		if want := "X-Added=one:GET,two X-Removed= other.example" + strings.Repeat(".", 1000); body != want || !resp.Uncompressed {
			t.Errorf("got %q, compressed %t, want %q, true", body, resp.Uncompressed, want)
		}
		if got := resp.Header.Values("Server"); len(got) != 1 || got[0] != "mine" || resp.Header.Get("X-Policy") != "mine" {
			t.Errorf("server %q, seen by the policy behind as %q, want mine", got, resp.Header.Get("X-Policy"))
		}
	})
}

// Streams are closed to addresses that are not allowed.
func TestModulesOfStreams(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	visit := func(m culvert.Modules) (string, error) {
		t.Helper()
		ln := s.ServeEcho(a, "echo", culvert.WithURL("tcp://"), culvert.WithModules(m))
		c := s.Dial(s.HostPort(ln.URL()))
		defer c.Close()
		_, _ = io.WriteString(c, "hello\n") // a closed connection shows in what is read
		line := make([]byte, 5)
		n, err := io.ReadAtLeast(c, line, 5)
		return string(line[:n]), err
	}
	if got, err := visit(culvert.Modules{AllowCIDRs: []string{"127.0.0.1"}}); err != nil {
		t.Errorf("allowed: got %q, %v, want an answer", got, err)
	}
	got, err := visit(culvert.Modules{AllowCIDRs: []string{"::/0", "10.0.0.0/8"}})
	if timeout, ok := errors.AsType[net.Error](err); err == nil || ok && timeout.Timeout() {
		t.Errorf("not allowed: got %q, %v, want the connection closed", got, err)
	}
}

// A replaced policy leaves the modules in force, and so does a restart of the server.
func TestModulesStay(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	up := httptest.NewServer(nodetest.Text("upstream"))
	defer up.Close()
	e, err := s.Agent().Forward(context.Background(), culvert.WithUpstream(up.URL), culvert.WithModules(culvert.Modules{BasicAuth: []string{"u:password"}}),
		culvert.WithTrafficPolicy("on_http_request:\n  - actions: [{type: custom-response, config: {body: policy}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := func(status int, text string, edit func(*http.Request)) {
		t.Helper()
		if resp, body := s.Get(e.URL().String(), edit); resp.StatusCode != status || body != text {
			t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, status, text)
		}
	}
	nobody, somebody := func(*http.Request) {}, func(r *http.Request) { r.SetBasicAuth("u", "password") }
	want(http.StatusUnauthorized, "", nobody)
	want(http.StatusOK, "policy", somebody)
	none := ""
	if err := e.(culvert.UpdateableEndpointForwarder).Update(t.Context(), nil, nil, nil, nil, &none); err != nil { //nolint:errcheck,forcetypeassert // it is one
		t.Fatal(err)
	}
	want(http.StatusUnauthorized, "", nobody)
	want(http.StatusOK, "upstream", somebody)
	s.Restart()
	want(http.StatusUnauthorized, "", nobody)
	want(http.StatusOK, "upstream", somebody)
}
