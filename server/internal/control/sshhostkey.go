package control

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// hostKeyDoc is the key by which SSH clients know the server.
type hostKeyDoc struct {
	// Sealed is the envelope of the private key, in OpenSSH's PEM.
	Sealed string `json:"sealed"`
}

// hostKeyID is the id of the one host key.
const hostKeyID = "default"

func hostKeyCollection() store.Collection[hostKeyDoc] {
	return store.Collection[hostKeyDoc]{Kind: "ssh_host_key"}
}

// hostKeyPlace is where its envelope opens.
const hostKeyPlace = identity.DefaultAccount + "/ssh_host_key/" + hostKeyID

// SSHHostKey returns the key by which SSH clients know the server. The first server to ask for it makes it. It fails
// with fault.SSHHostKeyUnreadable if it was sealed with another key.
func SSHHostKey(ctx context.Context, s *Shared, sealer ValueSealer) (ssh.Signer, error) {
	docs := hostKeyCollection()
	var text vault.Secret
	_, err := s.Store.Update(ctx, func(tx store.Tx) error {
		o, err := docs.Get(tx, hostKeyID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if text, err = newHostKey(); err != nil {
				return err
			}
			at := s.Now().UTC()
			o = &store.Object[hostKeyDoc]{ID: hostKeyID, Account: identity.DefaultAccount, CreatedAt: at, UpdatedAt: at}
			o.Doc.Sealed = sealer.SealValue(hostKeyPlace, text)
			c := &change{ctx: ctx, tx: tx, caller: &Caller{Account: identity.DefaultAccount}, at: at}
			return errors.Join(docs.Put(tx, o), audit(c, "ssh_host_key_created", nil, map[string]string{"id": o.ID}))
		case err != nil:
			return err
		}
		if text, err = sealer.OpenValue(hostKeyPlace, o.Doc.Sealed); err != nil {
			return fault.Wrap(err, fault.SSHHostKeyUnreadable)
		}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.SSHHostKeyUnreadable)
	}
	return signer, nil
}

func newHostKey() (vault.Secret, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "culvert")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}
