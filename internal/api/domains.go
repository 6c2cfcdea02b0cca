package api

import (
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// Domain is a name that an account has reserved, with all below it (api.md 2.2).
type Domain struct {
	Meta
	Texts
	Domain string `json:"domain"`
	Region string `json:"region"`
	// CNAMETarget is where a name outside the base domains is to point to. It never changes.
	CNAMETarget *string `json:"cname_target"`
	// ACMEChallengeCNAMETarget is where _acme-challenge of a wildcard outside the base domains is to point to.
	ACMEChallengeCNAMETarget    *string            `json:"acme_challenge_cname_target"`
	Certificate                 *Ref               `json:"certificate"`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy"`
	CertificateManagementStatus *CertificateStatus `json:"certificate_management_status"`
	// ResolvesTo is null where it is not set.
	ResolvesTo []Place `json:"resolves_to"`
}

// CertificatePolicy says how certificates are had.
type CertificatePolicy struct {
	Authority      string `json:"authority"`
	PrivateKeyType string `json:"private_key_type"`
}

// CertificateStatus is how far the certificate of a policy is.
type CertificateStatus struct {
	RenewsAt        *time.Time       `json:"renews_at"`
	ProvisioningJob *ProvisioningJob `json:"provisioning_job"`
}

// ProvisioningJob is the getting of a certificate.
type ProvisioningJob struct {
	ErrorCode *string    `json:"error_code"`
	Msg       string     `json:"msg"`
	StartedAt time.Time  `json:"started_at"`
	RetriesAt *time.Time `json:"retries_at"`
}

// Place is where a name leads to.
type Place struct {
	Value string `json:"value"`
}

// The actions of domains.
const (
	DetachCertificate       = "detach-certificate"
	DetachCertificatePolicy = "detach-certificate-management-policy"
)

// Domains is the table of reserved domains.
func Domains() *Resource {
	return &Resource{
		Name: "reserved domain", Path: "/reserved_domains", ListKey: "reserved_domains", Prefix: "rd", Verbs: crud(),
		Actions: []Action{
			{Name: DetachCertificate, Aliases: []string{"delete-certificate"}, Path: "certificate", Method: "DELETE", Doc: "take the uploaded certificate off a domain"},
			{Name: DetachCertificatePolicy, Aliases: []string{"delete-certificate-management-policy"}, Path: "certificate_management_policy", Method: "DELETE", Doc: "end the automatic certificates of a domain"},
		},
		Fields: append([]Field{
			{Name: "domain", Create: Optional, Update: Optional, Max: 1024, TooLong: fault.DomainLength, Doc: "the name, or *.name; it cannot be changed"},
			{Name: "name", Create: Optional, Max: 1024, TooLong: fault.DomainLength, Doc: "another word for domain"},
			{Name: "region", Create: Optional, Max: 64, Doc: "not used any more"},
			{Name: "certificate_id", Create: Optional, Update: Optional, Ref: "cert", Doc: "the id of an uploaded certificate; an empty one leaves all as it is"},
			{Name: "certificate_management_policy", Type: Object, Create: Optional, Update: Optional, Doc: "how certificates are had; none under a base domain", Fields: []Field{
				{Name: "authority", Create: Optional, Update: Optional, Enum: []string{"letsencrypt"}, Invalid: fault.DomainAuthority, Doc: "letsencrypt"},
				{Name: "private_key_type", Create: Optional, Update: Optional, Enum: []string{"ecdsa", "rsa"}, Invalid: fault.DomainKeyType, Doc: "ecdsa or rsa"},
			}},
			{Name: "resolves_to", Type: Objects, Create: Optional, Update: Optional, Doc: "the places or addresses that the name leads to", Fields: []Field{
				{Name: "value", Create: Required, Max: 64, Doc: "a region, global, or an address"},
			}},
			{Name: "cname_target", Doc: "where a CNAME record of the name points to"},
			{Name: "acme_challenge_cname_target", Doc: "where a CNAME record of _acme-challenge.NAME points to"},
			{Name: "certificate", Type: RefType, Doc: "the certificate of the name"},
			{Name: "certificate_management_status", Type: Object, Doc: "how far the automatic certificate is", Fields: []Field{
				{Name: "renews_at", Type: Time, Doc: "when it is renewed"},
				{Name: "provisioning_job", Type: Object, Doc: "the getting of it", Fields: []Field{
					{Name: "error_code", Doc: "DNS_ERROR, INTERNAL_ERROR or null"},
					{Name: "msg", Doc: "what is wrong"},
					{Name: "started_at", Type: Time, Doc: "when it began"},
					{Name: "retries_at", Type: Time, Doc: "when it is tried again"},
				}},
			}},
			{Name: "http_endpoint_configuration_id", Create: Ignored, Update: Ignored, Doc: "without effect"},
			{Name: "https_endpoint_configuration_id", Create: Ignored, Update: Ignored, Doc: "without effect"},
			{Name: "error_redirect_url", Create: Ignored, Update: Ignored, Doc: "without effect"},
		}, texts(fault.DomainDescription, fault.DomainMetadata)...),
		Filter:      []string{"id", "created_at", "description", "metadata", "domain", "region", "cname_target", "certificate.id", "acme_challenge_cname_target"},
		EmptyUpdate: fault.DomainUpdateEmpty, Aliases: []string{"domains"}, Answer: Domain{},
		Doc: "A reserved domain is a name that only your account may use, with all names below it.",
	}
}
