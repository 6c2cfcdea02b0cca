package policycase_test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/forward"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

// probe is an action that ends its phase in every way.
type probe struct {
	Header  *expr.Template `field:"header"`
	Verdict int            `field:"verdict"`
}

func (p *probe) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	s, err := x.Text(p.Header)
	if err != nil {
		return 0, err
	}
	if x.Request == nil {
		return policy.Verdict(p.Verdict), nil //nolint:gosec // a verdict
	}
	x.SetResult("probe", map[string]any{"header": s})
	if x.Response == nil && p.Verdict != 0 {
		x.Respond(418, s)
	} else if x.Response != nil {
		x.Response.Header.Set("X-Probe", s)
	} else {
		x.Request.Header.Set("X-Probe", s)
	}
	x.Logs = append(x.Logs, map[string]any{"s": s})
	return policy.Verdict(p.Verdict), nil //nolint:gosec // a verdict
}

func registry(t *testing.T) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(policy.Define(policy.Definition{
		Type:    "probe",
		Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse},
		Schemes: []endpoint.Scheme{endpoint.HTTPS, endpoint.TCP},
		Results: []expr.Variable{{Name: "probe.header", Kind: expr.KindText}},
	}, probe{}, func(p *probe, _ *policy.Build) policy.Action { return p }))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t), "testdata/probe.txtar")
}

func TestCasesThatAreNotWellFormed(t *testing.T) {
	t.Parallel()
	r := policycase.Runner{Registry: registry(t)}
	c, err := policy.NewCompiler(r.Registry)
	if err != nil {
		t.Fatal(err)
	}
	const doc = "policy.yml=on_http_request: [{actions: [{type: probe}]}]"
	for name, files := range map[string]map[string][]byte{
		"request":  {"request": []byte("nonsense")},
		"upstream": {"request": []byte("GET / HTTP/1.1\nHost: h\n"), "upstream": []byte("nonsense")},
		"endpoint": {"endpoint": []byte("https://h.example nonsense")},
		"client":   {"client": []byte("nonsense")},
	} {
		files["policy.yml"] = []byte(doc[len("policy.yml="):])
		if out, err := r.Case(t.Context(), c, files); err == nil {
			t.Errorf("%s: got %q and no error", name, out)
		}
	}
}

// TestForward sends requests and connections to internal endpoints.
func TestForward(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRegistry(forward.Definitions(policycase.Forwarder{})...)
	if err != nil {
		t.Fatal(err)
	}
	policytest.Run(t, r, "testdata/forward.txtar")
}

// TestFormat holds the archives to what -update writes.
func TestFormat(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/probe.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(txtar.Format(txtar.Parse(text))); got != string(text) {
		t.Errorf("got\n%s", got)
	}
}
