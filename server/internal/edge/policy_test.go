package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/action/forward"
	"github.com/culvert-project/culvert/server/internal/action/note"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// act is an action that does what actions may do to an exchange, so that the
// edge is tested apart from the families.
type act struct {
	Set       policy.Fields  `field:"set"`
	Remove    string         `field:"remove"`
	Host      string         `field:"host"`
	Path      string         `field:"path"`
	Body      *expr.Template `field:"body"`
	Status    int            `field:"status"`
	Refuse    bool           `field:"refuse"`
	Close     bool           `field:"close"`
	Fault     bool           `field:"fault"`
	Terminate string         `field:"terminate"`
	Data      *expr.Template `field:"data"`
}

func (a *act) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	switch {
	case a.Close:
		return policy.Close, nil
	case a.Fault:
		return 0, fault.New(fault.PolicyInternal, "act")
	case a.Terminate != "":
		x.Conn.Terminate = &policy.Terminate{MinVersion: tls.VersionTLS13}
	case x.Message != nil:
		data, err := x.Text(a.Data)
		x.Message.Data = data
		return policy.Continue, err
	case x.Request == nil && a.Refuse:
		return policy.Refuse, nil
	}
	if x.Request == nil {
		x.SetResult("act", map[string]any{"seen": true})
		return policy.Continue, nil
	}
	return a.change(x)
}

func (a *act) change(x *policy.Exchange) (policy.Verdict, error) {
	body, err := x.Text(a.Body)
	if err != nil {
		return 0, err
	}
	verdict := policy.Continue
	if a.Status != 0 {
		x.Respond(a.Status, body)
		if verdict = policy.Answer; a.Refuse {
			verdict = policy.Refuse
		}
	} else if a.Body != nil && x.Response != nil {
		policy.SetBody(x.Response, []byte(body))
	} else if a.Body != nil {
		x.Request.Body, x.Request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	h := x.Request.Header
	if x.Response != nil {
		h = x.Response.Header
	}
	for _, f := range a.Set {
		v, err := x.Text(f.Value)
		if err != nil {
			return 0, err
		}
		h.Set(f.Name, v)
	}
	if a.Remove != "" {
		h.Del(a.Remove)
		x.Removed = append(x.Removed, a.Remove)
	}
	if a.Host != "" {
		x.Request.Host = a.Host
	}
	if a.Path != "" {
		x.Request.URL.Path, x.Request.URL.RawPath = a.Path, ""
	}
	return verdict, nil
}

// governed is an option of an endpoint: its policy.
func governed(t testing.TB, doc string) func(*route.Endpoint) {
	t.Helper()
	every := []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}
	r, err := policy.NewRegistry(append(append(forward.Definitions(Forwarder{}), note.Definitions()...), policy.Define(policy.Definition{
		Type: "act", Schemes: every,
		Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse, policy.OnEventStreamMessage},
		Results: []expr.Variable{{Name: "act.seen", Kind: expr.KindBool}},
	}, act{}, func(a *act, _ *policy.Build) policy.Action { return a }))...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	d, found := policy.Parse("p.yml", []byte(doc))
	if found.Failed() {
		t.Fatal(found)
	}
	return func(e *route.Endpoint) {
		p, found := c.Compile(d, policy.Target{Scheme: e.Key.URL.Scheme, Binding: e.Key.Binding})
		if found.Failed() || p == nil {
			t.Fatalf("%s: %v", doc, found)
		}
		e.Policy = p
	}
}

// seen is a service that tells what it has got.
func seen(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Upstream", "yes")
	_, _ = fmt.Fprintf(w, "%s %s host=%s a=%s for=%s body=%s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-A"), r.Header.Get("X-Forwarded-For"), b)
}

const app = "https://app.example.com"

func wantBody(t testing.TB, r reply, want string) {
	t.Helper()
	if r.err != nil || r.StatusCode != 200 || r.body != want {
		t.Errorf("got %d %q, %v; want %q", r.StatusCode, r.body, r.err, want)
	}
}

func TestPolicy11_RequestAsTheRulesLeaveIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), governed(t, `
on_http_request:
  - actions: [{type: act, config: {set: {x-a: "${req.method} ${conn.client_ip}"}}}]
  - expressions: ["req.headers['x-a'][0].startsWith('POST')"]
    actions: [{type: act, config: {path: "/new path", remove: X-Forwarded-For}}]
  - expressions: ["req.url.path == '/old'"]
    actions: [{type: act, config: {status: 500}}]
`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		wantBody(t, do(t, c, "GET", "/x?q=1", nil), "GET /x?q=1 host=app.example.com a=GET 203.0.113.7 for=203.0.113.7 body=")
		wantBody(t, do(t, c, "POST", "/old?q", strings.NewReader("hello")), "POST /new%20path?q host=app.example.com a=POST 203.0.113.7 for= body=hello")
		long := strings.Repeat("x", 100_000)
		wantBody(t, do(t, c, "POST", "/old", strings.NewReader(long)), "POST /new%20path host=app.example.com a=POST 203.0.113.7 for= body="+long)
	}
}

func TestPolicyBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), governed(t, `
on_http_request:
  - expressions: ["req.method == 'POST'"]
    actions: [{type: act, config: {body: "instead"}}]
on_http_response:
  - expressions: ["req.url.path == '/longer'"]
    actions: [{type: act, config: {body: "`+strings.Repeat("y", 5000)+`"}}]
`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		for _, body := range []io.Reader{strings.NewReader("a"), strings.NewReader(strings.Repeat("x", 100_000)), io.MultiReader(strings.NewReader("chunked"))} {
			wantBody(t, do(t, c, "POST", "/", body), "POST / host=app.example.com a= for=203.0.113.7 body=instead")
		}
		r := do(t, c, "GET", "/longer", nil)
		wantBody(t, r, strings.Repeat("y", 5000))
		if r.ContentLength != 5000 {
			t.Errorf("length %d, want 5000", r.ContentLength)
		}
		if r := do(t, c, "HEAD", "/longer", nil); r.StatusCode != 200 || r.body != "" || r.ContentLength != 5000 {
			t.Errorf("HEAD: %d %q, length %d", r.StatusCode, r.body, r.ContentLength)
		}
	}
}

// TestPolicyAnswerInstead: an answer that takes the place of the upstream's has
// nothing of it.
func TestPolicyAnswerInstead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), governed(t, `
on_http_response:
  - expressions: ["'x-upstream' in res.headers && req.url.path == '/instead'"]
    actions: [{type: act, config: {status: 202, body: made}}]
`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		for path, upstream := range map[string]string{"/": "yes", "/instead": ""} {
			r := do(t, c, "GET", path, nil)
			if got := r.Header.Get("X-Upstream"); r.err != nil || got != upstream || (r.body == "made") != (path == "/instead") {
				t.Errorf("%s: got %d %q with X-Upstream %q, %v; want %q", path, r.StatusCode, r.body, got, r.err, upstream)
			}
		}
	}
}

func TestPolicy13_ResponsePhaseOverAnswersAndNotOverRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), governed(t, `
on_http_request:
  - expressions: ["req.url.path == '/answer'"]
    actions: [{type: act, config: {status: 201, body: made}}]
  - expressions: ["req.url.path == '/empty'"]
    actions: [{type: act, config: {status: 204}}]
  - expressions: ["req.url.path == '/refuse'"]
    actions: [{type: act, config: {status: 403, refuse: true}}]
  - expressions: ["req.url.path == '/fault'"]
    actions: [{type: act, config: {fault: true}}]
on_http_response:
  - actions: [{type: act, config: {set: {x-b: "${res.status_code}"}}}]
`))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		for _, tt := range []struct {
			path, x, body, code string
			status              int
		}{
			{"/", "200", "GET / host=app.example.com a= for=203.0.113.7 body=", "", 200},
			{"/answer", "201", "made", "", 201},
			{"/empty", "204", "", "", 204},
			{"/refuse", "", "", "", 403},
			{"/fault", "", "", "ERR_NGROK_2300", 500},
		} {
			r := do(t, c, "GET", tt.path, nil)
			wantStatus(t, r, tt.status, tt.code)
			if r.Header.Get("X-B") != tt.x || tt.code == "" && r.body != tt.body {
				t.Errorf("%s: got X-B %q, body %q; want %q, %q", tt.path, r.Header.Get("X-B"), r.body, tt.x, tt.body)
			}
		}
	}
}

func TestPolicy17_AFailingExpressionDoesNotMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(seen), governed(t, `
on_http_request:
  - expressions: ["req.url.query_params['none'][0] == 'x'"]
    actions: [{type: act, config: {status: 500}}]
  - actions: [{type: act, config: {set: {x-a: later}}}]
`))
	wantBody(t, do(t, w.h1(), "GET", "/", nil), "GET / host=app.example.com a=later for=203.0.113.7 body=")
}

func TestPolicyPathSeenIsPathSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := func(host string) string {
		c := w.dial(false)
		_, _ = fmt.Fprintf(c, "GET /a/../%%61dmin%%2Fx?q=%%2e HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		_, rest, _ := strings.Cut(string(b), " ")
		target, _, _ := strings.Cut(rest, " ")
		return target
	}
	w.online("http://reads.example.com", w.serve(seen), governed(t, "on_http_request: [{expressions: [\"req.url.path == '/'\"], actions: [{type: act}]}]"))
	w.online("http://blind.example.com", w.serve(seen), governed(t, "on_http_request: [{actions: [{type: act}]}]"))
	if got := raw("reads.example.com"); got != "/admin%2Fx?q=%2e" {
		t.Errorf("a policy that reads the path: upstream gets %q", got)
	}
	if got := raw("blind.example.com"); got != "/a/../%61dmin%2Fx?q=%2e" {
		t.Errorf("a policy that does not: upstream gets %q", got)
	}
}

func TestEndpoints26_HostSetByThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Location", "http://localhost/x")
		rw.Header().Set("X-Hosts", fmt.Sprint(r.Host, r.Header["Host"], r.Header.Get("X-Forwarded-Host")))
		rw.WriteHeader(http.StatusFound)
	}), governed(t, "on_http_request: [{actions: [{type: act, config: {host: localhost}}]}]"))
	r := do(t, w.h1(), "GET", "/", nil)
	if got := r.Header.Get("Location"); r.StatusCode != 302 || got != app+"/x" {
		t.Errorf("got %d to %q", r.StatusCode, got)
	}
	if got, want := r.Header.Get("X-Hosts"), "localhost[]app.example.com"; got != want {
		t.Errorf("upstream got %q, want %q", got, want)
	}
}

func TestPolicy61_CloseConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, refused(t), governed(t, "on_http_request: [{actions: [{type: act, config: {close: true}}]}]"))
	w.online("https://response.example.com", w.serve(seen), governed(t, "on_http_response: [{actions: [{type: act, config: {close: true}}]}]"))
	w.online("http://plain.example.com", refused(t), governed(t, "on_tcp_connect: [{actions: [{type: act, config: {refuse: true}}]}]"))
	w.online("https://shake.example.com", refused(t), governed(t, "on_tcp_connect: [{actions: [{type: act, config: {close: true}}]}]"))
	w.online("tls://tls.example.com", refused(t), governed(t, "on_tcp_connect: [{actions: [{type: act, config: {close: true}}]}]"))
	for _, url := range []string{app, "https://response.example.com", "http://plain.example.com", "https://shake.example.com", "https://tls.example.com"} {
		for name, c := range map[string]*http.Client{"h1": w.h1(), "h2": w.h2()} {
			if name == "h2" && strings.HasPrefix(url, "http:") {
				continue
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := c.Do(req); err == nil {
				_ = resp.Body.Close()
				t.Errorf("%s over %s: got %d, want no answer", url, name, resp.StatusCode)
			}
		}
	}
}

func TestPolicy15_ConnectPhaseOncePerConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const doc = `
on_tcp_connect:
  - actions: [{type: act}, {type: act, config: {terminate: "yes"}}]
on_http_request:
  - expressions: ["actions.ngrok.act.seen && conn.tls.version == '1.3'"]
    actions: [{type: act, config: {set: {x-a: "seen ${conn.tls.sni}"}}}]
`
	w.online(app, w.serve(seen), governed(t, doc))
	c := w.h2()
	for range 2 {
		wantBody(t, do(t, c, "GET", "/", nil), "GET / host=app.example.com a=seen app.example.com for=203.0.113.7 body=")
	}
	if _, err := w.tls(&tls.Config{ServerName: "app.example.com", MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was accepted, and the policy asked for 1.3")
	}
	// Another endpoint, whose connect phase has not run, asks for a connection of its own.
	w.online("https://other.example.com", w.serve(seen), governed(t, doc))
	wantStatus(t, do(t, c, "GET", "/", nil, func(r *http.Request) { r.Host = "other.example.com" }), 421, "ERR_CULVERT_1305")
	wantBody(t, do(t, c, "GET", "https://other.example.com/", nil), "GET / host=other.example.com a=seen other.example.com for=203.0.113.7 body=")
}

func TestEndpoints32_RequestsStayWithTheMemberOfTheConnectPhase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.online("http://app.example.com", w.serve(func(rw http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(rw, i)
		}), func(e *route.Endpoint) { e.ID = fmt.Sprint("ep_", i) }, governed(t, "on_tcp_connect: [{actions: [{type: act}]}]"))
	}
	c := w.h1()
	first := do(t, c, "GET", "http://app.example.com", nil).body
	for range 5 {
		if got := do(t, c, "GET", "http://app.example.com", nil).body; got != first {
			t.Errorf("got member %s after %s", got, first)
		}
	}
}

func TestPolicy20_ARequestInFlightKeepsItsPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	up := w.serve(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
	})
	version := func(v string) func(*route.Endpoint) {
		return governed(t, "on_http_response: [{actions: [{type: act, config: {set: {x-b: '"+v+"'}}}]}]")
	}
	old := w.online(app, up, version("old"))
	got := make(chan string)
	go func() {
		r := do(t, w.h1(), "GET", "/slow", nil)
		got <- r.Header.Get("X-B")
	}()
	<-arrived
	w.offline(old)
	w.online(app, up, version("new"))
	if v := do(t, w.h1(), "GET", "/", nil).Header.Get("X-B"); v != "new" {
		t.Errorf("the next request runs under %q", v)
	}
	close(release)
	if v := <-got; v != "old" {
		t.Errorf("the request in flight ends under %q", v)
	}
}

func TestPolicy56_EventsAsTheyHappen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next := make(chan string)
	w.online(app, w.serve(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for e := range next {
			_, _ = io.WriteString(rw, e)
			rw.(http.Flusher).Flush()
		}
	}), governed(t, "on_event_stream_message: [{actions: [{type: act, config: {data: 'new\n\n      line'}}]}]"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { next <- ": hello\n\n" }()
	resp, err := w.h1().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	wantRead(t, resp.Body, ": hello\n\n")
	next <- "event: x\r\ndata: a\r\ndata: b\r\nretry: 5\r\nid: 7\r\n\r\n"
	wantRead(t, resp.Body, "event: x\r\ndata: new\ndata: line\nretry: 5\nid: 7\r\n\r\n")
	big := "data: " + strings.Repeat("x", maxEvent+100_000) + "\n\n"
	next <- big
	wantRead(t, resp.Body, big)
	next <- "data: cut"
	close(next)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "data: cut" {
		t.Errorf("the end is %q, %v", b, err)
	}
}

func TestPolicyNeedsTheUpstreamOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(seen)
	w.online(app, up, governed(t, "on_http_response: [{actions: [{type: act, config: {set: {x-b: x}}}]}]"))
	c := w.h1()
	for range 5 {
		do(t, c, "GET", "/", nil)
	}
	if n := up.dials.Load(); n != 1 {
		t.Errorf("the upstream was dialled %d times for one client, want 1", n)
	}
}

func TestEndpoints34_EachMemberHasItsOwnPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(seen)
	w.online(app, up, governed(t, "on_http_request: [{actions: [{type: act, config: {status: 200, body: made}}]}]"))
	w.online(app, up, func(e *route.Endpoint) { e.ID = "ep_other" })
	got := map[string]int{}
	for range 20 {
		got[do(t, w.h1(), "GET", "/", nil).body]++
	}
	if got["made"] != 10 || len(got) != 2 {
		t.Errorf("got %v, want each member's answer ten times", got)
	}
}

func TestPolicyTrailersPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online(app, w.serve(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(rw, "message")
		rw.Header().Set("Grpc-Status", "0")
	}), func(e *route.Endpoint) { e.HTTP2 = true }, governed(t, "on_http_response: [{actions: [{type: act, config: {set: {x-b: x}}}]}]"))
	r := do(t, w.h2(), "POST", "/", strings.NewReader("x"), header("Content-Type", "application/grpc"))
	if r.Trailer.Get("Grpc-Status") != "0" || r.body != "message" || r.Header.Get("X-B") != "x" {
		t.Errorf("got %q, trailers %v, header %v", r.body, r.Trailer, r.Header)
	}
}

func TestEndpoints34_MembersWithAndWithoutAConnectPhase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := w.serve(seen)
	w.online(app, up, governed(t, "on_tcp_connect: [{actions: [{type: act}]}]"))
	w.online(app, up, func(e *route.Endpoint) { e.ID = "ep_other" })
	for range 6 {
		c := w.h1()
		for range 3 {
			wantStatus(t, do(t, c, "GET", "/", nil), 200, "")
		}
	}
}
