package rest_test

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// uploadOf is the body of a certificate's creation.
func uploadOf(t *testing.T, c tls.Certificate) string {
	t.Helper()
	cert, key := nodetest.PEM(t, c)
	return mustJSON(t, map[string]string{"certificate_pem": cert, "private_key_pem": key})
}

// upload uploads a certificate for names and returns its id.
func (g *guarded) upload(names ...string) string {
	g.t.Helper()
	return g.make("/tls_certificates", uploadOf(g.t, nodetest.Certificate(g.t, names...)))
}

func attach(cert string) string { return fmt.Sprintf(`{"certificate_id":%q}`, cert) }

// certificateOf returns the id of a domain's certificate, "" if it has none.
func certificateOf(domain map[string]any) string {
	ref, _ := domain["certificate"].(map[string]any)
	id, _ := ref["id"].(string)
	return id
}

func TestTLSCertificates(t *testing.T) {
	t.Parallel()
	g := guard(t)
	c := nodetest.Certificate(t, "shop.example.org", "*.shop.example.org")
	cert, key := nodetest.PEM(t, c)
	cert = "# mine\r\n" + cert + "\n\n" // it comes back byte for byte
	got := g.must(201, "POST", "/tls_certificates", mustJSON(t, map[string]string{"certificate_pem": cert, "private_key_pem": key, "description": "d"}))
	for field, want := range map[string]any{
		"certificate_pem": cert, "description": "d", "issued_at": nil, "private_key_type": "ecdsa", "not_after": c.Leaf.NotAfter.UTC().Format(time.RFC3339),
		"serial_number": fmt.Sprintf("%x", c.Leaf.SerialNumber.Bytes()), "subject_common_name": "", "subject_country": "",
	} {
		if got[field] != want {
			t.Errorf("%s = %v, want %v", field, got[field], want)
		}
	}
	if names := mustJSON(t, got["subject_alternative_names"]); names != `{"dns_names":["shop.example.org","*.shop.example.org"],"ips":[]}` {
		t.Errorf("names = %s", names)
	}
	if usages := mustJSON(t, []any{got["key_usages"], got["extended_key_usages"]}); usages != `[["digital-signature","cert-sign"],[]]` {
		t.Errorf("usages = %s", usages)
	}
	path := "/tls_certificates/" + got["id"].(string)
	if again := g.must(200, "PATCH", path, `{"metadata":"m"}`); again["metadata"] != "m" || again["certificate_pem"] != cert {
		t.Errorf("after an update: %v", again)
	}
	g.refused(400, fault.FieldUnknown, "PATCH", path, `{"certificate_pem":"x"}`)
	g.refused(404, fault.CertificateUnknown, "GET", path, "", asTwo)
	g.refused(404, fault.CertificateUnknown, "GET", "/tls_certificates/"+id2("cert"), "")
	for _, tt := range []struct {
		body string
		code fault.Code
	}{
		{`{}`, fault.CertificateMissing},
		{mustJSON(t, map[string]string{"certificate_pem": cert}), fault.KeyMissing},
		{mustJSON(t, map[string]string{"certificate_pem": key, "private_key_pem": cert}), fault.CertificateIsKey},
		{`{"certificate_pem":"x","private_key_pem":"x","description":"` + strings.Repeat("x", 256) + `"}`, fault.CertificateDescription},
		{`{"certificate_pem":"x","private_key_pem":"x","metadata":"` + strings.Repeat("x", 4097) + `"}`, fault.CertificateMetadata},
	} {
		g.refused(400, tt.code, "POST", "/tls_certificates", tt.body)
	}
	secret := strings.Split(key, "\n")[1]
	for _, text := range []string{mustJSON(t, got), mustJSON(t, g.must(200, "GET", "/tls_certificates", "")), g.logged.String(), g.record()} {
		if strings.Contains(text, secret) {
			t.Errorf("the key shows in %.300s", text)
		}
	}
	g.must(204, "DELETE", path, "")
	g.refused(404, fault.CertificateUnknown, "DELETE", path, "")
}

func TestCertificateAuthorities(t *testing.T) {
	t.Parallel()
	g := guard(t)
	ca, key := nodetest.PEM(t, nodetest.Certificate(t, "authority"))
	got := g.must(201, "POST", "/certificate_authorities", mustJSON(t, map[string]string{"ca_pem": ca + "\n"}))
	if got["ca_pem"] != ca+"\n" || mustJSON(t, got["key_usages"]) != `["digital-signature","cert-sign"]` {
		t.Errorf("got %v", got)
	}
	for body, code := range map[string]fault.Code{
		`{}`: fault.AuthorityMissing, `{"ca_pem":"x"}`: fault.AuthorityNoPEM, mustJSON(t, map[string]string{"ca_pem": key}): fault.AuthorityBlock,
		mustJSON(t, map[string]string{"ca_pem": ca + ca}): fault.AuthorityTwice, mustJSON(t, map[string]string{"ca_pem": strings.Repeat("x", api.MaxPEM+1)}): fault.AuthorityLong,
		`{"ca_pem":"x","description":"` + strings.Repeat("x", 256) + `"}`: fault.AuthorityDescription,
		`{"ca_pem":"x","metadata":"` + strings.Repeat("x", 4097) + `"}`:   fault.AuthorityMetadata,
	} {
		g.refused(400, code, "POST", "/certificate_authorities", body)
	}
	path := "/certificate_authorities/" + got["id"].(string)
	g.must(200, "PATCH", path, `{"description":"d"}`)
	if status, _ := g.do("GET", path, "", asTwo); status != 404 {
		t.Errorf("another account got %d", status)
	}
	g.must(204, "DELETE", path, "")
}

// TestAPI40_Attach attaches an uploaded certificate to a domain, whose hosts are served with it from then on.
func TestAPI40_Attach(t *testing.T) {
	t.Parallel()
	g := guard(t)
	cert := g.upload("shop.example.org", "*.shop.example.org")
	g.refused(400, fault.DomainBaseCertificate, "POST", "/reserved_domains", fmt.Sprintf(`{"domain":"a.%s","certificate_id":%q}`, guardBase, cert))
	g.refused(404, fault.CertificateUnknown, "POST", "/reserved_domains", fmt.Sprintf(`{"domain":"a.example.net","certificate_id":%q}`, cert), asTwo)
	d := g.must(201, "POST", "/reserved_domains", fmt.Sprintf(`{"domain":"shop.example.org","certificate_id":%q}`, cert))
	if certificateOf(d) != cert || d["certificate_management_policy"] != nil || d["certificate_management_status"] != nil {
		t.Errorf("got %v, want the certificate and no policy", d)
	}
	path := "/reserved_domains/" + d["id"].(string)
	for host, want := range map[string]bool{"shop.example.org": true, "a.shop.example.org": true, "a.b.shop.example.org": false, "example.org": false} {
		if got := g.certs.Certificate(host) != nil; got != want {
			t.Errorf("%s has a certificate: %t, want %t", host, got, want)
		}
	}
	if found := g.must(200, "GET", "/reserved_domains?filter=obj.certificate.id%20==%20%22"+cert+"%22", ""); len(found["reserved_domains"].([]any)) != 1 {
		t.Errorf("filtered by its certificate: %v", found)
	}
	e := g.refused(400, fault.CertificateInUse, "DELETE", "/tls_certificates/"+cert, "")
	if msg, _ := e["msg"].(string); !strings.Contains(msg, "shop.example.org") {
		t.Errorf("the refusal %q does not name the domain", msg)
	}
	other := g.upload("shop.example.org")
	before := g.certs.Certificate("shop.example.org")
	if got := g.must(200, "PATCH", path, attach(other)); certificateOf(got) != other {
		t.Errorf("got %v, want the other certificate", got)
	}
	if now := g.certs.Certificate("shop.example.org"); now == nil || now == before || now != g.certs.Certificate("shop.example.org") {
		t.Error("the host is not served with the other certificate, or is opened at every handshake")
	}
	g.must(204, "DELETE", "/tls_certificates/"+cert, "")
	g.must(204, "DELETE", path+"/certificate", "")
	g.must(204, "DELETE", path+"/certificate", "")
	if got := g.must(200, "GET", path, ""); got["certificate"] != nil || g.certs.Certificate("shop.example.org") != nil {
		t.Errorf("after it was taken off: %v", got)
	}
	g.must(204, "DELETE", "/tls_certificates/"+other, "")
}

// TestPolicyAndCertificate are the rules for both (api.md 2.2).
func TestPolicyAndCertificate(t *testing.T) {
	t.Parallel()
	g := guard(t)
	const policy = `"certificate_management_policy":{"authority":"letsencrypt","private_key_type":"rsa"}`
	first, second := g.upload("example.org"), g.upload("example.org")
	path := "/reserved_domains/" + g.make("/reserved_domains", `{"domain":"example.org",`+policy+`}`)
	both := func(cert string) string { return fmt.Sprintf(`{"certificate_id":%q,%s}`, cert, policy) }
	g.refused(400, fault.DomainCertificateTwice, "PATCH", path, both(first))
	if got := g.must(200, "PATCH", path, both("")); certificateOf(got) != "" || got["certificate_management_policy"] == nil {
		t.Errorf("with an empty certificate_id: %v, want the policy as it was", got)
	}
	if got := g.must(200, "PATCH", path, attach(first)); certificateOf(got) != first || got["certificate_management_policy"] != nil {
		t.Errorf("switched to an upload: %v, want no policy", got)
	}
	// Back to automatic: the upload is served until the first certificate has come.
	g.refused(400, fault.DomainCertificateTwice, "PATCH", path, both(second))
	if got := g.must(200, "PATCH", path, both(first)); certificateOf(got) != first || got["certificate_management_policy"] == nil {
		t.Errorf("switched to automatic: %v, want policy and upload", got)
	}
	if got := g.certs.Managed(); len(got) != 1 || got[0].Name != "example.org" || got[0].Current != nil || got[0].Policy.PrivateKeyType != "rsa" {
		t.Errorf("managed: %+v", got)
	}
	g.must(204, "DELETE", path+"/certificate_management_policy", "")
	if got := g.must(200, "GET", path, ""); certificateOf(got) != first || got["certificate_management_policy"] != nil {
		t.Errorf("after the policy has gone: %v, want the upload", got)
	}
}

// issue stores a certificate as the server gets it.
func (g *guarded) issue(domain map[string]any, c tls.Certificate) error {
	g.t.Helper()
	cert, key := nodetest.PEM(g.t, c)
	id, _ := domain["id"].(string)
	name, _ := domain["domain"].(string)
	return g.issuance.Issued(g.t.Context(), control.Issue{
		DomainID: id, Name: name, CertificatePEM: cert, PrivateKeyPEM: vault.Secret(key), IssuedAt: time.Now(), RenewsAt: time.Now().Add(time.Hour),
	})
}

// TestAPI17_AutomaticCertificates have their own object, which stays theirs.
func TestAPI17_AutomaticCertificates(t *testing.T) {
	t.Parallel()
	g := guard(t)
	d := g.must(201, "POST", "/reserved_domains", domain("*.example.org"))
	path := "/reserved_domains/" + d["id"].(string)
	code := "DNS_ERROR"
	started := time.Now().Truncate(time.Second).UTC()
	retry := started.Add(time.Minute)
	if err := g.issuance.Report(t.Context(), d["id"].(string), &api.ProvisioningJob{ErrorCode: &code, Msg: "no record", StartedAt: started, RetriesAt: &retry}, nil); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"provisioning_job":{"error_code":"DNS_ERROR","msg":"no record","retries_at":%q,"started_at":%q},"renews_at":null}`, retry.Format(time.RFC3339), started.Format(time.RFC3339))
	if got := mustJSON(t, g.must(200, "GET", path, "")["certificate_management_status"]); got != want {
		t.Errorf("status = %s, want %s", got, want)
	}
	m := g.certs.Managed()[0]
	g.must(200, "PATCH", path, `{"certificate_management_policy":{"authority":"letsencrypt"}}`)
	if again := g.certs.Managed()[0]; !again.AskedAt.After(m.AskedAt) || m.ChallengeTarget == "" || m.CNAMETarget == "" || *again.Job.ErrorCode != code {
		t.Errorf("asked again: %+v, want it later than %+v", again, m)
	}
	if err := g.issue(d, nodetest.Certificate(t, "*.example.org")); err != nil {
		t.Fatal(err)
	}
	got := g.must(200, "GET", path, "")
	cert := certificateOf(got)
	if status, _ := got["certificate_management_status"].(map[string]any); cert == "" || status["provisioning_job"] != nil || status["renews_at"] == nil {
		t.Errorf("issued: %v, want a certificate, no job and when it is renewed", got)
	}
	if o := g.must(200, "GET", "/tls_certificates/"+cert, ""); o["issued_at"] == nil {
		t.Errorf("the certificate is %v, want when it was issued", o)
	}
	served := g.certs.Certificate("a.example.org")
	// Terraform repeats both (api.md 2.2).
	body := fmt.Sprintf(`{"description":"x","certificate_id":%q,"certificate_management_policy":{"authority":"letsencrypt","private_key_type":"ecdsa"}}`, cert)
	if got := g.must(200, "PATCH", path, body); certificateOf(got) != cert || got["description"] != "x" || got["certificate_management_policy"] == nil {
		t.Errorf("with certificate and policy as they are: %v", got)
	}
	g.refused(400, fault.DomainCertificateManaged, "DELETE", path+"/certificate", "")
	g.refused(400, fault.CertificateManaged, "DELETE", "/tls_certificates/"+cert, "")
	g.refused(400, fault.CertificateManaged, "POST", "/reserved_domains", fmt.Sprintf(`{"domain":"other.example.net","certificate_id":%q}`, cert))
	if err := g.issue(d, nodetest.Certificate(t, "*.example.org")); err != nil {
		t.Fatal(err)
	}
	if now := g.certs.Certificate("a.example.org"); certificateOf(g.must(200, "GET", path, "")) != cert || now == nil || now == served {
		t.Error("a renewal has another id, or is not served")
	}
	g.must(204, "DELETE", path+"/certificate_management_policy", "")
	if got := g.must(200, "GET", path, ""); got["certificate"] != nil || got["certificate_management_status"] != nil || g.certs.Certificate("a.example.org") != nil {
		t.Errorf("without its policy: %v, want no certificate", got)
	}
	g.refused(404, fault.CertificateUnknown, "GET", "/tls_certificates/"+cert, "")
	if err := g.issue(d, nodetest.Certificate(t, "*.example.org")); err != control.ErrNotFound { //nolint:errorlint // it is the very one
		t.Errorf("a certificate that nobody wants any more: %v, want ErrNotFound", err)
	}
	if err := g.issuance.Report(t.Context(), d["id"].(string), nil, nil); err != control.ErrNotFound { //nolint:errorlint // it is the very one
		t.Errorf("a report about it: %v, want ErrNotFound", err)
	}
}

// TestAutomaticCertificateGoesWithItsDomain, and with the policy when an upload takes its place.
func TestAutomaticCertificateGoesWithItsDomain(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, end := range []func(path string){
		func(path string) { g.must(204, "DELETE", path, "") },
		func(path string) {
			g.must(200, "PATCH", path, attach(g.upload("example.org")))
			g.must(204, "DELETE", path, "")
		},
	} {
		d := g.must(201, "POST", "/reserved_domains", domain("example.org"))
		if err := g.issue(d, nodetest.Certificate(t, "example.org")); err != nil {
			t.Fatal(err)
		}
		end("/reserved_domains/" + d["id"].(string))
		for _, o := range g.must(200, "GET", "/tls_certificates", "")["tls_certificates"].([]any) {
			if o.(map[string]any)["issued_at"] != nil {
				t.Errorf("there is still %v", o)
			}
		}
	}
}

// TestNamesOfTheServer are served with what it has got for itself.
func TestNamesOfTheServer(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, name := range []string{"*." + guardBase, "connect." + guardBase, "both.example.com"} {
		names := []string{name, strings.TrimPrefix(name, "*.")}
		if name == "both.example.com" { // one that covers more than it is called
			names = []string{name, "*." + name}
		}
		cert, key := nodetest.PEM(t, nodetest.Certificate(t, names...))
		is := control.Issue{Name: name, CertificatePEM: cert, PrivateKeyPEM: vault.Secret(key), IssuedAt: time.Now(), RenewsAt: time.Now().Add(time.Hour)}
		if err := g.issuance.Issued(t.Context(), is); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, is := range g.certs.IssuedNames() {
		names = append(names, is.Name)
	}
	if want := []string{"*." + guardBase, "both.example.com", "connect." + guardBase}; !slices.Equal(names, want) {
		t.Errorf("issued for %v, want %v", names, want)
	}
	for host, want := range map[string]string{
		"connect." + guardBase: "connect." + guardBase, "a." + guardBase: "*." + guardBase, guardBase: "*." + guardBase, "a.b." + guardBase: "",
		"a.connect." + guardBase: "", "both.example.com": "both.example.com", "a.both.example.com": "both.example.com", "a.b.both.example.com": "",
	} {
		c, got := g.certs.Certificate(host), ""
		if c != nil {
			got = c.Leaf.DNSNames[0]
		}
		if got != want {
			t.Errorf("%s is served with %q, want %q", host, got, want)
		}
	}
	is, _ := g.certs.IssuedName("connect." + guardBase)
	g.refused(400, fault.CertificateManaged, "DELETE", "/tls_certificates/"+is.CertificateID, "")
	for range 2 {
		if err := g.issuance.Forget(t.Context(), is.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := g.certs.IssuedName(is.Name); ok {
		t.Error("it is still there")
	}
}

// record returns the whole record of changes.
func (g *guarded) record() string {
	g.t.Helper()
	var all strings.Builder
	_, err := g.shared.Store.View(g.t.Context(), func(tx store.Tx) error {
		for o, err := range control.AuditTrail(tx, control.AuditQuery{Limit: 1000}) {
			if err != nil {
				return err
			}
			all.WriteString(mustJSON(g.t, o.Doc))
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return all.String()
}
