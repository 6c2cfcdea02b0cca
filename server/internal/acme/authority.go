package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// authority is one of those that are asked.
type authority struct {
	cfg  *Config
	wire *acme.Client

	mu      sync.Mutex
	account acme.Account // guarded by mu, as is the next; of no status before it is known
	stale   bool         // the account that was kept is not there any more
}

// accountDoc is what is kept of an account.
type accountDoc struct {
	Location string `json:"location"`
	// Key is in PKCS #8.
	Key []byte `json:"key"`
}

// order gets the chain of a certificate, in PEM.
func (a *authority) order(ctx context.Context, o Order, key crypto.Signer, solvers map[string]acmez.Solver) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	chains, err := a.try(ctx, o, key, solvers)
	if p, ok := errors.AsType[acme.Problem](err); ok {
		switch p.Type {
		case acme.ProblemTypeAccountDoesNotExist: // the authority has forgotten it
			a.forget()
			chains, err = a.try(ctx, o, key, solvers)
		case acme.ProblemTypeBadNonce: // more often than the library repeats a request
			chains, err = a.try(ctx, o, key, solvers)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("the authority sent no certificate")
	}
	return chains[0].ChainPEM, nil
}

func (a *authority) try(ctx context.Context, o Order, key crypto.Signer, solvers map[string]acmez.Solver) ([]acme.Certificate, error) {
	account, err := a.sign(ctx)
	if err != nil {
		return nil, err
	}
	request, err := acmez.NewCSR(key, o.Names)
	if err != nil {
		return nil, err
	}
	params, err := acmez.OrderParametersFromCSR(account, request)
	if err != nil {
		return nil, err
	}
	params.Replaces = o.Replaces
	client := acmez.Client{Client: a.wire, ChallengeSolvers: solvers}
	return client.ObtainCertificate(ctx, params)
}

// sign returns the account, which it opens where there is none.
func (a *authority) sign(ctx context.Context) (acme.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.account.Status != "" {
		return a.account, nil
	}
	var account acme.Account
	var err error
	if !a.stale {
		account, err = a.load(ctx)
	}
	if err == nil && account.Status == "" {
		account, err = a.register(ctx)
	}
	if err != nil {
		return acme.Account{}, err
	}
	a.account, a.stale = account, false
	return account, nil
}

// name is that of the account's document: another address is another account.
func (a *authority) name() string { return a.wire.Directory + " " + a.cfg.Email }

// load returns the account that was kept, of no status if there is none.
func (a *authority) load(ctx context.Context) (acme.Account, error) {
	text, err := a.cfg.Accounts.Load(ctx, a.name())
	if err != nil || text == nil {
		return acme.Account{}, err
	}
	var doc accountDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		return acme.Account{}, fmt.Errorf("read the account at %s: %w", a.wire.Directory, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(doc.Key)
	if err != nil {
		return acme.Account{}, fmt.Errorf("read the key of the account at %s: %w", a.wire.Directory, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return acme.Account{}, fmt.Errorf("the key of the account at %s cannot sign", a.wire.Directory)
	}
	return acme.Account{Status: acme.StatusValid, Location: doc.Location, PrivateKey: signer}, nil
}

// register opens an account and keeps it.
func (a *authority) register(ctx context.Context) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{Contact: []string{"mailto:" + a.cfg.Email}, TermsOfServiceAgreed: true, PrivateKey: key}
	if err := a.bind(ctx, &account); err != nil {
		return acme.Account{}, err
	}
	if account, err = a.wire.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("open an account at %s: %w", a.wire.Directory, err)
	}
	doc := accountDoc{Location: account.Location}
	if doc.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return acme.Account{}, err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return acme.Account{}, err
	}
	if err := a.cfg.Accounts.Save(ctx, a.name(), text); err != nil {
		return acme.Account{}, fmt.Errorf("keep the account at %s: %w", a.wire.Directory, err)
	}
	return account, nil
}

// bind ties a new account to an external one, where the authority wants that or
// is the only one.
func (a *authority) bind(ctx context.Context, account *acme.Account) error {
	if a.cfg.Binding == nil {
		return nil
	}
	directory, err := a.wire.GetDirectory(ctx)
	if err != nil {
		return err
	}
	if len(a.cfg.Directories) > 1 && (directory.Meta == nil || !directory.Meta.ExternalAccountRequired) {
		return nil
	}
	return account.SetExternalAccountBinding(ctx, a.wire, acme.EAB{KeyID: a.cfg.Binding.KeyID, MACKey: a.cfg.Binding.Key})
}

// forget makes the next order open a new account.
func (a *authority) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.account = acme.Account{}
	a.stale = true
}

// rsaBits is the size of keys of RSA (api.md 4.3).
const rsaBits = 4096

// newKey makes the key of a certificate.
func newKey(useRSA bool) (key crypto.Signer, text []byte, err error) {
	if useRSA {
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseLeaf returns the first certificate of a chain.
func parseLeaf(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(bytes.TrimSpace(chain))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("its answer is no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// renewalTime returns when the authority wants a certificate to be renewed, the
// zero time if it does not know it.
func (a *authority) renewalTime(ctx context.Context, leaf *x509.Certificate) time.Time {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	info, err := a.wire.GetRenewalInfo(ctx, leaf)
	if err != nil {
		a.cfg.Logger.Debug("authority names no time of renewal", "authority", a.wire.Directory, "err", err)
		return time.Time{}
	}
	return info.SelectedTime
}
