package policy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// note is an action for tests: it adds a header to the request, and ends the
// phase if told so.
type note struct {
	Headers policy.Fields   `field:"headers" count:"1,2" doc:"headers to add"`
	Status  int             `field:"status" range:"200,599" doc:"ends the phase with this status"`
	Mode    string          `field:"mode" enum:"soft,hard" alias:"kind"`
	Wait    time.Duration   `field:"wait" range:"1s,1m"`
	From    *policy.Pattern `field:"from"`
	Any     policy.Tree     `field:"any"`
	Key     []*expr.Value   `field:"key" count:"1,3"`
	On      bool            `field:"on"`

	unset int // not a setting
}

func (n *note) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	for _, f := range n.Headers {
		v, err := x.Text(f.Value)
		if err != nil {
			return 0, err
		}
		x.Request.Header.Add(f.Name, v)
	}
	x.SetResult("note", map[string]any{"done": true, "count": int64(len(n.Headers))})
	if n.Status+n.unset == 0 {
		return policy.Continue, nil
	}
	x.Respond(n.Status, n.Mode)
	return policy.Answer, nil
}

func (n *note) Ends() bool { return n.Status != 0 }

func newCompiler(t testing.TB) *policy.Compiler {
	t.Helper()
	r, err := policy.NewRegistry(
		policy.Define(policy.Definition{
			Type: "note", Aliases: []string{"notice"}, OnError: policy.Halt,
			Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse},
			Schemes: []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP},
			Results: []expr.Variable{{Name: "note.done", Kind: expr.KindBool}, {Name: "note.count", Kind: expr.KindInt}, {Name: "note.error.code", Kind: expr.KindText}},
		}, note{Mode: "soft"}, func(n *note, _ *policy.Build) policy.Action { return n }),
		policy.NotBuilt(policy.Definition{Type: "later", Phases: []policy.Phase{policy.OnHTTPRequest}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// run compiles a document for an https endpoint and runs its request phase.
func run(t *testing.T, doc string, r *http.Request) (*policy.Exchange, policy.Verdict, error) {
	t.Helper()
	d, found := policy.Parse("p.yml", []byte(doc))
	if found.Failed() {
		t.Fatal(found)
	}
	p, found := newCompiler(t).Compile(d, policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Public})
	if found.Failed() {
		t.Fatal(found)
	}
	x := policy.NewExchange(p.Env(), &policy.Conn{Client: netip.MustParseAddrPort("203.0.113.7:4711")})
	x.Request = r
	x.Endpoint.URL, _ = endpoint.ParseURL("https://h.example", endpoint.HTTPS)
	v, err := p.Run(t.Context(), policy.OnHTTPRequest, x)
	return x, v, err
}

func TestPolicy11_LaterRulesSeeWhatEarlierOnesDid(t *testing.T) {
	t.Parallel()
	x, v, err := run(t, `
on_http_request:
  - actions: [{type: note, config: {headers: {x-a: "${req.method}"}}}]
  - expressions: ["'x-a' in req.headers && req.headers['X-A'][0] == 'GET' && actions.ngrok.note.done"]
    actions: [{type: note, config: {headers: {x-b: "${actions.ngrok.note.count}"}}}]
  - expressions: ["req.headers['none'][0] == 'x'"]
    actions: [{type: note, config: {headers: {x-c: never}}}]
  - expressions: ["req.url.path == '/a'", "conn.client_ip == '203.0.113.7'"]
    actions: [{type: note, config: {status: 204}}]
  - actions: [{type: note, config: {headers: {x-d: never}}}]
`, request("GET", "/x/../%61?q=1"))
	if err != nil || v != policy.Answer || x.Response.StatusCode != 204 {
		t.Fatalf("got %v, %v, response %v", v, err, x.Response)
	}
	if got := fmt.Sprint(x.Request.Header); got != "map[X-A:[GET] X-B:[1]]" {
		t.Errorf("got headers %s", got)
	}
}

func TestPolicy01_YAMLAndJSON(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		"on_http_request:\n  - name: 404\n    actions:\n      - type: note\n        config:\n          headers: {a: 1, b: true}\n",
		"{\n\t\"on_http_request\": [{\"name\": 404, \"actions\": [{\"Type\": \"note\", \"Config\": {\"headers\": {\"a\": 1, \"b\": true}}}]}]}",
	} {
		x, _, err := run(t, doc, request("GET", "/"))
		if got := fmt.Sprint(x.Request.Header); err != nil || got != "map[A:[1] B:[true]]" {
			t.Errorf("%s: got %s, %v", doc, got, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	const rule = "on_http_request:\n  - actions:\n      - type: note\n        config: "
	for _, tt := range []struct{ name, doc, want string }{
		{"phase", "on_http_reqest: []", "1:1: on_http_reqest: there is no phase on_http_reqest; did you mean on_http_request? (ERR_NGROK_2236)"},
		{"no rule", "on_http_request: []", "the policy has no action"},
		{"mapping for a list", "on_http_request: {actions: []}", "holds a list of rules, and this is a mapping"},
		{"no action", "on_http_request: [{name: x, actions: []}]", "ERR_NGROK_2206"},
		{"rule key", "on_http_request: [{if: x, actions: [{type: note}]}]", "a rule has no key if"},
		{"action", "on_http_request: [{actions: [{type: nota}]}]", "there is no action nota; did you mean note? (ERR_NGROK_2201)"},
		{"action key", "on_http_request: [{actions: [{type: note, url: x}]}]", "settings of an action stand under config"},
		{"phase of an action", "on_http_response: [{actions: [{type: later}]}]", "later cannot stand in on_http_response, only in on_http_request (ERR_NGROK_2202)"},
		{"not built", "on_http_request: [{actions: [{type: later}]}]", "not built yet (ERR_CULVERT_1110)"},
		{"duplicate key", "on_http_request: []\non_http_request: []", "2:1: the key on_http_request stands here twice"},
		{"tag", "on_http_request:\n  - expressions:\n      - !req.x\n    actions: [{type: note}]", "has to be quoted"},
		{"alias of itself", "a: &a [*a]", "ERR_NGROK_2236"},
		{"expression", "on_http_request:\n  - expressions:\n      - req.ulr.path == ''\n    actions: [{type: note}]", "3:9: on_http_request[0].expressions[0]: there is no variable or function req.ulr.path; did you mean req.url.path? (ERR_NGROK_2200)"},
		{"scope", "on_http_request: [{expressions: ['res.status_code == 1'], actions: [{type: note}]}]", "res.status_code is not known in this phase"},
		{"setting", rule + "{haeders: {}}", "4:18: on_http_request[0].actions[0].config.haeders: there is no setting haeders; did you mean headers? (ERR_NGROK_2203)"},
		{"setting without a name", rule + "{'': 1}", "there is no setting"},
		{"template", rule + "{headers: {a: 'x ${reg.method}'}}", "there is no variable or function reg.method; did you mean req.method? (ERR_NGROK_2224)"},
		{"unterminated", rule + "{headers: {a: 'x ${req.method'}}", "${ has no closing brace"},
		{"count", rule + "{headers: {a: 1, b: 2, c: 3}}", "ERR_NGROK_2212"},
		{"range", rule + "{status: 99}", "status is 99, and has to be from 200 to 599 (ERR_NGROK_2215)"},
		{"quoted number", rule + "{status: '200'}", "status is a text, and a number is needed; write it without quotes"},
		{"bool as text", rule + "{on: 'true'}", "on is a text, and true or false is needed; write it without quotes"},
		{"enum", rule + "{mode: herd}", `mode is "herd", and has to be one of soft, hard; did you mean hard? (ERR_NGROK_2222)`},
		{"duration", rule + "{wait: '5'}", "is no duration"},
		{"duration range", rule + "{wait: 61s}", "wait is 61s, and has to be from 1s to 1m"},
		{"pattern", rule + "{from: '('}", "ERR_NGROK_2261"},
		{"unreachable", "on_http_request: [{actions: [{type: note, config: {status: 200}}, {type: note}]}]", "note is never reached, because note before it ends the phase (ERR_NGROK_2207)"},
		{"two documents", "on_http_request: []\n---\nx: 1", "one document"},
		{"too large", strings.Repeat("#", policy.MaxDocument+1), "at most"},
		{"deep", strings.Repeat("[", 200) + strings.Repeat("]", 200), "nests deeper"},
		{"bomb", "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]", "values"},
	} {
		d, found := policy.Parse("", []byte(tt.doc))
		if !found.Failed() {
			_, found = c.Compile(d, policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Public})
		}
		if !found.Failed() || !strings.Contains(found.Error(), tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, found.Error(), tt.want)
		}
	}
}

func TestPolicy06_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	d, found := policy.Parse("p.yml", []byte("on_http_request:\n  - expressions: [req.methd == 'x']\n    actions:\n      - type: nota\n      - type: note\n        config: {status: 1}\n"))
	if found.Failed() {
		t.Fatal(found)
	}
	_, found = newCompiler(t).Compile(d, policy.Target{Scheme: endpoint.HTTPS})
	if len(found) != 3 {
		t.Errorf("got %d diagnostics, want 3:\n%v", len(found), found)
	}
}

func TestPolicy03_Schemes(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	for _, tt := range []struct {
		doc    string
		target policy.Target
		want   string
	}{
		{"on_http_request: [{actions: [{type: note}]}]", policy.Target{Scheme: endpoint.TCP}, "ERR_NGROK_2230"},
		{"on_tcp_connect: [{actions: [{type: note}]}]", policy.Target{Scheme: endpoint.TLS}, "note is not for tls endpoints (ERR_NGROK_2205)"},
		{"inbound: [{actions: [{type: note}]}]", policy.Target{Scheme: endpoint.TCP}, "warning"},
		{"outbound: [{actions: [{type: note}]}]", policy.Target{Scheme: endpoint.TCP}, "have no outbound rules"},
		{"on_http_request: [{expressions: ['true'], actions: [{type: note, config: {status: 200}}]}]", policy.Target{Scheme: endpoint.HTTPS, Cloud: true}, "ERR_NGROK_2235"},
		{"on_http_request: [{actions: [{type: note, config: {status: 200}}]}]", policy.Target{Scheme: endpoint.HTTPS, Cloud: true}, ""},
		{"on_tcp_connect: [{actions: [{type: note}]}]", policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Internal}, "warning: on_tcp_connect: on_tcp_connect never runs"},
	} {
		d, warnings := policy.Parse("", []byte(tt.doc))
		_, found := c.Compile(d, tt.target)
		got := append(warnings, found...).Error()
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s for %+v: got %q, want %q", tt.doc, tt.target, got, tt.want)
		}
	}
}

func TestNormalPath(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/a/b": "/a/b", "/%61dmin": "/admin", "/x/../admin": "/admin", "/x/%2e%2e/admin": "/admin", "/a/./b": "/a/b", "/a/..": "/", "/..": "/",
		"/a/b/..": "/a/", "/a%2fb": "/a%2Fb", "//a//b": "//a//b", "/a%": "/a%", "*": "*", "/a/.": "/a/", "/a%zz": "/a%zz", "/.a/..b": "/.a/..b",
	} {
		if got := policy.NormalPath(raw); got != want {
			t.Errorf("NormalPath(%q) = %q, want %q", raw, got, want)
		}
	}
}

// FuzzParse reads any document: no panic, and a refusal has a reason.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"on_http_request:\n  - actions:\n      - type: note\n", "{\"on_http_request\": [{\"actions\": [{\"type\": \"note\"}]}]}",
		"a: &a [*a]", "inbound: []\nenabled: false", "on_http_request: [{expressions: [true, 1], actions: [{type: note, config: {any: {a: [1, null, '${1}']}}}]}]",
		"x: !y z", "<<: {a: b}", "? [a]\n: b", "on_http_response:\n- name: 1\n", "{\"a\":\"\\ud83d\\ude00\"}",
	} {
		f.Add([]byte(s))
	}
	c := newCompiler(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, found := policy.Parse("f", doc)
		if d == nil && !found.Failed() {
			t.Fatal("refused without a reason")
		}
		if d == nil {
			return
		}
		for _, s := range []endpoint.Scheme{endpoint.HTTPS, endpoint.TCP, ""} {
			if p, found := c.Compile(d, policy.Target{Scheme: s}); p == nil && !d.Empty() && !found.Failed() && !strings.Contains(string(doc), "false") {
				t.Errorf("no program and no reason for %q", doc)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	d := policy.Define(policy.Definition{Type: "note", OnError: policy.Halt}, note{Mode: "soft", Wait: time.Minute}, func(n *note, _ *policy.Build) policy.Action { return n })
	var got []string
	for _, s := range d.Settings() {
		line := fmt.Sprintf("%s %d %v %v %v%v", s.Name, s.Kind, s.Default, s.Aliases, s.Enum, s.Range)
		for _, of := range s.Of {
			line += fmt.Sprintf(" of %d", of.Kind)
		}
		got = append(got, strings.ReplaceAll(line, "[ ]", ""))
	}
	want := []string{
		"headers 8 <nil> [] []", "status 5 <nil> [] [][200 599]", "mode 0 soft [kind] [soft hard]", "wait 7 1m0s [] [][1s 1m]",
		"from 3 <nil> [] []", "any 9 <nil> [] []", "key 10 <nil> [] [] of 2", "on 4 <nil> [] []", "on_error 0 halt [] [halt continue]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	d, found := policy.Parse("", []byte(`on_http_request:
  - name: none
    expressions: ["req.method == 'POST'", "true"]
    actions: [{type: note, config: {status: 204}}]
  - expressions: ["vars.x == 1"]
    actions: [{type: note, config: {status: 204}}]
  - actions: [{type: note, config: {status: 205}}]
  - actions: [{type: note, config: {status: 206}}]
`))
	p, more := newCompiler(t).Compile(d, policy.Target{})
	if p == nil {
		t.Fatal(found, more)
	}
	var got []string
	x := policy.NewExchange(p.Env(), &policy.Conn{})
	x.Request = request("GET", "/")
	x.Trace = &policy.Trace{
		Expression: func(r policy.RuleInfo, source string, held bool, parts []expr.Part, err error) {
			got = append(got, fmt.Sprintf("%d %s: %v %v %v", r.Line, source, held, parts, err))
		},
		Rule: func(r policy.RuleInfo, held bool) { got = append(got, fmt.Sprintf("%d: %v", r.Line, held)) },
		Action: func(r policy.RuleInfo, action string, v policy.Verdict, _ error, _ time.Duration) {
			got = append(got, fmt.Sprintf("%d %s: %v", r.Line, action, v))
		},
	}
	if _, err := p.Run(t.Context(), policy.OnHTTPRequest, x); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`2 req.method == 'POST': false [{req.method GET} {req.method == "POST" false}] <nil>`, "2: false",
		"5 vars.x == 1: false [{vars.x error: no such key: x} {vars.x == 1 error: no such key: x}] no such key: x", "5: false",
		"7: true", "7 note: 1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if rules := p.Rules(policy.OnHTTPRequest); len(rules) != 4 || rules[3].Line != 8 {
		t.Errorf("got rules %v", rules)
	}
}
