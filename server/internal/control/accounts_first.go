package control

import (
	"cmp"
	"context"
	"errors"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// First is what a starting server makes sure of.
type First struct {
	// DataDir is where a server of before the store kept its authtokens.
	DataDir string
	// Authtoken and APIKey are set by the environment for the administrator of the first account, "" if not.
	Authtoken, APIKey string
	// Bare says that no credentials are to be made, and that the file of DataDir stays where it is: a server of
	// before the store may still run there.
	Bare bool
}

// firstEmail is the address of the first administrator.
const firstEmail = "admin@localhost"

// Ensure makes the first account with its administrator, unless they are there, takes the authtokens of a file
// over, and makes the credentials of the environment valid in place of those it named before, unless they
// were revoked. Without such and on first start it makes an authtoken and an API key. It may be called again
// and again. It does not wait for projections: it is called before they are loaded.
//
// It fails with fault.SealingKeyDamaged if the hashes were made with other keys, with
// fault.BootstrapTokenInvalid, fault.BootstrapKeyInvalid, fault.BootstrapTwice, or with what
// [identity.ReadFile] fails with. errors.Is finds store.ErrUnavailable.
func (d *Directory) Ensure(ctx context.Context, f First) (Made, error) {
	var bad []error
	if f.Authtoken != "" {
		bad = append(bad, identity.CheckBootstrap(f.Authtoken))
	}
	if f.APIKey != "" {
		bad = append(bad, identity.CheckBootstrapKey(f.APIKey))
	}
	if err := errors.Join(bad...); err != nil {
		return Made{}, err
	}
	records, err := identity.ReadFile(f.DataDir, d.vault)
	if err != nil {
		return Made{}, err
	}
	var made Made
	_, err = d.Store.Update(ctx, func(tx store.Tx) (err error) {
		c := &change{ctx: ctx, tx: tx, at: d.Now().UTC()}
		made, err = d.ensure(c, f, records)
		return err
	})
	if err != nil {
		return Made{}, failure(err)
	}
	if f.Bare {
		return made, nil
	}
	return made, identity.PutFileAway(f.DataDir)
}

func (d *Directory) ensure(c *change, f First, records []identity.Record) (Made, error) {
	if err := d.checkKeys(c); err != nil {
		return Made{}, err
	}
	made, owner, err := d.firstAccount(c)
	if err != nil {
		return Made{}, err
	}
	if err := importTokens(c, records, owner); err != nil {
		return Made{}, err
	}
	authtokens, keys := identity.Authtokens(), identity.APIKeys()
	if f.Authtoken != "" {
		if err := d.bootstrap(c, authtokens, "cr", f.Authtoken, owner); err != nil {
			return Made{}, err
		}
	} else if none, err := empty(c, authtokens); err != nil {
		return Made{}, err
	} else if none && !f.Bare {
		if made.Authtoken, err = d.newToken(c, authtokens, "cr", identity.NewAuthtoken(), owner); err != nil {
			return Made{}, err
		}
	}
	switch {
	case f.APIKey != "":
		err = d.bootstrap(c, keys, "ak", f.APIKey, owner)
	case made.Account != "" && !f.Bare:
		made.APIKey, err = d.newToken(c, keys, "ak", identity.NewAPIKey(), owner)
	}
	return made, err
}

// checkKeys refuses to go on with other keys than those that the hashes in the store were made with: no
// credential would be known any more.
func (d *Directory) checkKeys(c *change) error {
	docs := identity.Checks()
	want := identity.KeyCheck(d.vault)
	have, err := docs.Get(c.tx, identity.CheckID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return docs.Put(c.tx, &store.Object[identity.Check]{ID: identity.CheckID, CreatedAt: c.at, UpdatedAt: c.at, Doc: identity.Check{Check: want}})
	case err != nil:
		return err
	case have.Doc.Check != want:
		return fault.New(fault.SealingKeyDamaged, "sealing.key", "the credentials in the database were made with another one")
	}
	return nil
}

// firstAccount returns the oldest administrator of the first account, of those that are active if there is one. It
// makes them if need be.
func (d *Directory) firstAccount(c *change) (made Made, owner string, err error) {
	accounts, users := identity.Accounts(), identity.Users()
	_, err = accounts.Get(c.tx, identity.DefaultAccount)
	if errors.Is(err, store.ErrNotFound) {
		made, err = d.newAccount(c, identity.DefaultAccount, "default", firstEmail)
		return made, made.User, err
	}
	if err != nil && !unreadable(err) {
		return Made{}, "", err
	}
	c.caller = &Caller{Account: identity.DefaultAccount, Admin: true, Write: true}
	active := ""
	for u, err := range users.List(c.tx, store.Query{Account: identity.DefaultAccount}) { // the newest first
		if d.skips(err) {
			continue
		}
		if err != nil {
			return Made{}, "", err
		}
		if u.Doc.Admin {
			owner = u.ID
		}
		if u.Doc.Admin && !u.Doc.Inactive {
			active = u.ID
		}
	}
	owner = cmp.Or(active, owner)
	if owner == "" {
		u, err := newUser(c, identity.User{Email: firstEmail, Admin: true})
		return Made{}, u.ID, err
	}
	return Made{}, owner, nil
}

// importTokens takes authtokens over that lay in a file. Those that are there already stay as they are.
func importTokens(c *change, records []identity.Record, owner string) error {
	docs := identity.Authtokens()
	for _, r := range records {
		if _, err := c.tx.Find(identity.TokenKey(r.Hash)); !errors.Is(err, store.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		err := putToken(c, docs, &store.Object[identity.Token]{
			ID: id.NewSorted("cr"), Account: c.caller.Account, CreatedAt: r.CreatedAt, UpdatedAt: c.at,
			Doc: identity.Token{Texts: api.Texts{Description: r.Note}, Owner: owner, Hash: r.Hash, Prefix: r.Prefix, Bootstrap: r.Bootstrap},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bootstrap makes a text valid that the environment sets, in place of the one that it set before.
func (d *Directory) bootstrap(c *change, docs store.Collection[identity.Token], prefix, text, owner string) error {
	hash := identity.Hash(d.vault, text)
	revoked := identity.RevokedTokens()
	if _, err := revoked.Get(c.tx, hash); !errors.Is(err, store.ErrNotFound) {
		return err // of the store, or nil: it stays revoked
	}
	if holder, err := c.tx.Find(identity.TokenKey(hash)); !errors.Is(err, store.ErrNotFound) {
		if err == nil && holder.Kind != docs.Kind {
			err = fault.New(fault.BootstrapTwice)
		}
		return err
	}
	for o, err := range docs.List(c.tx, store.Query{Account: c.caller.Account}) {
		if d.skips(err) {
			continue
		}
		if err != nil {
			return err
		}
		if o.Doc.Bootstrap {
			if err := dropToken(c, docs, o); err != nil {
				return err
			}
		}
	}
	return putToken(c, docs, &store.Object[identity.Token]{
		ID: id.NewSorted(prefix), Account: c.caller.Account, CreatedAt: c.at, UpdatedAt: c.at,
		Doc: identity.Token{Texts: api.Texts{Description: "bootstrap"}, Owner: owner, Hash: hash, Bootstrap: true},
	})
}

func empty(c *change, docs store.Collection[identity.Token]) (bool, error) {
	for _, err := range docs.List(c.tx, store.Query{Limit: 1}) {
		if unreadable(err) {
			err = nil
		}
		return false, err
	}
	return true, nil
}
