package control

import (
	"context"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Self returns the account of a caller, and the e-mail address of the user; it is "" for a service user
// (api.md 2.19).
func (d *Directory) Self(ctx context.Context, caller *Caller) (account api.Account, email string, err error) {
	err = d.view(ctx, func(tx store.Tx) error {
		accounts, users := identity.Accounts(), identity.Users()
		o, err := accounts.Get(tx, caller.Account)
		if err != nil {
			return err
		}
		account = api.Account{ID: o.ID, Name: o.Doc.Name, CreatedAt: seconds(o.CreatedAt), Suspended: o.Doc.Suspended}
		if identity.IsServiceUser(caller.Principal) {
			return nil
		}
		u, err := users.Get(tx, caller.Principal)
		if err == nil {
			email = u.Doc.Email
		}
		return err
	})
	return account, email, err
}
