package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
)

// accountFlag says whose account a command is about.
func accountFlag(cmd *cobra.Command) *string {
	return flag(cmd, "account", identity.DefaultAccount, "ID|NAME", "the account (default "+identity.DefaultAccount+")")
}

// accountID returns the id of an account that is named by it or by a name that no other account has.
func accountID(ctx context.Context, d *control.Directory, named string) (string, error) {
	all, err := d.Accounts(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, a := range all {
		if a.ID == named {
			return a.ID, nil
		}
		if a.Name == named {
			ids = append(ids, a.ID)
		}
	}
	switch len(ids) {
	case 0:
		return "", unknown("account", named, "account", "")
	case 1:
		return ids[0], nil
	}
	return "", fault.New(fault.AccountAmbiguous, named, strings.Join(ids, ", "))
}

// unknown is the fault for something that is not there; group lists what is, in an account unless that is "".
func unknown(what, named, group, account string) error {
	f := fault.New(fault.IdentityUnknown, what, named)
	if account == "" {
		f.Remedy = fmt.Sprintf("\"culvertd %s list\" shows what there is.", group)
	} else {
		f.Remedy = fmt.Sprintf("\"culvertd %s list --account %s\" shows what there is in this account; --account names another one.", group, account)
	}
	return f
}

// accountCommand is about accounts.
func (p *program) accountCommand() *cobra.Command {
	list := p.listsPeople(&cobra.Command{Use: "list", Short: "List the accounts"}, []string{"ID", "NAME", "ADMIN", "STATE", "CREATED"},
		func(ctx context.Context, d *people, l *listing) error {
			all, err := d.Accounts(ctx)
			if err != nil {
				return err
			}
			for _, a := range all {
				users, err := d.Users(ctx, a.ID)
				if err != nil {
					return err
				}
				admin := ""
				for _, u := range users {
					if u.Admin && !u.Inactive {
						admin = cmp.Or(admin, u.Email)
					}
				}
				l.add(struct {
					control.Account

					Admin string `json:"admin_email"`
				}{a, admin}, a.ID, a.Name, cmp.Or(admin, "-"), state(!a.Suspended, "active", "suspended"), day(a.CreatedAt))
			}
			return nil
		})
	suspend := func(off bool) func(ctx context.Context, d *people, named string) error {
		return func(ctx context.Context, d *people, named string) error {
			account, err := accountID(ctx, d.Directory, named)
			if err == nil {
				err = d.Suspend(ctx, account, off)
			}
			return err
		}
	}
	disable := p.onPeople(&cobra.Command{
		Use: "disable", Short: "Suspend an account: its credentials are refused and its agents cut off",
		Example: `  culvertd account disable ac_2Xa0hWm4Qn7Zr1sTqUvB3cD4eF5`,
	}, "ID|NAME", suspend(false))
	enable := p.onPeople(&cobra.Command{Use: "enable", Short: "End the suspension of an account"}, "ID|NAME", suspend(true))
	return group("account", "Make, list and suspend accounts", p.newAccountCommand(), list, disable, enable, p.limitsCommand())
}

// newAccountCommand makes an account.
func (p *program) newAccountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "new", Short: "Make an account with an administrator, and print the credentials, this once",
		Long: `Make an account with an administrator, who gets an authtoken and an API key. Both
are printed this once; the server keeps keyed hashes of them.`,
		Example: `  culvertd account new "Team blue" --email ann@example.com`,
	}
	email := flag(cmd, "email", "", "ADDRESS", "the administrator's e-mail address; required")
	return p.onPeople(cmd, "NAME", func(ctx context.Context, d *people, name string) error {
		if *email == "" {
			return usage(fmt.Errorf("%q needs --email, the administrator's address", cmd.CommandPath()))
		}
		before, err := d.Accounts(ctx)
		if err != nil {
			return err
		}
		m, err := d.NewAccount(ctx, name, *email)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "An account on the server of %s. Its authtoken and API key are shown this once:\n", d.dir)
		if err := p.table([]string{"account", m.Account}, []string{"user", m.User}, []string{"authtoken", m.Authtoken}, []string{"api key", m.APIKey}); err != nil {
			return err
		}
		for _, a := range before {
			if a.Name == name {
				fmt.Fprintf(p.stderr, "The account %s has the same name, so --account takes the ids alone of these two.\n", a.ID)
				break
			}
		}
		if p.terminal(p.stdout) {
			fmt.Fprintf(p.stderr, "\nOn the agent's machine, and for the API's clients:\n\n  culvert config add-authtoken %s\n  export CULVERT_API_KEY=%s\n\n"+
				"More for this account:\n\n  culvertd user new EMAIL --account %s\n  culvertd authtoken new --account %[3]s\n", m.Authtoken, m.APIKey, m.Account)
		}
		return nil
	})
}
