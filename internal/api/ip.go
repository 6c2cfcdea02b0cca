package api

import "github.com/culvert-project/culvert/internal/fault"

// IPPolicy is a list of rules about addresses (api.md 2.6).
type IPPolicy struct {
	Meta
	Texts
}

// IPPolicies is the table of IP policies.
func IPPolicies() *Resource {
	return &Resource{
		Name: "IP policy", Path: "/ip_policies", ListKey: "ip_policies", Prefix: "ipp", Verbs: crud(),
		Fields: texts("", ""), Filter: []string{"id", "created_at", "description", "metadata"},
		EmptyUpdate: fault.IPPolicyUpdateEmpty, NotFound: fault.IPPolicyNotFound, Answer: IPPolicy{},
		Doc: "An IP policy says which addresses may come in; the action restrict-ips and IP restrictions use it.",
	}
}

// IPPolicyRule allows or denies a range of addresses.
type IPPolicyRule struct {
	Meta
	Texts
	// CIDR is as its owner wrote it, but for case and spaces around it.
	CIDR     string `json:"cidr"`
	IPPolicy Ref    `json:"ip_policy"`
	Action   string `json:"action"`
}

// The actions of rules.
const (
	AllowAction = "allow"
	DenyAction  = "deny"
)

// IPPolicyRules is the table of the rules of IP policies.
func IPPolicyRules() *Resource {
	return &Resource{
		Name: "IP policy rule", Path: "/ip_policy_rules", ListKey: "ip_policy_rules", Prefix: "ipr", Verbs: crud(),
		Fields: append([]Field{
			{Name: "ip_policy_id", Create: Required, Ref: "ipp", Missing: fault.IPRulePolicy, Doc: "the id of its IP policy"},
			{Name: "cidr", Create: Required, Update: Optional, Max: 64, Missing: fault.IPRuleParameter, Invalid: fault.IPRuleCIDR, Doc: "a range of addresses, like 10.0.0.0/8 or 2001:db8::/32"},
			{Name: "action", Create: Required, Missing: fault.IPRuleParameter, Enum: []string{AllowAction, DenyAction}, Invalid: fault.IPRuleAction, Doc: "allow or deny; deny wins"},
			{Name: "ip_policy", Type: RefType, Doc: "its IP policy"},
		}, texts(fault.IPRuleDescription, "")...),
		Filter:      []string{"id", "created_at", "description", "metadata", "ip_policy", "ip_policy.id", "cidr", "action"},
		EmptyUpdate: fault.IPRuleUpdateEmpty, NotFound: fault.IPRuleNotFound, Answer: IPPolicyRule{},
		Doc: "A rule of an IP policy allows or denies a range of addresses.",
	}
}

// IPRestriction keeps addresses away from a part of the account (api.md 2.7).
type IPRestriction struct {
	Meta
	Texts
	Type string `json:"type"`
	// Enforced says that it refuses; otherwise it only warns.
	Enforced   bool  `json:"enforced"`
	IPPolicies []Ref `json:"ip_policies"`
}

// What restrictions can be about.
const (
	RestrictDashboard = "dashboard"
	RestrictAPI       = "api"
	RestrictAgent     = "agent"
	RestrictEndpoints = "endpoints"
)

// IPRestrictions is the table of IP restrictions.
func IPRestrictions() *Resource {
	return &Resource{
		Name: "IP restriction", Path: "/ip_restrictions", ListKey: "ip_restrictions", Prefix: "ipx", Verbs: crud(),
		Fields: append([]Field{
			{Name: "type", Create: Required, Enum: []string{RestrictDashboard, RestrictAPI, RestrictAgent, RestrictEndpoints}, Invalid: fault.RestrictionType, Doc: "what it is about: dashboard, api, agent or endpoints"},
			{Name: "enforced", Type: Bool, Create: Optional, Update: Optional, Doc: "whether it refuses; otherwise it only warns"},
			{Name: "ip_policy_ids", Type: Strings, Create: Required, Update: Optional, Ref: "ipp", Missing: fault.RestrictionEmpty, Doc: "the ids of the IP policies, one of which has to allow an address and none deny it"},
			{Name: "ip_policies", Type: Refs, Doc: "these IP policies"},
		}, texts("", "")...),
		Filter: []string{"id", "created_at", "description", "metadata"}, Force: true, Answer: IPRestriction{},
		Doc: "An IP restriction keeps addresses away from all endpoints, the agents, the API or the console of an account. One of the API that would refuse its maker is itself refused, unless the request has `?force=true` (`--force`); `culvertd restriction disable api` on the server's machine is the way back in. One of agents refuses new sessions, and those that are connected stay.",
	}
}
