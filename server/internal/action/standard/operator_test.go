package standard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
)

func TestPolicy63_DocumentsOfAnOperator(t *testing.T) {
	t.Parallel()
	cases(t, "policy63")
}

// weighted are the two shapes of weighted routes that operators write.
var weighted = map[string]string{
	"vars": `
on_http_request:
  - name: Gen-Random-Number
    actions: [{type: set-vars, config: {vars: [{weighted_route_random_num: "${rand.int(0,11)}"}]}}]
  - name: Generated-Route
    expressions: ["int(vars.weighted_route_random_num) <= 2"]
    actions: [{type: forward-internal, config: {url: "https://one.internal"}}]
  - name: Generated-Route
    expressions: ["int(vars.weighted_route_random_num) >= 3 && int(vars.weighted_route_random_num) <= 11"]
    actions: [{type: forward-internal, config: {url: "https://two.internal"}}]
  - name: Fallback-404
    actions: [{type: custom-response, config: {status_code: 404, content: "No route", headers: {content-type: text/plain}}}]
`,
	"log": `
on_http_request:
  - name: Log-Random-Number
    actions: [{type: log, config: {metadata: {original_path: "${req.url.path}", weighted_route_random_num: "${rand.int(0,11)}"}}}]
  - name: Generated-Route
    expressions: ["actions.ngrok.log.metadata['original_path'].startsWith('/')", "int(actions.ngrok.log.metadata['weighted_route_random_num']) <= 2"]
    actions: [{type: forward-internal, config: {url: "https://one.internal"}}]
  - name: Generated-Route
    expressions: ["int(actions.ngrok.log.metadata['weighted_route_random_num']) >= 3"]
    actions: [{type: forward-internal, config: {url: "https://two.internal"}}]
  - name: Fallback-404
    actions: [{type: custom-response, config: {status_code: 404, content: "No route", headers: {content-type: text/plain}}}]
`,
}

// TestPolicy63_Weights counts where weights of 3 and 9 send 6000 requests: each
// count is within six deviations of its mean.
func TestPolicy63_Weights(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{Forwarder: policycase.Forwarder{}})...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range weighted {
		d, found := policy.Parse(name, []byte(doc))
		if found.Failed() {
			t.Fatal(found)
		}
		p, found := c.Compile(d, policy.Target{Scheme: endpoint.HTTPS, Binding: endpoint.Public, Cloud: true})
		if found.Failed() {
			t.Fatal(found)
		}
		got := map[string]int{}
		ctx := policycase.WithInternal(t.Context(), func(to endpoint.URL) (*http.Response, error) {
			got[to.Host]++
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
		})
		for range 6000 {
			route(ctx, t, p)
		}
		if n := got["one.internal"]; n < 1300 || n > 1700 || n+got["two.internal"] != 6000 {
			t.Errorf("%s: got %v, want about 1500 and 4500", name, got)
		}
	}
}

func route(ctx context.Context, t *testing.T, p *policy.Program) {
	t.Helper()
	x := policy.NewExchange(p.Env(), &policy.Conn{})
	x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	x.Endpoint.URL, _ = endpoint.ParseURL("https://h.example", endpoint.HTTPS)
	if v, err := p.Run(ctx, policy.OnHTTPRequest, x); err != nil || v != policy.Answer || x.Response.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", v, err)
	}
}
