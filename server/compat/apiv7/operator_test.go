package apiv7_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	ngrok "github.com/ngrok/ngrok-api-go/v7"
	"github.com/ngrok/ngrok-api-go/v7/api_keys"
	"github.com/ngrok/ngrok-api-go/v7/endpoints"
	"github.com/ngrok/ngrok-api-go/v7/ip_policies"
	"github.com/ngrok/ngrok-api-go/v7/ip_policy_rules"
	"github.com/ngrok/ngrok-api-go/v7/reserved_domains"

	"github.com/culvert-project/culvert/server/compat/apisuite"
)

// The calls of the Kubernetes operator, in its order and with the fields that it sends (api.md 7.1).

func config(s *apisuite.Server) *ngrok.ClientConfig {
	return ngrok.NewClientConfig(s.Key, ngrok.WithBaseURL(s.URL), ngrok.WithHTTPClient(&http.Client{Transport: s.Transport}))
}

// all reads a collection to its end.
func all[T any](t *testing.T, it ngrok.Iter[T]) []T {
	t.Helper()
	var items []T
	for it.Next(t.Context()) {
		items = append(items, it.Item())
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return items
}

func must[T any](o T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

func TestOperator_Start(t *testing.T) {
	t.Parallel()
	keys := api_keys.NewClient(config(apisuite.Start(t)))
	it := keys.List(&ngrok.Paging{Limit: ngrok.String("1")})
	if !it.Next(t.Context()) {
		t.Errorf("no key: %v; want the one that was used", it.Err())
	}
}

// TestAPI22_Operator_DomainOfAnIngress is what it does for an Ingress with a name under a base domain: the domain is
// ready when it is made, since it has no policy for certificates.
func TestAPI22_Operator_DomainOfAnIngress(t *testing.T) {
	t.Parallel()
	s := apisuite.Start(t)
	domains := reserved_domains.NewClient(config(s))
	name := "ingress." + s.Domain
	find := func() *ngrok.ReservedDomain {
		for _, d := range all(t, domains.List(&ngrok.Paging{})) {
			if d.Domain == name {
				return d
			}
		}
		return nil
	}
	if d := find(); d != nil {
		t.Fatalf("found %+v before it was made", d)
	}
	d := must(domains.Create(t.Context(), &ngrok.ReservedDomainCreate{Domain: name, Description: "Reserved domain for ngrok-operator", Metadata: `{"owned-by":"x"}`}))(t)
	if d.CertificateManagementPolicy != nil || d.CertificateManagementStatus != nil || d.Certificate != nil || d.CNAMETarget != nil {
		t.Errorf("%+v; want neither policy, status, certificate nor CNAME", d)
	}
	if d.ResolvesTo != nil {
		t.Errorf("resolves_to = %v, want null: the operator compares it with its own", d.ResolvesTo)
	}
	if found := find(); found == nil || found.ID != d.ID {
		t.Errorf("found %+v, want %s", found, d.ID)
	}
	got := must(domains.Get(t.Context(), d.ID))(t)
	if got.Description != d.Description || got.Metadata != d.Metadata || got.ResolvesTo != nil {
		t.Errorf("Get = %+v, want %+v", got, d)
	}
	pinned := []ngrok.ReservedDomainResolvesToEntry{{Value: "global"}}
	up := must(domains.Update(t.Context(), &ngrok.ReservedDomainUpdate{ID: d.ID, Description: ngrok.String("other"), Metadata: ngrok.String("m"), ResolvesTo: pinned}))(t)
	if up.Description != "other" || up.Metadata != "m" || !slices.Equal(up.ResolvesTo, pinned) {
		t.Errorf("Update = %+v", up)
	}
	deleted(t, d.ID, domains.Delete)
}

func deleted(t *testing.T, id string, remove func(context.Context, string) error) {
	t.Helper()
	if err := remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := remove(t.Context(), id); !ngrok.IsNotFound(err) {
		t.Errorf("second delete: %v, want that it is not found", err)
	}
}

func TestOperator_CloudEndpoint(t *testing.T) {
	t.Parallel()
	client := endpoints.NewClient(config(apisuite.Start(t)))
	const policy = "{\"on_http_request\":[{\"actions\":[{\"type\":\"custom-response\",\"config\":{\"status_code\":404}}]}]}"
	spec := &ngrok.EndpointCreate{
		Type: "cloud", URL: "https://service.namespace.internal", Description: ngrok.String("Created by the operator"), Metadata: ngrok.String(`{"a":"b"}`),
		TrafficPolicy: policy, Bindings: []string{"internal"}, PoolingEnabled: ngrok.Bool(true),
	}
	e := must(client.Create(t.Context(), spec))(t)
	if e.ID == "" || e.URL != spec.URL || e.PublicURL != spec.URL || e.Proto != "https" {
		t.Errorf("Create = %+v", e)
	}
	got := must(client.Get(t.Context(), e.ID))(t)
	if got.URL != spec.URL || got.Description != *spec.Description || got.Metadata != *spec.Metadata || got.TrafficPolicy != policy ||
		!slices.Equal(got.Bindings, spec.Bindings) || !got.PoolingEnabled {
		t.Errorf("Get = %+v, want what was sent, to the byte", got)
	}
	alone := *spec
	alone.PoolingEnabled = nil
	if _, err := client.Create(t.Context(), &alone); !ngrok.IsErrorCode(err, 18017) {
		t.Errorf("one alone beside a pool: %v, want 18017, which it tries again", err)
	}
	// An update carries everything but the type.
	up := must(client.Update(t.Context(), &ngrok.EndpointUpdate{
		ID: e.ID, Url: &spec.URL, Description: ngrok.String("changed"), Metadata: spec.Metadata, TrafficPolicy: ngrok.String(policy), Bindings: spec.Bindings, PoolingEnabled: ngrok.Bool(false),
	}))(t)
	if up.ID != e.ID || up.URL != spec.URL || up.Description != "changed" || up.PoolingEnabled {
		t.Errorf("Update = %+v", up)
	}
	if _, err := client.Create(t.Context(), spec); !ngrok.IsErrorCode(err, 18016) {
		t.Errorf("a pool beside one alone: %v, want 18016, which it tries again", err)
	}
	deleted(t, e.ID, client.Delete)
}

// TestAPI26_Operator_DomainInUse is what it does when an Ingress and its domain go at once: 446 is tried again.
func TestAPI26_Operator_DomainInUse(t *testing.T) {
	t.Parallel()
	s := apisuite.Start(t)
	cfg := config(s)
	domains, client := reserved_domains.NewClient(cfg), endpoints.NewClient(cfg)
	d := must(domains.Create(t.Context(), &ngrok.ReservedDomainCreate{Domain: "in-use." + s.Domain}))(t)
	e := must(client.Create(t.Context(), &ngrok.EndpointCreate{
		Type: "cloud", URL: "https://in-use." + s.Domain, TrafficPolicy: "on_http_request: [{actions: [{type: deny}]}]", Bindings: []string{"public"},
	}))(t)
	if e.Domain == nil || e.Domain.ID != d.ID {
		t.Errorf("the endpoint's domain is %+v, want %s", e.Domain, d.ID)
	}
	if err := domains.Delete(t.Context(), d.ID); !ngrok.IsErrorCode(err, 446) {
		t.Errorf("delete of a domain in use: %v, want 446, which it tries again", err)
	}
	deleted(t, e.ID, client.Delete)
	deleted(t, d.ID, domains.Delete)
}

func TestOperator_IPPolicy(t *testing.T) {
	t.Parallel()
	cfg := config(apisuite.Start(t))
	policies, rules := ip_policies.NewClient(cfg), ip_policy_rules.NewClient(cfg)
	p := must(policies.Create(t.Context(), &ngrok.IPPolicyCreate{Description: "d", Metadata: "m"}))(t)
	up := must(policies.Update(t.Context(), &ngrok.IPPolicyUpdate{ID: p.ID, Description: ngrok.String("e"), Metadata: ngrok.String("m")}))(t)
	if got := must(policies.Get(t.Context(), p.ID))(t); got.Description != "e" || got.Metadata != "m" || up.ID != p.ID {
		t.Errorf("Get = %+v", got)
	}
	rule := func(cidr, action string) *ngrok.IPPolicyRuleCreate {
		return &ngrok.IPPolicyRuleCreate{IPPolicyID: p.ID, CIDR: cidr, Action: &action, Description: "d", Metadata: "m"}
	}
	allow := must(rules.Create(t.Context(), rule("10.0.0.0/8", "allow")))(t)
	must(rules.Create(t.Context(), rule("2001:DB8::/32", "deny")))(t)
	found := map[string]string{}
	for _, r := range all(t, rules.List(&ngrok.Paging{})) { // no filter: it looks for its own
		if r.IPPolicy.ID == p.ID {
			found[r.CIDR] = r.Action
		}
	}
	if len(found) != 2 || found["10.0.0.0/8"] != "allow" || found["2001:db8::/32"] != "deny" {
		t.Errorf("rules = %v", found)
	}
	must(rules.Update(t.Context(), &ngrok.IPPolicyRuleUpdate{ID: allow.ID, CIDR: ngrok.String("10.1.0.0/16"), Description: ngrok.String("d"), Metadata: ngrok.String("m")}))(t)
	if _, err := rules.Create(t.Context(), rule("10.0.0.300/8", "allow")); !ngrok.IsErrorCode(err, 1406) {
		t.Errorf("a CIDR that is none: %v, want 1406, which has its own condition", err)
	}
	deleted(t, allow.ID, rules.Delete)
	deleted(t, p.ID, policies.Delete)
}
