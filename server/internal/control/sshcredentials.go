package control

import (
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// NewSSHCredentials returns the rules of registered SSH keys (api.md 2.17).
func NewSSHCredentials(s *Shared) Resource {
	docs := identity.SSHKeys()
	return &resource[identity.Token]{
		Shared: s, spec: api.SSHCredentials(), docs: docs, noun: sshNoun,
		check: func(c *change, old, o *store.Object[identity.Token]) error {
			if err := checkACL(old, o); err != nil {
				return err
			}
			if old != nil {
				return nil
			}
			key, err := publicKey(o.Doc.PublicKey)
			if err != nil {
				return err
			}
			o.Doc.Hash = ssh.FingerprintSHA256(key)
			if err := checkKeyFree(c, &docs, o); err != nil {
				return err
			}
			return checkOwner(c, old, o)
		},
		taken: func(o *store.Object[identity.Token], _ *store.KeyTakenError) error { // by what cannot be read
			return fault.New(fault.SSHKeyForeign, o.Doc.Hash)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[identity.Token]) (any, error) {
			return sshCredentialOf(caller, o), nil
		},
	}
}

func sshCredentialOf(caller *Caller, o *store.Object[identity.Token]) *api.SSHCredential {
	return &api.SSHCredential{
		Meta: meta(caller, "/ssh_credentials", o), Texts: o.Doc.Texts, PublicKey: o.Doc.PublicKey,
		ACL: append([]string{}, o.Doc.ACL...), OwnerID: o.Doc.Owner,
	}
}

// checkKeyFree refuses a key that is registered already: it tells whose a client is.
func checkKeyFree(c *change, docs *store.Collection[identity.Token], o *store.Object[identity.Token]) error {
	other, err := docs.Find(c.tx, identity.TokenKey(o.Doc.Hash))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case other.Account != o.Account:
		return fault.New(fault.SSHKeyForeign, o.Doc.Hash)
	}
	return fault.New(fault.SSHKeyTaken, o.Doc.Hash)
}

// publicKey reads the line of a public key file. Certificates are none: their keys are registered by themselves.
func publicKey(text string) (ssh.PublicKey, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fault.New(fault.SSHKeyEmpty)
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil:
		why := "it is no line of a public key file"
		if strings.Contains(text, "PRIVATE KEY") {
			why = "it is a private key, which nobody but its owner may have"
		}
		return nil, fault.Wrap(err, fault.SSHKeyInvalid, why)
	case len(options) > 0:
		return nil, fault.New(fault.SSHKeyInvalid, "it has options ahead of the key")
	case strings.TrimSpace(string(rest)) != "":
		return nil, fault.New(fault.SSHKeyInvalid, "there is something behind the key")
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, fault.New(fault.SSHKeyInvalid, "it is a certificate")
	}
	return key, nil
}
