package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/claims/claimstest"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/snapshot"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

// online are the endpoints of agents in a test, by descending ids.
type online []control.AgentEndpoint

func (o online) Endpoints(account, before string) []control.AgentEndpoint {
	var all []control.AgentEndpoint
	for _, a := range o {
		if a.Bound.Account == account && (before == "" || a.Bound.TunnelID < before) {
			all = append(all, a)
		}
	}
	return all
}

func (o online) Endpoint(id string) (control.AgentEndpoint, bool) {
	for _, a := range o {
		if a.Bound.TunnelID == id {
			return a, true
		}
	}
	return control.AgentEndpoint{}, false
}

// cloud is stored endpoints on a database of their own, and the binder that they share with agents.
type cloud struct {
	t      *testing.T
	db     *sqlstore.Store
	binder *claims.Binder
	ports  *claimstest.Ports
	agents online
	control.Resource
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "culvert.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return cloudOn(t, db)
}

// cloudOn is a server that begins on a database.
func cloudOn(t *testing.T, db *sqlstore.Store) *cloud {
	t.Helper()
	cfg := config(t)
	machine := newPorts(20009)
	cfg.Ports, cfg.Logger = machine, slog.New(slog.NewTextHandler(t.Output(), nil))
	c := &cloud{t: t, db: db, binder: newBinder(t, cfg), ports: machine}
	follower := store.NewFollower(db, cfg.Logger, snapshot.NewCloud(snapshot.New(route.NewRouter(), nil), cfg.Policies, c.binder, cfg.Logger))
	if err := follower.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.binder.OpenPorts()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = follower.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	c.Resource = control.NewEndpoints(&control.Shared{Store: db, Now: time.Now, Settle: follower.Wait}, c.binder, &c.agents)
	return c
}

var owner = control.Caller{Account: "ac", Principal: "usr_1", Write: true, Origin: "https://api.test"}

const hello = "on_http_request: [{actions: [{type: custom-response, config: {status_code: 200}}]}]"

// fields makes the body of a request: a url with a policy that answers, and more.
func fields(t *testing.T, url string, more map[string]any) []byte {
	t.Helper()
	m := map[string]any{"traffic_policy": hello}
	if strings.HasPrefix(url, "tcp") || strings.HasPrefix(url, "tls") {
		m["traffic_policy"] = "on_tcp_connect: [{actions: [{type: close-connection}]}]"
	}
	if url != "" {
		m["url"] = url
	}
	for k, v := range more {
		m[k] = v
	}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func (c *cloud) create(url string, more map[string]any) (*api.Endpoint, error) {
	c.t.Helper()
	o := owner
	a, err := c.Create(c.t.Context(), &o, fields(c.t, url, more))
	if err != nil {
		return nil, err
	}
	return a.(*api.Endpoint), nil
}

func (c *cloud) must(a *api.Endpoint, err error) *api.Endpoint {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func (c *cloud) update(id, body string) (*api.Endpoint, error) {
	c.t.Helper()
	o := owner
	a, err := c.Update(c.t.Context(), &o, id, []byte(body))
	if err != nil {
		return nil, err
	}
	return a.(*api.Endpoint), nil
}

func (c *cloud) remove(id string) {
	c.t.Helper()
	o := owner
	if err := c.Delete(c.t.Context(), &o, id); err != nil {
		c.t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want fault.Code) {
	t.Helper()
	if !fault.Has(err, want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

var pool = map[string]any{"pooling_enabled": true}

func TestEndpointFields(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, tt := range []struct {
		url, public, host, hostport, binding string
		port                                 uint16
	}{
		{"https://App.example.com", "https://app.example.com:9443", "app.example.com", "app.example.com:9443", "public", 9443},
		{"https://full.example.com:443", "https://full.example.com:9443", "full.example.com", "full.example.com:9443", "public", 9443},
		{"https://extra.example.com:8443", "https://extra.example.com:8443", "extra.example.com", "extra.example.com:8443", "public", 8443},
		{"http://app.example.com", "http://app.example.com:9080", "app.example.com", "app.example.com:9080", "public", 9080},
		{"tls://raw.example.com:443", "tls://raw.example.com:9443", "raw.example.com", "raw.example.com:9443", "public", 9443},
		{"https://svc.internal", "https://svc.internal", "svc.internal", "svc.internal:443", "internal", 443},
		{"tcp://example.com:20001", "tcp://localhost:20001", "localhost", "localhost:20001", "public", 20001},
		{"https://*.svc.internal:8443", "https://*.svc.internal:8443", "*.svc.internal", "*.svc.internal:8443", "internal", 8443},
	} {
		a := c.must(c.create(tt.url, nil))
		scheme, _, _ := strings.Cut(tt.url, ":")
		if a.URL != tt.url || a.PublicURL != tt.public || a.Host != tt.host || a.Hostport != tt.hostport || a.Port != tt.port ||
			len(a.Bindings) != 1 || a.Bindings[0] != tt.binding || a.Scheme != scheme || a.Proto != scheme || a.Type != "cloud" ||
			a.Principal == nil || a.Principal.ID != "usr_1" || a.URI != "https://api.test/endpoints/"+a.ID || a.Tunnel != nil {
			t.Errorf("%s: got %+v", tt.url, a)
		}
	}
}

// TestAPI16_PoliciesAreEchoedByteForByte holds what Terraform compares.
func TestAPI16_PoliciesAreEchoedByteForByte(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	text := "# a comment\r\non_http_request:\n\n  -   actions:\n      - {\"type\": 'custom-response',   config: {status_code: 200, body: \"<&>\u2028 é\"}}   \n\t\n"
	text = strings.ReplaceAll(text, "\t", " ")
	a := c.must(c.create("https://app.example.com", map[string]any{"traffic_policy": text, "metadata": " {\"k\": 1}\n", "bindings": []string{"public"}}))
	for range 2 { // applied twice
		body, err := json.Marshal(map[string]any{"traffic_policy": text, "description": "", "metadata": " {\"k\": 1}\n", "bindings": []string{"public"}, "pooling_enabled": false, "id": a.ID})
		if err != nil {
			t.Fatal(err)
		}
		a = c.must(c.update(a.ID, string(body)))
		o := owner
		got, err := c.Get(t.Context(), &o, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if e := got.(*api.Endpoint); e.TrafficPolicy != text || e.Metadata != " {\"k\": 1}\n" || e.URL != "https://app.example.com" || e.PoolingEnabled {
			t.Errorf("got %+v, want the policy %q", e, text)
		}
	}
}

func TestEndpointRefusals(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		name, url string
		more      map[string]any
		code      fault.Code
	}{
		{"no url", "", nil, fault.EndpointFieldMissing},
		{"url of another type", "", map[string]any{"url": 3}, fault.EndpointFieldInvalid},
		{"type", "https://a.example.com", map[string]any{"type": "edge"}, fault.EndpointTypeInvalid},
		{"no URL", "https://a b", nil, fault.EndpointURLUnreadable},
		{"bad name", "https://a_b.example.com", nil, fault.EndpointURLInvalid},
		{"no host", "https://", nil, fault.EndpointURLInvalid},
		{"no scheme", "a.example.com", nil, fault.EndpointScheme},
		{"unknown scheme", "ftp://a.example.com", nil, fault.EndpointScheme},
		{"path", "https://a.example.com/x", nil, fault.URLExtraPart},
		{"slash", "https://a.example.com/", nil, fault.URLTrailingSlash},
		{"no port", "tcp://example.com", nil, fault.PortMissing},
		{"other port", "https://a.example.com:8444", nil, fault.EndpointPort},
		{"foreign name", "https://a.example.net", nil, fault.EndpointNotReserved},
		{"foreign port", "tcp://example.com:21000", nil, fault.EndpointNotReserved},
		{"kept name", "https://api.example.com", nil, fault.NameKept},
		{"busy port", "tcp://example.com:20009", nil, fault.TCPPortBusy},
		{"unknown binding", "https://a.example.com", map[string]any{"bindings": []string{"all"}}, fault.EndpointBinding},
		{"two bindings", "https://a.example.com", map[string]any{"bindings": []string{"public", "internal"}}, fault.EndpointBinding},
		{"binding twice", "https://a.example.com", map[string]any{"bindings": []string{"public", "public"}}, fault.EndpointBinding},
		{"public internal", "https://a.internal", map[string]any{"bindings": []string{"public"}}, fault.PublicInternal},
		{"internal public", "https://a.example.com", map[string]any{"bindings": []string{"internal"}}, fault.InternalSuffix},
		{"kubernetes over https", "https://a.b", map[string]any{"bindings": []string{"kubernetes"}}, fault.EndpointKubernetesScheme},
		{"kubernetes", "http://a.b", map[string]any{"bindings": []string{"kubernetes"}}, fault.BindingNotBuilt},
		{"no policy", "https://a.example.com", map[string]any{"traffic_policy": nil}, fault.EndpointPolicyMissing},
		{"empty policy", "https://a.example.com", map[string]any{"traffic_policy": ""}, fault.EndpointPolicyMissing},
		{"blank policy", "https://a.example.com", map[string]any{"traffic_policy": " \n"}, fault.EndpointPolicyMissing},
		{"policy without rules", "https://a.example.com", map[string]any{"traffic_policy": "{}"}, fault.EndpointPolicyInvalid},
		{"unknown action", "https://a.example.com", map[string]any{"traffic_policy": "on_http_request: [{actions: [{type: nothing}]}]"}, fault.EndpointPolicyInvalid},
		{"description", "https://a.example.com", map[string]any{"description": long}, fault.DescriptionTooLong},
		{"metadata", "https://a.example.com", map[string]any{"metadata": long}, fault.EndpointMetadataLong},
		{"pooling", "https://a.example.com", map[string]any{"pooling_enabled": "yes"}, fault.EndpointFieldInvalid},
		{"answer's field", "https://a.example.com", map[string]any{"host": "x"}, fault.FieldUnknown},
	} {
		_, err := c.create(tt.url, tt.more)
		if !fault.Has(err, tt.code) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.code)
		}
	}
	// None of them has left anything behind.
	c.must(c.create("https://a.example.com", nil))
}

// Whoever names another port is told which ones there are.
func TestEndpointPortRefusalNamesThePorts(t *testing.T) {
	t.Parallel()
	_, err := newCloud(t).create("https://a.example.com:8444", nil)
	wantCode(t, err, fault.EndpointPort)
	const want = "The server does not listen on port 8444 for https endpoints; its ports for them are "
	if got := fault.From(err).Message; !strings.HasPrefix(got, want) || strings.Contains(got, "?") {
		t.Errorf("got %q, want %q and the ports", got, want)
	}
}

// What to do about a name or address depends on why it cannot be had.
func TestEndpointRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for url, want := range map[string]string{
		"https://shop.example.net":  "culvert api reserved-domains create --domain shop.example.net.",
		"https://*.example.net":     "culvert api reserved-domains create --domain ",
		"tcp://example.com":         "Add a port, as in tcp://localhost:20000.",
		"tcp://shop.example.com":    "Add a port, as in tcp://localhost:20000.",
		"tcp://db.internal":         "Add a port, as in tcp://db.internal:5432.",
		"tcp://example.com:21000":   "Use the host and a port as shown there.",
		"tcp://a.example.com:20000": "Use the host and a port as shown there.",
	} {
		_, err := c.create(url, nil)
		f := fault.From(err)
		if err == nil || !strings.Contains(f.Remedy, want) {
			t.Errorf("%s: got %v with the remedy %q, want %q", url, err, f.Remedy, want)
		}
		if strings.Contains(f.Message, ": The") || strings.Contains(f.Message, "..") {
			t.Errorf("%s: got the message %q", url, f.Message)
		}
	}
}

// All mistakes of a policy are told at once, whatever their kind, each on a line.
func TestEndpointPolicyMistakesHaveLines(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	_, err := c.create("https://a.example.com", map[string]any{"traffic_policy": strings.Join([]string{
		"on_http_request:",
		"- action: [{type: deny}]",
		"- actions: [{type: nothing}]",
		"- actions: [{type: add-headers, config: {header: {x: y}}}]",
	}, "\n")})
	wantCode(t, err, fault.EndpointPolicyInvalid)
	lines := strings.Split(fault.From(err).Message, "\n")
	told := strings.Join(lines, "|")
	for i, want := range []string{"mistakes: ", "2:", "3:", "4:"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("no line %d with %q in %s", i, want, told)
		}
	}
	if n := fmt.Sprintf("(mistakes: %d).", len(lines)-1); lines[0] != "The traffic policy is not valid "+n {
		t.Errorf("got %d lines: %s", len(lines), told)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "; 3:") {
		t.Errorf("on one line it is %q", text)
	}
}

// What a policy lacks is told with the inner code and its place (api.md 6.3).
func TestEndpoints40_PoliciesThatMayNotAnswer(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for text, want := range map[string][]string{
		"on_http_request: [{expressions: [\"req.method == 'GET'\"], actions: [{type: custom-response, config: {status_code: 200}}]}]": {"ERR_NGROK_2235"},
		"on_http_request: [{actions: [{type: forward-internal, config: {url: 'https://x.internal', on_error: continue}}]}]":           {"ERR_NGROK_2235"},
		"on_http_response: [{actions: [{type: deny}]}]":                               {"ERR_NGROK_2235"},
		"enabled: false\n" + hello:                                                    {"ERR_NGROK_2235"},
		"on_http_request:\n  - actions:\n      - type: denny\n      - type: also-not": {"ERR_NGROK_2201", "3:15", "4:15", "mistakes: 2"},
	} {
		_, err := c.create("https://app.example.com", map[string]any{"traffic_policy": text})
		wantCode(t, err, fault.EndpointPolicyInvalid)
		for _, part := range want {
			if err != nil && !strings.Contains(fault.From(err).Message, part) {
				t.Errorf("%s: got %q, want %q in it", text, fault.From(err).Message, part)
			}
		}
	}
}

func TestEndpointUpdates(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.must(c.create("https://app.example.com", map[string]any{"description": "d", "metadata": "m"}))
	for body, code := range map[string]fault.Code{
		`{}`: fault.EndpointUpdateEmpty, `{"description":null}`: fault.EndpointUpdateEmpty,
		`{"url":"http://app.example.com"}`: fault.EndpointSchemeFixed, `{"traffic_policy":""}`: fault.EndpointPolicyMissing,
		`{"url":"https://api.example.com"}`: fault.NameKept, `{"bindings":["internal"]}`: fault.InternalSuffix, `{"type":"cloud"}`: fault.FieldUnknown,
	} {
		_, err := c.update(a.ID, body)
		wantCode(t, err, code)
	}
	b := c.must(c.update(a.ID, `{"description":"","bindings":null}`))
	if b.Description != "" || b.Metadata != "m" || b.TrafficPolicy != hello || b.URL != a.URL {
		t.Errorf("got %+v", b)
	}
	// The binding follows the name unless it was given.
	if b = c.must(c.update(a.ID, `{"url":"https://app.internal"}`)); b.Bindings[0] != "internal" {
		t.Errorf("got %+v", b)
	}
	other := owner
	other.Account = "other"
	for _, err := range []error{
		func() error { _, err := c.Get(t.Context(), &other, a.ID); return err }(),
		func() error { _, err := c.Update(t.Context(), &other, a.ID, []byte(`{"description":"x"}`)); return err }(),
		c.Delete(t.Context(), &other, a.ID),
	} {
		if err != control.ErrNotFound { //nolint:errorlint // as it is returned
			t.Errorf("another account: got %v", err)
		}
	}
}

// TestEndpoints36_AConnectPhaseThatNeverRunsIsWarnedOf is for internal endpoints of https.
func TestEndpoints36_AConnectPhaseThatNeverRunsIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	inert := "on_tcp_connect: [{actions: [{type: close-connection}]}]\n"
	a := c.must(c.create("https://svc.internal", map[string]any{"traffic_policy": inert + hello}))
	if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "never runs") {
		t.Errorf("warnings %q, want one", a.Warnings)
	}
	if b := c.must(c.update(a.ID, `{"description":"x"}`)); len(b.Warnings) != 0 {
		t.Errorf("warnings %q of an update that leaves the policy", b.Warnings)
	}
	if b := c.must(c.create("tcp://svc.internal:5000", map[string]any{"traffic_policy": inert})); len(b.Warnings) != 0 {
		t.Errorf("warnings %q for tcp", b.Warnings)
	}
}

// TestAPI33_EndpointsOfAgents are in the same list, by their ids, and are not to be changed.
func TestAPI33_EndpointsOfAgents(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.must(c.create("https://one.example.com", nil))
	a := wire.Agent{Account: "ac", SessionID: "ts_1", Principal: "usr_2"}
	bound := reserve(t, c.binder, a, bind("https", "https://agent.example.com"))
	bound.Name, bound.ForwardsTo = "command_line", "http://localhost:80"
	c.agents = online{{Bound: bound, Agent: a, BoundAt: time.Now(), Region: "eu"}}
	last := c.must(c.create("https://two.example.com", nil))
	o := owner
	items, more, err := c.List(t.Context(), &o, control.Page{Limit: 100})
	if err != nil || more || len(items) != 3 {
		t.Fatalf("got %v, %v, %v, want 3 endpoints", items, more, err)
	}
	for i, id := range []string{last.ID, bound.TunnelID, first.ID} {
		if got := items[i].(*api.Endpoint).ID; got != id {
			t.Errorf("endpoint %d is %s, want %s", i, got, id)
		}
	}
	e := items[1].(*api.Endpoint)
	suffix := strings.TrimPrefix(bound.TunnelID, "ep_")
	if e.Type != "ephemeral" || e.Tunnel.ID != "tn_"+suffix || e.TunnelSession.URI != "https://api.test/tunnel_sessions/ts_1" ||
		e.Principal.ID != "usr_2" || e.UpstreamURL != "http://localhost:80" || e.UpstreamProtocol != "http1" || e.Name != "command_line" ||
		e.Region != "eu" || e.URL != "https://agent.example.com:9443" || e.PublicURL != e.URL || e.Bindings[0] != "public" || e.Hostport != "agent.example.com:9443" {
		t.Errorf("the agent's endpoint is %+v", e)
	}
	// Pages of one, and behind an id.
	var ids []string
	for p := (control.Page{Limit: 1}); ; {
		items, more, err := c.List(t.Context(), &o, p)
		if err != nil || len(items) != 1 {
			t.Fatalf("page behind %q: %v, %v", p.Before, items, err)
		}
		p.Before = items[0].(*api.Endpoint).ID
		if ids = append(ids, p.Before); !more {
			break
		}
	}
	if got, want := strings.Join(ids, " "), last.ID+" "+bound.TunnelID+" "+first.ID; got != want {
		t.Errorf("by pages: %s, want %s", got, want)
	}
	_, err = c.Update(t.Context(), &o, bound.TunnelID, []byte(`{"description":"x"}`))
	wantCode(t, err, fault.EndpointOfAgent)
	wantCode(t, c.Delete(t.Context(), &o, bound.TunnelID), fault.EndpointOfAgent)
	other := owner
	other.Account = "other"
	if _, err := c.Get(t.Context(), &other, bound.TunnelID); err != control.ErrNotFound { //nolint:errorlint // as it is returned
		t.Errorf("another account: got %v", err)
	}
	if items, _, err := c.List(t.Context(), &other, control.Page{Limit: 100}); err != nil || len(items) != 0 {
		t.Errorf("another account: got %v, %v", items, err)
	}
}

// An endpoint whose name could not be had any more, because the server's names are others now, can be changed in all
// else.
func TestAnEndpointKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	now := time.Now()
	body, err := json.Marshal(map[string]any{"url": "https://a.before.test", "scheme": "https", "host": "a.before.test", "port": 443, "traffic_policy": hello})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.db.Update(t.Context(), func(tx store.Tx) error {
		return tx.Put(store.Record{Kind: control.EndpointKind, ID: "ep_1", Account: owner.Account, CreatedAt: now, UpdatedAt: now, Body: body})
	}); err != nil {
		t.Fatal(err)
	}
	if a := c.must(c.update("ep_1", `{"description":"x"}`)); a.Description != "x" || a.URL != "https://a.before.test" {
		t.Errorf("got %+v", a)
	}
	_, err = c.update("ep_1", `{"url":"https://b.before.test"}`)
	wantCode(t, err, fault.EndpointNotReserved)
}
