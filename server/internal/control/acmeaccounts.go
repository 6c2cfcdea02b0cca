package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// acmeAccountDoc is what the server knows of its account at a certificate authority.
type acmeAccountDoc struct {
	Name string `json:"name"`
	// Sealed is the document of package acme, which holds the account's key.
	Sealed string `json:"sealed"`
}

func acmeAccountCollection() store.Collection[acmeAccountDoc] {
	return store.Collection[acmeAccountDoc]{
		Kind: "acme_account",
		Keys: func(o *store.Object[acmeAccountDoc]) []store.Key { return []store.Key{acmeAccountKey(o.Doc.Name)} },
	}
}

func acmeAccountKey(name string) store.Key { return store.Key{Space: "acme account", Value: name} }

// acmeAccountPlace is where the envelope of an account opens.
func acmeAccountPlace(o *store.Object[acmeAccountDoc]) string {
	return fmt.Sprintf("%s/acme_account/%s", o.Account, o.ID)
}

// ACMEAccounts keeps the server's accounts at certificate authorities: their keys last as long as the store.
type ACMEAccounts struct {
	store  store.Store
	sealer ValueSealer
}

// NewACMEAccounts returns them.
func NewACMEAccounts(s store.Store, sealer ValueSealer) *ACMEAccounts {
	return &ACMEAccounts{s, sealer}
}

// Load returns the document of an account, nil if there is none.
func (a *ACMEAccounts) Load(ctx context.Context, name string) ([]byte, error) {
	docs := acmeAccountCollection()
	var document vault.Secret
	_, err := a.store.View(ctx, func(tx store.Tx) error {
		o, err := docs.Find(tx, acmeAccountKey(name))
		if err != nil {
			return err
		}
		document, err = a.sealer.OpenValue(acmeAccountPlace(o), o.Doc.Sealed)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return document, err
}

// Save writes the document of an account.
func (a *ACMEAccounts) Save(ctx context.Context, name string, document []byte) error {
	docs := acmeAccountCollection()
	_, err := a.store.Update(ctx, func(tx store.Tx) error {
		now := time.Now().UTC()
		o, err := docs.Find(tx, acmeAccountKey(name))
		if errors.Is(err, store.ErrNotFound) {
			o = &store.Object[acmeAccountDoc]{ID: id.NewSorted("acmeacct"), Account: identity.DefaultAccount, CreatedAt: now}
		} else if err != nil {
			return err
		}
		o.Doc.Name, o.UpdatedAt = name, now
		o.Doc.Sealed = a.sealer.SealValue(acmeAccountPlace(o), document)
		return docs.Put(tx, o)
	})
	return err
}
