package terraform_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/culvert-project/culvert/server/compat/apisuite"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// resource is one kind of the provider's resources, with a configuration of it. Texts like ${vault} stand for the id
// of the resource of that name.
type resource struct {
	name string // of the provider's
	pkg  string // of the client's
	// post and patch are the fields that creations and updates send. Those of ifChanged only go into an update when
	// their value is another one.
	post, patch, ifChanged []string
	// always are what an update sends whatever the configuration says.
	always apisuite.Fields
	// config is the configuration, and change what is changed of it later.
	config, change apisuite.Fields
}

// policyText is YAML as people write it. Nothing of it may get lost.
const policyText = `# The front page.
on_http_request:
  -   name: "front"       # spaces to be kept
      actions:
      - type:   custom-response
        config: { status_code: 200,   body: "hello" }


`

var (
	texts     = []string{"description", "metadata"}
	noted     = apisuite.Fields{"description": "made by a plan", "metadata": `{"env":  "test"}`}
	rewritten = apisuite.Fields{"description": "changed by a plan"}
)

// resources are the provider's that the server has, each behind those that it names.
func resources(t *testing.T, domain string) []resource {
	t.Helper()
	cert, key := nodetest.PEM(t, nodetest.Certificate(t, "uploaded.example.net"))
	return []resource{
		{name: "service_user", pkg: "bot_users", post: []string{"name", "active"}, ifChanged: []string{"name", "active"}, config: apisuite.Fields{"name": "robot", "active": true}, change: apisuite.Fields{"name": "other robot"}},
		{name: "api_key", pkg: "api_keys", post: append(texts, "owner_id"), patch: texts, config: with("owner_id", "${service_user}"), change: rewritten},
		{
			name: "credential", pkg: "credentials", post: append(texts, "acl", "owner_id"), patch: append(texts, "acl"), change: rewritten,
			config: with("owner_id", "${service_user}", "acl", []string{"bind:*.b.example.com", "bind:a.example.com"}),
		},
		{
			name: "domain", pkg: "reserved_domains", patch: append(texts, "resolves_to"), always: apisuite.Fields{"certificate_id": ""},
			post: append(texts, "domain", "region", "resolves_to"), config: with("domain", " Terraform."+domain+". "), change: rewritten,
		},
		{
			name: "custom_domain", pkg: "reserved_domains", patch: append(texts, "certificate_management_policy", "resolves_to"), always: apisuite.Fields{"certificate_id": ""},
			post: append(texts, "domain", "region", "certificate_management_policy", "resolves_to"), change: rewritten,
			config: with("domain", "terraform.example.org", "certificate_management_policy", map[string]any{"authority": "letsencrypt", "private_key_type": "rsa"},
				"resolves_to", []any{map[string]any{"value": "global"}}),
		},
		{
			name: "tls_certificate", pkg: "tls_certificates", post: append(texts, "certificate_pem", "private_key_pem"), patch: texts,
			config: with("certificate_pem", cert+"\n", "private_key_pem", key), change: rewritten,
		},
		{
			name: "uploaded_domain", pkg: "reserved_domains", patch: append(texts, "certificate_id", "resolves_to"),
			post: append(texts, "domain", "certificate_id"), config: with("domain", "uploaded.example.net", "certificate_id", "${tls_certificate}"), change: rewritten,
		},
		{name: "certificate_authority", pkg: "certificate_authorities", post: append(texts, "ca_pem"), patch: texts, config: with("ca_pem", cert+"\n"), change: rewritten},
		{
			name: "cloud_endpoint", pkg: "endpoints", post: append(texts, "url", "traffic_policy", "bindings", "pooling_enabled"),
			patch: append(texts, "traffic_policy", "bindings", "pooling_enabled"), change: rewritten,
			config: with("url", "HTTPS://terraform."+domain+":443", "traffic_policy", policyText, "bindings", []string{"public"}, "pooling_enabled", false),
		},
		{name: "tcp_address", pkg: "reserved_addrs", post: append(texts, "region"), patch: texts, config: noted, change: rewritten},
		{
			name: "agent_ingress", pkg: "agent_ingresses", post: append(texts, "domain", "certificate_management_policy"),
			patch: append(texts, "certificate_management_policy"), change: rewritten,
			config: with("domain", "Connect.Terraform.example.com. ", "certificate_management_policy", map[string]any{"authority": "letsencrypt", "private_key_type": "rsa"}),
		},
		{name: "ip_policy", pkg: "ip_policies", post: texts, patch: texts, config: noted, change: rewritten},
		{
			name: "ip_policy_rule", pkg: "ip_policy_rules", post: append(texts, "cidr", "ip_policy_id", "action"), patch: append(texts, "cidr"),
			config: with("cidr", " 2001:DB8::/32 ", "ip_policy_id", "${ip_policy}", "action", "deny"), change: rewritten,
		},
		{
			name: "ip_restriction", pkg: "ip_restrictions", post: append(texts, "type", "enforced", "ip_policy_ids"), patch: append(texts, "enforced", "ip_policy_ids"),
			config: with("type", "dashboard", "enforced", true, "ip_policy_ids", []string{"${ip_policy}"}), change: apisuite.Fields{"enforced": false},
		},
		{name: "vault", pkg: "vaults", post: append(texts, "name"), patch: texts, ifChanged: []string{"name"}, config: with("name", "terraform"), change: rewritten},
		{
			name: "secret", pkg: "secrets", post: append(texts, "name", "value", "vault_id"), patch: texts, ifChanged: []string{"name", "value"},
			config: with("name", "password", "value", "hunter2", "vault_id", "${vault}"), change: apisuite.Fields{"value": "hunter3"},
		},
	}
}

// with returns noted with further fields, given as names and values.
func with(more ...any) apisuite.Fields {
	f := apisuite.Fields{}
	for name, v := range noted {
		f[name] = v
	}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

var reference = regexp.MustCompile(`^\$\{(\w+)\}$`)

// resolve puts ids in the place of references.
func resolve(v any, ids map[string]string) any {
	switch v := v.(type) {
	case string:
		if m := reference.FindStringSubmatch(v); m != nil {
			return ids[m[1]]
		}
	case []string:
		list := slices.Clone(v)
		for i := range list {
			list[i], _ = resolve(list[i], ids).(string)
		}
		return list
	}
	return v
}
