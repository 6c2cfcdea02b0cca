package terminate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

type config struct {
	MinVersion  string            `field:"min_version" enum:"1.2,1.3" doc:"lowest version of TLS that is accepted"`
	MaxVersion  string            `field:"max_version" enum:"1.2,1.3" doc:"highest version of TLS that is accepted"`
	Key         *expr.Template    `field:"server_private_key" doc:"private key of server_certificate, in PEM; without the two the domain's certificate is served"`
	Certificate *expr.Template    `field:"server_certificate" doc:"certificate to serve, with its chain, in PEM"`
	CAs         *[]*expr.Template `field:"mutual_tls_certificate_authorities" doc:"certificates in PEM, or ids, of the authorities that may have signed the client's certificate; clients are asked for one if this is set"`
	Strategy    string            `field:"mutual_tls_verification_strategy" enum:"require-and-verify,require-any,request" doc:"whether a client must show a certificate, and whether it is checked"`
}

// Definitions returns the actions of this package.
func Definitions() []policy.Definition {
	return []policy.Definition{policy.Define(policy.Definition{
		Type:    "terminate-tls",
		Doc:     "Says with which versions and certificates TLS ends at the server.",
		Phases:  []policy.Phase{policy.OnTCPConnect},
		Schemes: []endpoint.Scheme{endpoint.HTTPS, endpoint.TLS, endpoint.TCP},
		Results: results(),
	}, config{MinVersion: "1.2", MaxVersion: "1.3", Strategy: "require-and-verify"}, build)}
}

// results are the variables of conn.tls, less the PEM of certificates.
func results() []expr.Variable {
	list := []expr.Variable{
		{Name: "terminate_tls.version", Kind: expr.KindText, Doc: "TLS version, 1.2 or 1.3"},
		{Name: "terminate_tls.cipher_suite", Kind: expr.KindText, Doc: "cipher suite, by its IANA name"},
		{Name: "terminate_tls.sni", Kind: expr.KindText, Doc: "server name that the client asked for"},
		{Name: "terminate_tls.warnings", Kind: expr.KindTextList, Doc: "what was passed over, such as unknown authorities"},
		{Name: "terminate_tls.error.code", Kind: expr.KindText, Doc: "always empty"},
		{Name: "terminate_tls.error.message", Kind: expr.KindText, Doc: "always empty"},
	}
	list = append(list, expr.CertificateVariables("terminate_tls.client.", "the client's certificate")...)
	list = append(list, expr.CertificateVariables("terminate_tls.server.", "the certificate served")...)
	return list
}

// versions of TLS by their names in documents.
var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

type action struct {
	settings policy.Terminate // without what is known only to an exchange
	// key, certificate and cas are nil or empty where the settings hold them.
	key, certificate *expr.Template
	cas              []*expr.Template
}

func build(c *config, b *policy.Build) policy.Action {
	a := &action{settings: policy.Terminate{MinVersion: versions[c.MinVersion], MaxVersion: versions[c.MaxVersion]}}
	if a.settings.MinVersion > a.settings.MaxVersion {
		b.Problem("min_version", fault.PolicyValueUnknown, "min_version %s is above max_version %s", c.MinVersion, c.MaxVersion)
	}
	a.buildCertificate(c, b)
	a.buildClient(c, b)
	return a
}

func (a *action) buildCertificate(c *config, b *policy.Build) {
	switch {
	case c.Key == nil && c.Certificate == nil:
		return
	case c.Key == nil:
		b.Problem("server_certificate", fault.PolicyFieldNeedsAnother, "server_certificate needs server_private_key")
		return
	case c.Certificate == nil:
		b.Problem("server_private_key", fault.PolicyFieldNeedsAnother, "server_private_key needs server_certificate")
		return
	}
	key, fixed := c.Key.Static()
	certificate, alsoFixed := c.Certificate.Static()
	if !fixed || !alsoFixed {
		a.key, a.certificate = c.Key, c.Certificate
		return
	}
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		b.Problem("server_certificate", fault.PolicyValueInvalid, "server_certificate and server_private_key are no pair: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	a.settings.Certificate = &pair
}

// buildClient reads the settings of client certificates (decision 52).
func (a *action) buildClient(c *config, b *policy.Build) {
	const field = "mutual_tls_certificate_authorities"
	switch {
	case c.Strategy == "require-any":
		a.settings.ClientAuth = tls.RequireAnyClientCert
	case c.Strategy == "request":
		a.settings.ClientAuth = tls.RequestClientCert
	case c.CAs != nil:
		a.settings.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if c.CAs == nil {
		return
	}
	if len(*c.CAs) == 0 {
		b.Problem(field, fault.PolicyValueEmpty, "an authority is needed at least; without this setting clients are not asked for certificates")
	}
	for i, t := range *c.CAs {
		at := fmt.Sprintf("%s[%d]", field, i)
		text, fixed := t.Static()
		switch {
		case !fixed:
			a.cas = append(a.cas, t)
		case strings.HasPrefix(text, "ca_"):
			b.Authority(at, text)
			a.cas = append(a.cas, t)
		default:
			ca, err := authorities(text)
			if err != nil {
				b.Problem(at, fault.PolicyValueInvalid, "%s", err)
			}
			a.settings.ClientCAs = append(a.settings.ClientCAs, ca...)
		}
	}
}

// authorities returns the certificates of a text, as PEM and nothing else.
func authorities(text string) ([]byte, error) {
	var out []byte
	for rest := []byte(strings.TrimSpace(text)); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("an authority is a certificate in PEM, from BEGIN to END CERTIFICATE, or an id that begins with ca_")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("a certificate does not parse: %w", err)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})...)
	}
	if out == nil {
		return nil, fmt.Errorf("an authority is a certificate in PEM, and this is empty")
	}
	return out, nil
}

// Do implements policy.Action.
func (a *action) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	if x.Conn.Terminate != nil {
		return 0, fault.New(fault.PolicyUnresolved, "terminate-tls ran twice on one connection")
	}
	settings := a.settings
	if a.key != nil {
		pair, err := a.pair(x)
		if err != nil {
			return 0, err
		}
		settings.Certificate = pair
	}
	warnings, err := a.addAuthorities(x, &settings)
	if err != nil {
		return 0, err
	}
	x.Conn.Terminate = &settings
	x.SetResult("terminate_tls", map[string]any{"warnings": warnings, "error.code": "", "error.message": ""})
	return policy.Continue, nil
}

func (a *action) pair(x *policy.Exchange) (*tls.Certificate, error) {
	key, err := x.Text(a.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x.Text(a.certificate)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		return nil, fault.Wrap(err, fault.PolicyUnresolved, "server_certificate and server_private_key are no pair")
	}
	return &pair, nil
}

// addAuthorities adds the authorities that are known only now: those with an
// id, as they are at this moment, and those of an expression. Unknown ids are
// passed over with a warning; if none is left that could check a certificate,
// an empty list refuses every client.
func (a *action) addAuthorities(x *policy.Exchange, settings *policy.Terminate) ([]string, error) {
	if a.cas != nil {
		settings.ClientCAs = append([]byte(nil), settings.ClientCAs...) // the action's stay as they are
	}
	warnings := []string{}
	for _, t := range a.cas {
		text, err := x.Text(t)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(text, "ca_") {
			if ca, ok := x.Authority(text); ok {
				settings.ClientCAs = append(append(settings.ClientCAs, ca...), '\n') // a text need not end with one
			} else {
				warnings = append(warnings, "there is no certificate authority with the id "+strings.ToValidUTF8(text[:min(len(text), 64)], ""))
			}
			continue
		}
		ca, err := authorities(text)
		if err != nil {
			return nil, fault.Wrap(err, fault.PolicyUnresolved, err)
		}
		settings.ClientCAs = append(settings.ClientCAs, ca...)
	}
	return warnings, nil
}
