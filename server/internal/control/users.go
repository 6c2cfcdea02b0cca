package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// User is a user of an account.
type User struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	identity.User
	CreatedAt time.Time `json:"created_at"`
}

// NewUser makes a user of an account and returns the id. What u.ID and u.Account hold does not matter.
func (d *Directory) NewUser(ctx context.Context, account string, u identity.User) (string, error) {
	userID := ""
	err := d.update(ctx, &Caller{Account: account}, func(c *change) error {
		accounts := identity.Accounts()
		if _, err := accounts.Get(c.tx, account); errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.IdentityUnknown, "account", account)
		} else if err != nil {
			return err
		}
		made, err := newUser(c, u)
		userID = made.ID
		return err
	})
	return userID, err
}

// newUser makes a user of the caller's account.
func newUser(c *change, u identity.User) (User, error) {
	name, domain, _ := strings.Cut(u.Email, "@")
	if name == "" || domain == "" || len(u.Email) > maxAccountName || strings.ContainsAny(u.Email, " \t\r\n/\"<>") || strings.Contains(domain, "@") {
		return User{}, fault.New(fault.IdentityInvalid, "e-mail address", "it is not of the form NAME@DOMAIN")
	}
	if err := room(c, identity.QuotaUsers, fault.UsersTooMany, identity.Users(), nil); err != nil {
		return User{}, err
	}
	o := &store.Object[identity.User]{ID: id.NewSorted("usr"), Account: c.caller.Account, CreatedAt: c.at, UpdatedAt: c.at, Doc: u}
	docs := identity.Users()
	err := docs.Put(c.tx, o)
	if _, taken := errors.AsType[*store.KeyTakenError](err); taken {
		return User{}, fault.New(fault.EmailTaken, u.Email)
	}
	return userOf(o), errors.Join(err, audit(c, "user_created", nil, userOf(o)))
}

func userOf(o *store.Object[identity.User]) User { return User{o.ID, o.Account, o.Doc, o.CreatedAt} }

// Users returns the users of an account, the oldest first.
func (d *Directory) Users(ctx context.Context, account string) ([]User, error) {
	var all []User
	docs := identity.Users()
	err := d.view(ctx, func(tx store.Tx) error {
		accounts := identity.Accounts()
		if _, err := accounts.Get(tx, account); errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.IdentityUnknown, "account", account)
		} else if err != nil {
			return err
		}
		for o, err := range docs.List(tx, store.Query{Account: account}) {
			if d.skips(err) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, userOf(o))
		}
		return nil
	})
	slices.Reverse(all)
	return all, err
}

// Activate makes a user, named by id or by the e-mail address in an account, active or inactive. The
// credentials of an inactive one are refused, and their agents cut off.
func (d *Directory) Activate(ctx context.Context, account, named string, active bool) error {
	docs := identity.Users()
	return d.update(ctx, &Caller{Account: account}, func(c *change) error {
		userID, err := findOwner(c.tx, account, named)
		if errors.Is(err, store.ErrNotFound) || err == nil && identity.IsServiceUser(userID) {
			return fault.New(fault.IdentityUnknown, "user", named)
		}
		if err != nil {
			return err
		}
		o, err := docs.Get(c.tx, userID)
		if err != nil {
			return err
		}
		before := userOf(o)
		if o.Doc.Inactive == !active {
			return nil
		}
		o.Doc.Inactive, o.UpdatedAt = !active, c.at
		return errors.Join(docs.Put(c.tx, o), audit(c, "user_updated", before, userOf(o)))
	})
}
