package node

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/renewal"
)

// ACME says how certificates are had from authorities.
type ACME struct {
	// Email is where authorities write to. Giving it accepts their terms; without
	// it no certificate is ordered.
	Email string
	// Directories are the authorities' URLs, in the order in which they are asked.
	// Default: Let's Encrypt.
	Directories []string
	// CAFile has the certificates, in PEM, by which authorities are trusted.
	// Default: those of the system.
	CAFile string
	// BindingID and BindingFile are the id and the file of the key that binds the
	// account to an external one; both or neither.
	BindingID, BindingFile string
	// DNS writes records that prove names. nil: there are none, and no wildcards.
	DNS acme.DNS
	// Resolver is asked about names. Default: the system's.
	Resolver *net.Resolver
}

// same reports whether nothing is to be set up anew.
func (a ACME) same(b ACME) bool {
	program, ok := a.DNS.(acme.Program)
	other, both := b.DNS.(acme.Program)
	dns := ok && both && program.Path == other.Path || !ok && !both && a.DNS == b.DNS
	return dns && a.Email == b.Email && slices.Equal(a.Directories, b.Directories) && a.CAFile == b.CAFile &&
		a.BindingID == b.BindingID && a.BindingFile == b.BindingFile
}

// newRenewals returns what sees to certificates of authorities, nil if none are
// to be had.
func (n *Node) newRenewals(p *parts, accounts acme.Accounts) (*renewal.Driver, error) {
	client, err := n.newACME(&p.proofs, accounts)
	if client == nil {
		return nil, err
	}
	own := renewal.OwnNames{
		Domains: n.cfg.Domains, Private: len(n.cfg.ACME.Directories) > 0, API: n.cfg.APIOnHTTPS, Wildcards: client.Wildcards(), Chosen: p.binder.Chosen,
	}
	if n.cfg.TLSCert != "" {
		own.Domains = nil // these have the operator's
	}
	wanted := func() []renewal.Own {
		all := own.List()
		for _, m := range p.ingresses.Managed() {
			all = append(all, renewal.Own{Account: m.Account, Name: m.Name, Names: []string{m.Name}, RSA: m.Policy.PrivateKeyType == "rsa"})
		}
		return all
	}
	return renewal.New(renewal.Config{
		Authority: client, Certificates: p.certificates, Issuance: p.issuance, Own: wanted, OwnChanged: p.binder.ChosenChanged(),
		Resolver: n.cfg.ACME.Resolver, Logger: n.log,
	}), nil
}

// newACME returns what orders certificates, nil if none are to be ordered.
func (n *Node) newACME(proofs *acme.Challenges, accounts acme.Accounts) (*acme.Client, error) {
	c := n.cfg.ACME
	if c.Email == "" {
		return nil, nil //nolint:nilnil // nobody wants any
	}
	cfg := acme.Config{
		Email: c.Email, Directories: c.Directories, Challenges: proofs, DNS: c.DNS, Resolver: c.Resolver, Accounts: accounts,
		Version: n.cfg.Version, Logger: n.log,
	}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fault.Wrap(err, fault.SettingInvalid, c.CAFile, "--acme-ca", err)
		}
		cfg.Roots = x509.NewCertPool()
		if !cfg.Roots.AppendCertsFromPEM(text) {
			return nil, fault.New(fault.SettingInvalid, c.CAFile, "--acme-ca", "it holds no certificate in PEM")
		}
	}
	if (c.BindingID == "") != (c.BindingFile == "") {
		return nil, fault.New(fault.SettingInvalid, cmp.Or(c.BindingID, c.BindingFile), "--acme-eab-kid", "it goes together with --acme-eab-hmac-file")
	}
	if c.BindingFile != "" {
		key, err := os.ReadFile(c.BindingFile)
		if err != nil {
			return nil, fault.Wrap(err, fault.SettingInvalid, c.BindingFile, "--acme-eab-hmac-file", err)
		}
		cfg.Binding = &acme.Binding{KeyID: c.BindingID, Key: strings.TrimRight(strings.TrimSpace(string(key)), "=")}
		if _, err := base64.RawURLEncoding.DecodeString(cfg.Binding.Key); err != nil {
			return nil, fault.New(fault.SettingInvalid, c.BindingFile, "--acme-eab-hmac-file", "it holds no key in base64url")
		}
	}
	return acme.New(cfg), nil
}
