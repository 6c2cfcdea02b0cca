package control

import (
	"errors"
	"fmt"
	"sync"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/bundle"
	"github.com/culvert-project/culvert/server/internal/store"
)

// authorityDoc is a certificate authority as it is stored.
type authorityDoc struct {
	PEM string `json:"ca_pem"`
	api.Texts
}

func authorityCollection() store.Collection[authorityDoc] {
	return store.Collection[authorityDoc]{Kind: "certificate_authority"}
}

// NewCertificateAuthorities returns the rules of certificate authorities.
func NewCertificateAuthorities(s *Shared) Resource {
	return &resource[authorityDoc]{
		Shared: s, spec: api.CertificateAuthorities(), docs: authorityCollection(), noun: "certificate_authority",
		check: func(_ *change, old, o *store.Object[authorityDoc]) error {
			if old != nil {
				return nil // it cannot be changed
			}
			_, err := bundle.Authority(o.Doc.PEM)
			return err
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[authorityDoc]) (any, error) {
			c, err := bundle.Authority(o.Doc.PEM)
			if err != nil {
				return nil, &store.UnreadableError{Kind: "certificate_authority", ID: o.ID, Account: o.Account, Err: fmt.Errorf("its certificate: %w", err)}
			}
			return &api.CertificateAuthority{
				Meta: meta(caller, "/certificate_authorities", o), Texts: o.Doc.Texts, CAPEM: o.Doc.PEM,
				SubjectCommonName: c.Subject.CommonName, NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
				KeyUsages: bundle.KeyUsages(c), ExtendedKeyUsages: bundle.ExtendedKeyUsages(c),
			}, nil
		},
	}
}

// Authorities is the copy in memory of the certificate authorities, for policies that name them. It is a
// store.Projection, and empty before it is loaded.
type Authorities struct {
	mu  sync.RWMutex
	all map[string]authority // by id; guarded by mu
}

// authority is one of an account.
type authority struct{ account, pem string }

// NewAuthorities returns an empty copy.
func NewAuthorities() *Authorities { return &Authorities{all: map[string]authority{}} }

// Authority returns the certificate of an account's authority in PEM, and whether there is one with the id.
func (a *Authorities) Authority(account, id string) (pem string, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	ca, ok := a.all[id]
	return ca.pem, ok && ca.account == account
}

// Knows reports whether an account has an authority with the id.
func (a *Authorities) Knows(account, id string) bool {
	_, ok := a.Authority(account, id)
	return ok
}

// Load implements store.Projection.
func (a *Authorities) Load(tx store.Tx) error {
	docs := authorityCollection()
	fresh := map[string]authority{}
	var bad store.Unreadable
	for o, err := range docs.List(tx, store.Query{}) {
		if bad.Skip(err) != nil {
			continue // whom it signed for is not let in
		}
		if err != nil {
			return err
		}
		fresh[o.ID] = authority{o.Account, o.Doc.PEM}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = fresh
	return bad.Err()
}

// Apply implements store.Projection.
func (a *Authorities) Apply(tx store.Tx, changes []store.Change) error {
	docs := authorityCollection()
	var bad store.Unreadable
	for _, c := range changes {
		if c.Kind != docs.Kind {
			continue
		}
		o, err := docs.Get(tx, c.ID)
		if bad.Skip(err) == nil && err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		a.mu.Lock()
		if err != nil {
			delete(a.all, c.ID)
		} else {
			a.all[o.ID] = authority{o.Account, o.Doc.PEM}
		}
		a.mu.Unlock()
	}
	return bad.Err()
}
