package expr_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"github.com/google/go-cmp/cmp"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// facts is a source of given values.
type facts map[string]any

func (f facts) Lookup(name string) (any, bool) { v, ok := f[name]; return v, ok }

func (f facts) Secret(vault, name string) (string, error) {
	if v, ok := f["secret:"+vault+"/"+name].(string); ok {
		return v, nil
	}
	return "", errors.New("there is none")
}

var request = facts{
	"req.method": "GET", "req.url": "https://h.example/a/b?q=1&q=2", "req.url.path": "/a/b", "req.url.scheme": "https",
	"req.headers":          http.Header{"User-Agent": {"curl/8"}, "Authorization": {"Bearer x"}, "Host": {"h.example"}, "X-Two": {"a", "b"}},
	"req.url.query_params": map[string][]string{"q": {"1", "2"}, "e": {""}},
	"req.cookies":          map[string]any{"s": []any{map[string]any{"name": "s", "value": "1"}}},
	"req.content_type":     "text/html", "req.content_type.parameters": map[string]any{"charset": "utf-8"},
	"req.content_length": 12, "res.status_code": 200, "res.StatusCode": 200,
	"conn.client_ip": "10.1.2.3", "conn.client_ip.categories": []string{"com", "com.cloudflare"}, "conn.client_ip.as.number": 13335,
	"conn.ts.start": time.Date(2024, 7, 13, 0, 10, 16, 0, time.UTC),
	"time.now":      "2026-01-02T03:04:05Z",
	"vars":          map[string]any{"x": int64(3), "list": []any{int64(10), int64(20)}},
	"secret:v/s":    "hush",
}

var results = []expr.Variable{
	{Name: "actions.ngrok.rate_limit.limited", Kind: expr.KindBool},
	{Name: "actions.ngrok.jwt_validation.tokens", Kind: expr.KindList},
	{Name: "actions.ngrok.oauth.identity.email", Kind: expr.KindText},
}

func newEnv(t testing.TB) *expr.Env {
	t.Helper()
	e, err := expr.New(expr.Config{Results: results})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPolicy27_FunctionExamples evaluates expressions to their text form; an
// expected text that begins with "error" is part of an error.
func TestPolicy27_FunctionExamples(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, tt := range []struct{ source, want string }{
		// 7.1, 7.2
		{`req.url.contains('/a/')`, "true"},
		{`req.url.path.startsWith('/a') && conn.client_ip in ['10.1.2.3']`, "true"},
		{`'com.cloudflare' in conn.client_ip.categories`, "true"},
		{`conn.client_ip.as.number == 13335`, "true"},
		{`req.content_type == 'text/html' && req.content_type.parameters['charset'] == 'utf-8'`, "true"},
		{`false && vars.none == 1`, "false"},
		{`vars.none == 1 || true`, "true"},
		{`10u + 2u`, "12"},
		{`[1, 2].map(x, x * 2) // comment`, "[2,4]"},
		// 7.3
		{`res.status_code >= 200.0`, "true"},
		{`res.status_code == '200'`, "false"},
		{`res.StatusCode == '200'`, "true"},
		{`res.StatusCode == 200`, "true"},
		// 7.6
		{`'Authorization' in req.headers`, "true"},
		{`'authorization' in req.headers && !('none' in req.headers)`, "true"},
		{`req.headers['HOST'][0]`, "h.example"},
		{`req.headers['none']`, "[]"},
		{`size(req.headers['none'])`, "0"},
		{`req.headers['none'][0]`, "error: index"},
		{`has(req.headers['x'])`, "false"},
		{`has(req.headers['X-two'])`, "true"},
		{`has(req.headers.host)`, "true"},
		{`req.headers.exists_one(k, k == 'x-two')`, "true"},
		{`req.headers['x-two'].contains('b')`, "true"},
		{`req.headers['x-two'].join(',')`, "a,b"},
		{`req.headers.get('none', 'd')`, "d"},
		{`req.headers.get('x-two')`, `["a","b"]`},
		{`req.url.query_params['q'][1]`, "2"},
		{`req.url.query_params['none']`, "[]"},
		{`getReqHeader('USER-agent')[0]`, "curl/8"},
		{`hasReqHeader('none')`, "false"},
		{`getQueryParam('q')[0]`, "1"},
		{`hasQueryParam('e')`, "true"},
		{`getReqCookie('s').value`, "1"},
		{`getReqCookie('s').secure`, "false"},
		{`getReqCookie('none').value == ''`, "true"},
		{`hasReqCookie('s')`, "true"},
		{`{'b': 1, 'a': [true]}.encodeJson()`, `{"a":[true],"b":1}`},
		// 7.7
		{`actions.ngrok.oauth.identity.email == ''`, "true"},
		{`!actions.ngrok.oauth.identity.email.endsWith('@corp.test')`, "true"},
		{`actions.ngrok.rate_limit.limited`, "false"},
		{`conn.k8s.pod.metadata.error_code == ''`, "true"},
		{`conn.tls.client.validity.not_before`, "0001-01-01T00:00:00Z"},
		{`has(actions.ngrok.oauth.identity.email)`, "true"},
		{`has(vars.x) && !has(vars.y)`, "true"},
		{`vars.list[vars.x - 2]`, "20"},
		{`vars['none']`, "error: no such key"},
		// 7.8
		{`req.Method == 'GET' && req.path == '/a/b' && req.Headers['host'][0] == 'h.example'`, "true"},
		{`'abc'.includes('b')`, "true"},
		{`b64.encode(b'hi')`, "aGk="},
		// 9.2
		{`'abc'.charAt(1) + 'abc'.charAt(3)`, "b"},
		{`'abc'.charAt(4)`, "error: position 4"},
		{`'hello'.indexOf('l')`, "2"},
		{`'hello'.indexOf('l', 3)`, "3"},
		{`'hello'.indexOf('')`, "0"},
		{`'hello'.indexOf('', 2)`, "2"},
		{`'héllo'.indexOf('l')`, "2"},
		{`'hello'.indexOf('x')`, "-1"},
		{`'hello'.lastIndexOf('l')`, "3"},
		{`'hello'.lastIndexOf('l', 2)`, "2"},
		{`'hello'.lastIndexOf('')`, "5"},
		{`'hello'.lastIndexOf('', 2)`, "2"},
		{`'hello'.lastIndexOf('l', 9)`, "error: position 9"},
		{`'hello'.lastIndexOf('l', -1)`, "error: position -1"},
		{`'hello'.substring(1, 3)`, "el"},
		{`'hello'.substring(3)`, "lo"},
		{`'hello'.substring(3, 2)`, "error: end 2"},
		{`'a'.substring(5)`, "error: start 5"},
		{`'a,b,c'.split(',', 2)`, `["a","b"]`},
		{`'a b'.split(' ', 1)`, `["a"]`},
		{`'a,b'.split(',')`, `["a","b"]`},
		{`' a  b '.split()`, `["a","b"]`},
		{`'a,b'.split(',', 0)`, "[]"},
		{`'a,b'.split(',', -1)`, `["a","b"]`},
		{`'abc'.split('')`, `["a","b","c"]`},
		{`'abc'.split('', 2)`, `["a","b"]`},
		{`'aaa'.replace('a', 'b')`, "bbb"},
		{`'aaa'.replace('a', 'b', 2)`, "bba"},
		{`'ab'.replace('', '-')`, "-a-b-"},
		{`['a', 'b'].join() + ['a', 'b'].join('-')`, "aba-b"},
		{`' x '.trim() + 'abc'.reverse()`, "xcba"},
		{`'ÀB'.lowerAscii() + 'àb'.upperAscii()`, "ÀbàB"},
		{`'İÀ'.lower() + 'à'.upper()`, "iàÀ"},
		{`'%s %d %f %b %x %X %o'.format(['a', 5, 1.5, true, 255, 255, 8])`, "a 5 1.500000 1 ff FF 10"},
		{`'%e'.format([1052.032])`, "1.052032e+03"},
		{`'%.2000f'.format([1.0])`, "error: precision"},
		{`strings.quote('a"b')`, `"a\"b"`},
		{`'foobar'.matches('^fo+')`, "true"},
		{`matches('foobar', 'ba.$')`, "true"},
		{`size('héé')`, "3"},
		{`'hi'.encodeBase64() + 'aGk='.decodeBase64()`, "aGk=hi"},
		{`'aGk'.decodeBase64()`, "error: illegal base64"},
		{`'{"a": 1, "b": 1.5, "c": [null]}'.decodeJson().a + 1`, "2"},
		{`'{'.isJson() || !'[1]'.isJson()`, "false"},
		{`'a=1&b=2&b=3'.decodeQueryString()['b'][1]`, "3"},
		{`queryString.decode('q=x')['q'] == 'x'`, "true"},
		{`'not a query string'.isQueryString() || !'a=b'.isQueryString()`, "false"},
		{`{'b': ['x', 'y'], 'a': 'c d'}.encodeQueryString()`, "a=c+d&b=x&b=y"},
		{`'a b;/$'.escapeUrl()`, "a%20b%3B%2F%24"},
		{`url.unescape('a%20b')`, "a b"},
		{`url.unescape('%zz')`, "error: invalid URL escape"},
		{`url.parse('https://h:8/p?q#f').port + 'https://h/p'.parseUrl().host`, "8h"},
		{`'https://h/p'.isURL() && !'h/p'.isURL()`, "true"},
		{`'192.168.1.1'.isPrivateIp() && !'8.8.8.8'.isPrivateIp() && !'x'.isPrivateIp()`, "true"},
		// 9.3
		{`[1, 2, 3].slice(1, 3)`, "[2,3]"},
		{`[1].slice(0, 2)`, "error: "},
		{`[[1, [2]], [3]].flatten()`, "[1,[2],3]"},
		{`[[1, [2]]].flatten(2)`, "[1,2]"},
		{`[1].flatten(-1)`, "error: "},
		{`[3, 1, 2].sort()`, "[1,2,3]"},
		{`[{'a': 2}, {'a': 1}].sortBy(x, x.a)[0].a`, "1"},
		{`['b', 1].sort()`, "error: "},
		{`[1, 2, 1].distinct()`, "[1,2]"},
		{`lists.range(3)`, "[0,1,2]"},
		{`lists.range(10001)`, "error: "},
		{`{'a': 1, 'b': 2}.map(k, k).sort()`, `["a","b"]`},
		{`{'a': 1}.filter(k, k == 'a')`, `["a"]`},
		{`[1, 2].exists(x, x > 1) && [1].all(x, x > 0)`, "true"},
		// 9.4, 9.5
		{`base64.encode(b'hi')`, "aGk="},
		{`base64.decode('aGk=') == b'hi'`, "true"},
		{`base64.decode('aGk')`, "error: illegal base64"},
		{`json.encode([1.5, 'a', null])`, `[1.5,"a",null]`},
		{`json.decode('{"a": 1}')['a'] == 1`, "true"},
		{`json.decode('{')`, "error: not JSON"},
		{`basic_auth.encode('u', 'p')`, "Basic dTpw"},
		{`hash.crc32('hello')`, "3610a686"},
		{`hash.crc64('hello')`, "3c3eeee2d8100000"},
		{`hash.xxhash64('hello')`, "26c7827d889f6da3"},
		{`'hello'.md5()`, "5d41402abc4b2a76b9719d911017c592"},
		{`hash.md5('hello', 'base64')`, "XUFAKrxLKna5cZ2REBfFkg=="},
		{`'a'.sha1('x')`, "error: a hash is given as"},
		// 9.7
		{`duration('1.234s').getMilliseconds()`, "234"},
		{`duration('90s').getMinutes()`, "1"},
		{`conn.ts.start.getDate() + conn.ts.start.getMonth()`, "19"},
		{`conn.ts.start.getHours('+02:00')`, "2"},
		{`timestamp(time.now).getFullYear()`, "2026"},
		// 9.8
		{`rand.int(3, 3)`, "3"},
		{`rand.int(2, 1)`, "error: rand.int: 2 is larger"},
		{`rand.int(-1, 1)`, "error: rand.int"},
		{`rand.int() in [0, 1] && rand.double() < 1.0`, "true"},
		{`inCidrRange('10.1.2.3', '10.1.9.9/16')`, "true"},
		{`inCidrRange('x', '10.0.0.0/8') || inCidrRange('10.0.0.1', 'x')`, "false"},
		{`inCidrRanges(conn.client_ip, ['x', '10.0.0.0/8'])`, "true"},
		{`inCidrRange('::ffff:10.0.0.1', '10.0.0.0/8')`, "true"},
		{`has({'a': 1}['a']) && has([1][0]) && !has([1][1])`, "true"},
		{`secrets.get('v', 's')`, "hush"},
		{`secrets.get('v', 'none')`, "error: secret none of vault v: there is none"},
		// text forms, 5
		{`conn.ts.start`, "2024-07-13T00:10:16Z"},
		{`duration('90s')`, "90s"},
		{`1e6`, "1e+06"},
		{`1.5`, "1.5"},
		{`null`, ""},
		{`b'h\xff'`, "h\uFFFD"},
		{`{'t': conn.ts.start, 'f': 2.0}`, `{"f":2,"t":"2024-07-13T00:10:16Z"}`},
		{`math.greatest(1, 3)`, "3"},
		{`sets.contains([1, 2], [1])`, "true"},
	} {
		v, problems := e.Value(tt.source, expr.Response)
		got := ""
		if v == nil {
			got = "error: " + problems[0].Message
		} else if s, err := v.Text(e.NewFrame(request)); err != nil {
			got = "error: " + err.Error()
		} else {
			got = s
		}
		if got != tt.want && !(strings.HasPrefix(tt.want, "error: ") && strings.Contains(got, strings.TrimPrefix(tt.want, "error: ")) && strings.HasPrefix(got, "error")) {
			t.Errorf("%s\n\tgot  %s\n\twant %s", tt.source, got, tt.want)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, tt := range []struct {
		source, want string
		scope        expr.Scope
		offset       int
	}{
		{"req.ulr.path == 'x'", "did you mean req.url.path?", expr.Request, 0},
		{"true &&\n  req.url.paht == ''", "did you mean req.url.path", expr.Request, 10},
		{"res.status_code == 200", "res.status_code is not known in this phase", expr.Request, 0},
		{"getResHeader('x') == []", "not known in this phase", expr.Request, 12},
		{"'a' ==", "ends too early", expr.Request, 6},
		{"req.method", "gives string", expr.Request, 0},
		{"${req.method} == 'GET'", "without ${ }", expr.Request, 0},
		{"'é' == req.metod", "did you mean req.method", expr.Request, 8},
	} {
		b, problems := e.Bool(tt.source, tt.scope)
		if b != nil || len(problems) == 0 || !strings.Contains(problems[0].Message, tt.want) || problems[0].Offset != tt.offset {
			t.Errorf("%q: got %+v, want %q at %d", tt.source, problems, tt.want, tt.offset)
		}
	}
	if b, problems := e.Bool("res.status_code == '200'", expr.Response); b == nil || len(problems) != 1 || !problems[0].Warning {
		t.Errorf("number against text: got %v, %+v, want a warning", b, problems)
	}
	if b, problems := e.Bool("req.Method == '${'", expr.Response); b == nil || len(problems) != 1 || !problems[0].Warning {
		t.Errorf("older name: got %v, %+v, want a warning", b, problems)
	}
}

func TestPolicy30_CostLimit(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b, problems := e.Bool("lists.range(10000).all(x, lists.range(10000).all(y, x + y >= 0))", expr.Request)
	if b == nil {
		t.Fatal(problems)
	}
	if ok, err := b.Eval(e.NewFrame(request)); ok || !errors.Is(err, expr.ErrCost) {
		t.Errorf("got %v, %v, want ErrCost", ok, err)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, tt := range []struct{ source, want string }{
		{"plain $1 $ {x}", "plain $1 $ {x}"},
		{"a ${ {'a': '}'}['a'] } b", "a } b"},
		{"$${x} ${'x'}", "${x} x"},
		{"${ \"}\" }${r'\\'}", "}\\"},
		{"${'''}'''}", "}"},
		{"${req.method}${vars.x}", "GET3"},
		{"a ${req.method", "error 2"},
		{"a ${req.metod}", "error 4"},
		{"${1 // }\n}", "1"},
		{"${}", "error 2"},
	} {
		tpl, problems := e.Template(tt.source, expr.Request)
		var got string
		if tpl == nil {
			got = fmt.Sprint("error ", problems[0].Offset)
		} else if s, err := tpl.Text(e.NewFrame(request)); err != nil {
			got = err.Error()
		} else {
			got = s
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q (%v)", tt.source, got, tt.want, problems)
		}
	}
	tpl, _ := e.Template("${[10,20][1]}", expr.Request)
	if v, err := tpl.Value(e.NewFrame(request)); v != int64(20) || err != nil {
		t.Errorf("sole expression: got %T %v, %v, want int64 20", v, v, err)
	}
}

const simple = "req.method == 'GET' && req.url.path.startsWith('/a') && req.headers['user-agent'][0] == 'curl/8'"

func BenchmarkSimple(b *testing.B) {
	e := newEnv(b)
	x, problems := e.Bool(simple, expr.Request)
	if x == nil {
		b.Fatal(problems)
	}
	f := e.NewFrame(request)
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := x.Eval(f); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for source, want := range map[string][]expr.Part{
		"req.url.path.startsWith('/a') && vars.none == 1 && req.method == 'GET'": {
			{Source: "req.url.path", Value: "/a/b"},
			{Source: `req.url.path.startsWith("/a")`, Value: "true"},
			{Source: "vars.none", Value: "error: no such key: none"},
			{Source: "vars.none == 1", Value: "error: no such key: none"},
			{Source: `req.url.path.startsWith("/a") && vars.none == 1`, Value: "error: no such key: none"},
			{Source: "req.method", Value: "GET"},
			{Source: `req.method == "GET"`, Value: "true"},
			{Source: `req.url.path.startsWith("/a") && vars.none == 1 && req.method == "GET"`, Value: "error: no such key: none"},
		},
		"[req.method, 'HEAD'].exists(m, m == 'GET') || vars.none == 1": {
			{Source: "req.method", Value: "GET"},
			{Source: `[req.method, "HEAD"].exists(m, m == "GET")`, Value: "true"},
			{Source: `[req.method, "HEAD"].exists(m, m == "GET") || vars.none == 1`, Value: "true"},
		},
		"secrets.get('v', 's') != ''": {
			{Source: `secrets.get("v", "s")`, Value: "(secret)"},
			{Source: `secrets.get("v", "s") != ""`, Value: "true"},
		},
	} {
		b, problems := e.Bool(source, expr.Request)
		if b == nil {
			t.Fatal(problems)
		}
		held, parts, err := b.Trace(e.NewFrame(request))
		wantHeld, wantErr := b.Eval(e.NewFrame(request))
		if held != wantHeld || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: Trace gives %v, %v and Eval %v, %v", source, held, err, wantHeld, wantErr)
		}
		if diff := cmp.Diff(want, parts); diff != "" {
			t.Errorf("%s: parts:\n%s", source, diff)
		}
	}
}

// FuzzTemplate compiles and evaluates what it is given: nothing may panic, and
// what does not compile says why and where.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"plain", "${req.method}", "$${", "${ {'a': '}'}['a'] }", "${'a'.replace('', 'b', 3)}", "${[1,2].map(x, x)}", "${r'\\'}", "${'''a'''}", "${has(vars.x)}",
		"${'%s'.format([1])}", "${lists.range(100).map(x, 'aaaa').join('b')}", "${b'\\xff'}", "${timestamp(time.now)}", "${", "${}}", "${// }\n1}",
	} {
		f.Add(s)
	}
	e, err := expr.New(expr.Config{Results: results, CostLimit: 10_000})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		tpl, problems := e.Template(source, expr.Response)
		for _, p := range problems {
			if p.Offset < 0 || p.Offset > len(source) || p.Message == "" {
				t.Errorf("problem %+v of %q", p, source)
			}
		}
		if tpl == nil {
			if len(problems) == 0 {
				t.Errorf("%q: refused without a reason", source)
			}
			return
		}
		if s, err := tpl.Text(e.NewFrame(request)); err == nil && len(s) > 4<<20 {
			t.Errorf("%q: a text of %d bytes", source, len(s))
		}
	})
}

// BenchmarkBare is the expression of BenchmarkSimple in CEL alone.
func BenchmarkBare(b *testing.B) {
	env, err := cel.NewEnv(
		cel.Variable("req.method", cel.StringType), cel.Variable("req.url.path", cel.StringType),
		cel.Variable("req.headers", cel.MapType(cel.StringType, cel.ListType(cel.StringType))),
	)
	if err != nil {
		b.Fatal(err)
	}
	checked, issues := env.Compile(simple)
	if issues.Err() != nil {
		b.Fatal(issues.Err())
	}
	prg, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		b.Fatal(err)
	}
	vars, err := cel.NewActivation(map[string]any{
		"req.method": "GET", "req.url.path": "/a/b", "req.headers": map[string][]string{"user-agent": {"curl/8"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v, _, err := prg.Eval(vars); err != nil || v != types.True {
			b.Fatal(v, err)
		}
	}
}
