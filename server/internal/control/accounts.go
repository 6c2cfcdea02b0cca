package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Directory is what whoever runs the server does with accounts and users, whether or not the server runs. Make
// one with [NewDirectory].
type Directory struct {
	*Shared
	vault *vault.Vault
}

// NewDirectory returns a directory; hashes of credentials are made with v.
func NewDirectory(s *Shared, v *vault.Vault) *Directory { return &Directory{s, v} }

// Account is an account.
type Account struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Suspended bool      `json:"suspended"`
	CreatedAt time.Time `json:"created_at"`
	// Limits are those that are set; without one nothing is limited.
	Limits map[identity.Quota]int64 `json:"limits,omitempty"`
}

// Made is what was made for somebody, to be shown this once.
type Made struct {
	// Account and User are ids, "" if nothing was made.
	Account, User string
	// Authtoken and APIKey are the credentials, "" if none was made.
	Authtoken, APIKey string
}

// maxName bounds names of accounts and e-mail addresses, in bytes.
const maxAccountName = 255

// NewAccount makes an account with an administrator, who gets an authtoken and an API key.
func (d *Directory) NewAccount(ctx context.Context, name, email string) (Made, error) {
	var made Made
	err := d.update(ctx, &Caller{}, func(c *change) (err error) {
		made, err = d.newAccount(c, id.NewSorted("ac"), name, email)
		if err != nil {
			return err
		}
		if made.Authtoken, err = d.newToken(c, identity.Authtokens(), "cr", identity.NewAuthtoken(), made.User); err != nil {
			return err
		}
		made.APIKey, err = d.newToken(c, identity.APIKeys(), "ak", identity.NewAPIKey(), made.User)
		return err
	})
	if err != nil {
		return Made{}, err
	}
	return made, nil
}

// newAccount makes an account and its administrator, in whose name the change goes on.
func (d *Directory) newAccount(c *change, accountID, name, email string) (Made, error) {
	if name == "" || len(name) > maxAccountName {
		return Made{}, fault.New(fault.IdentityInvalid, "name of the account", fmt.Sprintf("it has %d bytes, and 1 to %d are possible", len(name), maxAccountName))
	}
	docs := identity.Accounts()
	o := &store.Object[identity.Account]{ID: accountID, Account: accountID, CreatedAt: c.at, UpdatedAt: c.at, Doc: identity.Account{Name: name}}
	if err := docs.Put(c.tx, o); err != nil {
		return Made{}, err
	}
	c.caller = &Caller{Account: accountID, Admin: true, Write: true}
	user, err := newUser(c, identity.User{Email: email, Admin: true})
	if err != nil {
		return Made{}, err
	}
	return Made{Account: accountID, User: user.ID}, audit(c, "account_created", nil, accountOf(o))
}

// newToken stores a credential of an owner and returns its text.
func (d *Directory) newToken(c *change, docs store.Collection[identity.Token], prefix, text, owner string) (string, error) {
	return text, putToken(c, docs, &store.Object[identity.Token]{
		ID: id.NewSorted(prefix), Account: c.caller.Account, CreatedAt: c.at, UpdatedAt: c.at,
		Doc: identity.Token{Owner: owner, Hash: identity.Hash(d.vault, text), Prefix: identity.Shown(text), Texts: api.Texts{Description: "made with its account"}},
	})
}

func accountOf(o *store.Object[identity.Account]) Account {
	return Account{ID: o.ID, Name: o.Doc.Name, Suspended: o.Doc.Suspended, CreatedAt: o.CreatedAt, Limits: o.Doc.Limits}
}

// Accounts returns all accounts, the oldest first.
func (d *Directory) Accounts(ctx context.Context) ([]Account, error) {
	var all []Account
	docs := identity.Accounts()
	err := d.view(ctx, func(tx store.Tx) error {
		for o, err := range docs.List(tx, store.Query{}) {
			if d.skips(err) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, accountOf(o))
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Account) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, err
}

// Suspend suspends an account or, with off, ends that. Nobody can use a suspended one, and its agents are cut
// off.
func (d *Directory) Suspend(ctx context.Context, account string, off bool) error {
	docs := identity.Accounts()
	return d.update(ctx, &Caller{Account: account}, func(c *change) error {
		o, err := docs.Get(c.tx, account)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.IdentityUnknown, "account", account)
		}
		if err != nil {
			return err
		}
		before := accountOf(o)
		if o.Doc.Suspended == !off {
			return nil
		}
		o.Doc.Suspended, o.UpdatedAt = !off, c.at
		return errors.Join(docs.Put(c.tx, o), audit(c, "account_updated", before, accountOf(o)))
	})
}

// Caller returns the oldest active administrator of an account, in whose name the server's own commands act.
func (d *Directory) Caller(ctx context.Context, account string) (*Caller, error) {
	users, err := d.Users(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		if u.Admin && !u.Inactive {
			return &Caller{Account: account, Principal: u.ID, Command: true, Admin: true, Write: true}, nil
		}
	}
	return nil, fault.New(fault.IdentityUnknown, "active administrator of the account", account)
}
