package api

import "github.com/culvert-project/culvert/internal/fault"

// AgentIngress is a name under which the agents of one account connect (api.md 2.16).
type AgentIngress struct {
	Meta
	Texts
	Domain string `json:"domain"`
	// NSTargets is empty: the server answers no questions about names.
	NSTargets []string `json:"ns_targets"`
	// RegionDomains is where a record of Domain has to lead.
	RegionDomains               []string           `json:"region_domains"`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy"`
	CertificateManagementStatus *CertificateStatus `json:"certificate_management_status"`
}

// AgentIngresses is the table of agent ingresses.
func AgentIngresses() *Resource {
	return &Resource{
		Name: "agent ingress", Path: "/agent_ingresses", ListKey: "ingresses", Prefix: "agin", Verbs: crud(),
		Fields: append([]Field{
			{Name: "domain", Create: Required, Max: 1024, Invalid: fault.IngressDomain, Doc: "the name that agents connect to, outside the server's base domains"},
			{Name: "certificate_management_policy", Type: Object, Create: Optional, Update: Optional, Doc: "how certificates are had", Fields: []Field{
				{Name: "authority", Create: Optional, Update: Optional, Enum: []string{"letsencrypt"}, Invalid: fault.DomainAuthority, Doc: "letsencrypt"},
				{Name: "private_key_type", Create: Optional, Update: Optional, Enum: []string{"ecdsa", "rsa"}, Invalid: fault.DomainKeyType, Doc: "rsa or ecdsa"},
			}},
			{Name: "ns_targets", Type: Strings, Doc: "always empty: no name server is needed"},
			{Name: "region_domains", Type: Strings, Doc: "the name that a CNAME record of domain points to"},
			{Name: "certificate_management_status", Type: Object, Doc: "how far the automatic certificate is", Fields: []Field{
				{Name: "renews_at", Type: Time, Doc: "when it is renewed"},
				{Name: "provisioning_job", Type: Object, Doc: "the getting of it", Fields: []Field{
					{Name: "error_code", Doc: "DNS_ERROR, INTERNAL_ERROR or null"},
					{Name: "msg", Doc: "what is wrong"},
					{Name: "started_at", Type: Time, Doc: "when it began"},
					{Name: "retries_at", Type: Time, Doc: "when it is tried again"},
				}},
			}},
		}, texts(fault.IngressDescription, fault.IngressMetadata)...),
		Filter: []string{"id", "created_at", "description", "metadata", "domain"}, Answer: AgentIngress{},
		Doc: "An agent ingress is a name of your own that only agents of your account may connect to.",
	}
}
