package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
)

// broken is a resource whose objects do what their ids say.
type broken struct {
	control.Resource
	hold chan chan struct{} // objects called hold wait there
}

func (broken) Spec() *api.Resource {
	return &api.Resource{
		Name: "broken thing", Path: "/broken", ListKey: "broken", Prefix: "b", Also: []string{"bb"}, Verbs: []api.Verb{api.Get, api.Create},
		Actions: []api.Action{
			{Name: "shake", Method: http.MethodPost, Doc: "shake it"},
			{Name: "turn", Path: "turns", Method: http.MethodDelete, Doc: "turn it"},
		},
		Answer: api.Meta{}, Force: true,
	}
}

func (r broken) Get(ctx context.Context, c *control.Caller, id string) (any, error) {
	switch id {
	case "b_panic":
		panic("hidden")
	case "b_unencodable":
		return func() {}, nil
	case "b_plain":
		return nil, errors.New("hidden")
	case "b_away":
		return nil, fault.New(fault.DatabaseUnavailable)
	case "b_hold":
		release := make(chan struct{})
		r.hold <- release
		select {
		case <-release:
		case <-ctx.Done():
		}
	}
	return map[string]any{"id": id, "address": c.Address}, nil
}

func (broken) Create(_ context.Context, c *control.Caller, _ []byte) (any, error) {
	return map[string]any{"force": c.Force}, nil
}

// Act answers with what it was asked; to shake a certain object panics.
func (broken) Act(_ context.Context, _ *control.Caller, id, action string, body []byte) (any, error) {
	if id == "b_1" {
		panic("hidden")
	}
	if action == "turn" {
		return nil, nil //nolint:nilnil // no answer
	}
	return map[string]any{"did": action, "id": id, "body": string(body)}, nil
}

func TestActions(t *testing.T) {
	t.Parallel()
	c := serveAs(t, func(cfg *rest.Config) { cfg.Resources = append(cfg.Resources, broken{}) })
	got := c.must(200, "POST", "/broken/b_2/shake", `{"x":1}`)
	if got["did"] != "shake" || got["id"] != "b_2" || got["body"] != `{"x":1}` {
		t.Errorf("shake = %v", got)
	}
	c.must(204, "DELETE", "/broken/b_2/turns", "")
	c.must(404, "DELETE", "/broken/b_2/turn", "")
	c.must(404, "GET", "/broken/b_2/shake", "")
	if got := c.must(200, "GET", "/broken/bb_2", ""); got["id"] != "b_2" {
		t.Errorf("the other prefix gives %v, want the id with the own one", got)
	}
	if status, e := c.do("POST", "/broken/b_2/shake", "{}", "Authorization: Bearer read"); status != 403 || e["error_code"] != string(fault.WriteRefused) {
		t.Errorf("an action of one who may only read = %d %v", status, e)
	}
	defer func() {
		if recover() == nil {
			t.Error("New takes a resource without Act whose table has an action")
		}
	}()
	rest.New(rest.Config{Resources: []control.Resource{struct{ control.Resource }{broken{}}}})
}

func TestForce(t *testing.T) {
	t.Parallel()
	c := serveAs(t, func(cfg *rest.Config) { cfg.Resources = append(cfg.Resources, broken{}) })
	for query, want := range map[string]any{"": false, "?force=true": true, "?force=false": false} {
		if got := c.must(201, "POST", "/broken"+query, ""); got["force"] != want {
			t.Errorf("%q gives force = %v, want %v", query, got["force"], want)
		}
	}
	for path, code := range map[string]fault.Code{
		"/broken?force=perhaps": fault.FieldInvalid, "/broken?force=true&force=true": fault.QueryTwice, "/broken?x=1": fault.QueryUnknown, "/vaults?force=true": fault.QueryUnknown,
	} {
		if status, e := c.do("POST", path, "{}"); status != 400 || e["error_code"] != string(code) {
			t.Errorf("POST %s = %d %v, want 400 with %s", path, status, e, code)
		}
	}
}

func TestIDsOfOtherKinds(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for path, code := range map[string]fault.Code{
		"/vaults/ep_2b8xWJq9kqN1cKQ7yC6mV0tUe1D": fault.ReferenceKind, "/vaults/shop": fault.ReferenceInvalid, "/vaults/_x": fault.ReferenceInvalid,
		"/vaults/vault_": fault.ReferenceInvalid, "/vaults/ep_1/secrets": fault.ReferenceKind,
	} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			if method != "GET" && strings.HasSuffix(path, "/secrets") {
				continue
			}
			if status, e := c.do(method, path, ""); status != 404 || e["status_code"] != float64(404) || e["error_code"] != string(code) {
				t.Errorf("%s %s = %d %v, want 404 with %s", method, path, status, e, code)
			}
		}
	}
}

func TestHEAD(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for _, path := range []string{"/", "/vaults", "/openapi.json"} {
		get, text := c.raw("GET", path, "")
		head, nothing := c.raw("HEAD", path, "")
		if head.StatusCode != 200 || len(nothing) > 0 || head.ContentLength != int64(len(text)) || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s = %d, %d bytes of %d", path, head.StatusCode, len(nothing), head.ContentLength)
		}
	}
}

func TestRootAndSelf(t *testing.T) {
	t.Parallel()
	c := serveAs(t, func(cfg *rest.Config) {
		cfg.Self = func(_ context.Context, caller *control.Caller) (api.Account, string, error) {
			return api.Account{ID: caller.Account, Name: "shop"}, "a@example.com", nil
		}
	})
	root := c.must(200, "GET", "/", "")
	if uris := root["subresource_uris"].(map[string]any); root["uri"] != c.url+"/" || uris["vaults"] != c.url+"/vaults" {
		t.Errorf("root = %v", root)
	}
	self := c.must(200, "GET", "/self", "")
	if account := self["account"].(map[string]any); account["id"] != "ac_1" || account["name"] != "shop" || self["user"] != "a@example.com" {
		t.Errorf("self = %v", self)
	}
}

// The document needs neither key nor version (decisions.md 55), and names what the server has.
func TestDocument(t *testing.T) {
	t.Parallel()
	c := serve(t)
	status, doc := c.do("GET", "/openapi.json", "", "Authorization: ", "Ngrok-Version: ")
	if status != 200 || doc["openapi"] != "3.1.0" {
		t.Fatalf("GET /openapi.json = %d %v", status, doc)
	}
	for path, item := range doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if path == "/self" || path == api.UsagePath {
				continue // this server has none
			}
			body := map[bool]string{true: "{}"}[method == "post" || method == "patch"]
			_, e := c.do(strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "vault_1"), body)
			if details, _ := e["details"].(map[string]any); details["path"] != nil {
				t.Errorf("%s %s is in the document and not in the server", method, path)
			}
		}
	}
}

func TestRetiredCollections(t *testing.T) {
	t.Parallel()
	c := serve(t)
	for path, key := range map[string]string{"/edges/https": "https_edges", "/edges/tls": "tls_edges", "/backends/weighted": "backends", "/endpoint_configurations": "endpoint_configurations"} {
		page := c.must(200, "GET", path, "")
		if items, ok := page[key].([]any); !ok || len(items) != 0 || page["next_page_uri"] != nil || page["uri"] != c.url+path {
			t.Errorf("%s = %v", path, page)
		}
	}
	for _, request := range []string{"POST /edges/https", "GET /edges/https/edghts_1", "GET /edges", "GET /pointcfg_module", "DELETE /backends/static/x", "PUT /edges/https/x/routes/y/compression"} {
		method, path, _ := strings.Cut(request, " ")
		if status, e := c.do(method, path, ""); status != 400 || e["error_code"] != string(fault.ResourceRetired) {
			t.Errorf("%s = %d %v, want 400 with %s", request, status, e, fault.ResourceRetired)
		}
	}
}

func TestT67_CORS(t *testing.T) {
	t.Parallel()
	const page = "https://console.example.com"
	c := serveAs(t, func(cfg *rest.Config) { cfg.Origins = []string{page} })
	preflight := []string{"Authorization: ", "Ngrok-Version: ", "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: authorization, ngrok-version"}
	resp, text := c.raw("OPTIONS", "/vaults/vault_1", "", append(preflight, "Origin: "+page)...)
	h := resp.Header
	if resp.StatusCode != 204 || len(text) > 0 || h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Methods") != "GET, PATCH, DELETE" ||
		h.Get("Access-Control-Allow-Headers") != "authorization, ngrok-version" || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight = %d %v", resp.StatusCode, h)
	}
	if resp, _ := c.raw("GET", "/vaults", "", "Origin: "+page); resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != page || resp.Header.Get("Vary") != "Origin" {
		t.Errorf("request of the page = %d %v", resp.StatusCode, resp.Header)
	}
	for _, origin := range []string{"https://evil.example.com", "null", "https://console.example.com.evil.test", page + ":444"} {
		if resp, _ := c.raw("OPTIONS", "/vaults", "", append(preflight, "Origin: "+origin)...); resp.StatusCode == 204 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight of %s = %d %v", origin, resp.StatusCode, resp.Header)
		}
	}
	if resp, _ := serve(t).raw("OPTIONS", "/vaults", "", append(preflight, "Origin: "+page)...); resp.StatusCode == 204 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight without a list = %d %v", resp.StatusCode, resp.Header)
	}
}

func TestAPI_42_RateLimit(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	c := serveAs(t, func(cfg *rest.Config) {
		cfg.Limits.Rate = 120
		cfg.Now = func() time.Time { return now }
	})
	for i := range 120 {
		if i == 60 {
			now = now.Add(30 * time.Second)
		}
		c.must(200, "GET", "/vaults", "")
	}
	resp, text := c.raw("GET", "/vaults", "")
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "30" || !strings.Contains(string(text), string(fault.APIRate)) {
		t.Errorf("request 121 = %d, Retry-After %q, %s, want 429, 30 and %s", resp.StatusCode, resp.Header.Get("Retry-After"), text, fault.APIRate)
	}
	if status, _ := c.do("GET", "/vaults", "", "Authorization: Bearer two"); status != 200 {
		t.Errorf("another account gets %d, want 200", status)
	}
	now = now.Add(30 * time.Second)
	for range 60 {
		c.must(200, "GET", "/vaults", "")
	}
	c.must(429, "GET", "/vaults", "")
	unlimited := serve(t)
	for range 300 {
		unlimited.must(200, "GET", "/vaults?limit=1", "")
	}
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	hold := make(chan chan struct{})
	c := serveAs(t, func(cfg *rest.Config) {
		cfg.Resources = append(cfg.Resources, broken{hold: hold})
		cfg.Limits = rest.Limits{Concurrent: 3, PerAccount: 2}
	})
	statuses := make(chan int, 3)
	var releases []chan struct{}
	wait := func(key string) {
		go func() {
			status, _ := c.do("GET", "/broken/b_hold", "", "Authorization: Bearer "+key)
			statuses <- status
		}()
		releases = append(releases, <-hold)
	}
	wait("one")
	wait("one")
	if status, e := c.do("GET", "/vaults", ""); status != 429 || e["error_code"] != string(fault.APIBusy) {
		t.Errorf("a third request of the account = %d %v, want 429 with %s", status, e, fault.APIBusy)
	}
	wait("two")
	if resp, text := c.raw("GET", "/vaults", "", "Authorization: Bearer two"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("a fourth request in all = %d %s, want 429", resp.StatusCode, text)
	}
	for _, release := range releases {
		close(release)
		if status := <-statuses; status != 200 {
			t.Errorf("a request that waited = %d, want 200", status)
		}
	}
	c.must(200, "GET", "/vaults", "")
}

// An address that may not use the account's API is refused before anything is looked up.
func TestAdmit(t *testing.T) {
	t.Parallel()
	c := serveAs(t, func(cfg *rest.Config) {
		cfg.Admit = func(account string, from netip.Addr) error {
			if account == "ac_1" && from.IsLoopback() {
				return fault.New(fault.WriteRefused)
			}
			return nil
		}
	})
	c.must(403, "GET", "/nothing", "")
	if status, _ := c.do("GET", "/vaults", "", "Authorization: Bearer two"); status != 200 {
		t.Errorf("another account gets %d, want 200", status)
	}
}

// T66: every route with every way of not being entitled.
func TestT66_EveryRouteUnentitled(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	server := httptest.NewServer(rest.New(cfg))
	t.Cleanup(server.Close)
	c := &client{t, server.URL, "one"}
	vault := c.must(201, "POST", "/vaults", `{"name":"mine"}`)["id"].(string)
	own := map[string]string{
		"/vaults":        vault,
		"/vault_secrets": c.must(201, "POST", "/vault_secrets", `{"name":"s","value":"planted-value","vault_id":"`+vault+`"}`)["id"].(string),
	}
	routes := []api.Route{{Method: "GET", Path: "/"}, {Method: "GET", Path: "/nothing"}}
	for _, r := range cfg.Resources {
		routes = append(routes, r.Spec().Routes()...)
	}
	cases := 0
	for _, r := range routes {
		path := r.Path
		if r.HasID() {
			path = strings.Replace(path, api.IDSegment, own[r.Resource.Path], 1)
		}
		body := map[bool]string{true: `{"name":"stolen"}`}[r.Method == "POST" || r.Method == "PATCH"]
		for _, tt := range []struct {
			name, header string
			status       int
			skip         bool
		}{
			{"no key", "Authorization: ", 403, false},
			{"malformed", "Authorization: Bearer", 401, false},
			{"other scheme", "Authorization: Negotiate x", 403, false},
			{"unknown", "Authorization: Bearer nobody", 401, false},
			{"read-only", "Authorization: Bearer read", 403, !r.Writes()},
			{"another account", "Authorization: Bearer two", 404, !r.HasID()},
		} {
			if tt.skip {
				continue
			}
			cases++
			resp, text := c.raw(r.Method, path, body, tt.header)
			if resp.StatusCode != tt.status && !(tt.name == "malformed" && resp.StatusCode == 403) || strings.Contains(string(text), "planted") {
				t.Errorf("%s: %s %s = %d %s, want %d", tt.name, r.Method, path, resp.StatusCode, text, tt.status)
			}
		}
	}
	t.Logf("%d requests", cases)
	if got := c.must(200, "GET", "/vaults/"+vault, ""); got["name"] != "mine" {
		t.Errorf("the vault is %v after all that", got)
	}
}

// T66: a body that is too large is not read to its end, and one that never ends does not hold the server.
func TestT66_Bodies(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(rest.New(config(t)))
	server.Config.ReadTimeout = 300 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	c := &client{t, server.URL, "one"}
	req := c.request("POST", "/vaults", "", "Content-Type: application/json")
	sent := &counter{}
	req.Body, req.ContentLength = io.NopCloser(io.TeeReader(io.LimitReader(endless{}, 1<<30), sent)), -1
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("a body without end = %d, want 413", resp.StatusCode)
		}
	}
	if n := sent.n.Load(); n > 64<<20 { // it may go on while the answer is read
		t.Errorf("%d bytes of a body without end were taken", n)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /vaults HTTP/1.1\r\nHost: x\r\nNgrok-Version: 2\r\nAuthorization: Bearer one\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400") || !strings.Contains(string(text), string(fault.RequestUnreadable)) {
		t.Errorf("a body that stops = %q, %v, want 400 with %s", text, err, fault.RequestUnreadable)
	}
}

// endless is a text without end, counter the length of what is written.
type (
	endless struct{}
	counter struct{ n atomic.Int64 }
)

func (endless) Read(b []byte) (int, error) {
	copy(b, slices.Repeat([]byte{' '}, len(b)))
	return len(b), nil
}

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
