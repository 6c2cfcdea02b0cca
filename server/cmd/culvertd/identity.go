package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store"
)

// people is what the commands about accounts, users and their credentials work
// with: the data of a server, whether or not that runs now. A server that runs
// notices what they change by itself.
type people struct {
	*control.Directory
	dir              string
	authtokens, keys control.Resource
}

// withPeople runs f on the data of a server, in which the first account is there.
func (p *program) withPeople(cmd *cobra.Command, f func(ctx context.Context, d *people) error) error {
	o, err := p.settings(cmd, p.serverDir)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	db, err := openData(ctx, o)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // all that was answered is durable
	v, err := node.OpenKeys(o.node)
	if err != nil {
		return err
	}
	shared := &control.Shared{Store: db, Settle: func(context.Context, store.Revision) error { return nil }, Now: time.Now}
	d := &people{
		Directory: control.NewDirectory(shared, v), dir: o.node.DataDir,
		authtokens: control.NewCredentials(shared, v), keys: control.NewAPIKeys(shared, v),
	}
	if _, err := d.Ensure(ctx, control.First{DataDir: o.node.DataDir, Bare: true}); err != nil {
		return err
	}
	return f(ctx, d)
}

// group is a command that only groups others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: commandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// onPeople completes a command that works on the data of a server. named is what
// its one argument is, "" if it takes none.
func (p *program) onPeople(cmd *cobra.Command, named string, f func(ctx context.Context, d *people, arg string) error) *cobra.Command {
	cmd.Args = noArgs
	if named != "" {
		cmd.Use += " " + named
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("%q takes one %s, and got %d words", cmd.CommandPath(), named, len(args)))
			}
			return nil
		}
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	dataFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.withPeople(cmd, func(ctx context.Context, d *people) error { return f(ctx, d, strings.Join(args, "")) })
	}
	return cmd
}

// flag gives a command a flag with a text.
func flag(cmd *cobra.Command, name, def, arg, usage string) *string {
	v := cmd.Flags().String(name, def, usage)
	placeholder(cmd.Flags(), name, arg)
	return v
}

// accountFlag says whose account a command is about.
func accountFlag(cmd *cobra.Command) *string {
	return flag(cmd, "account", identity.DefaultAccount, "ID", "the account (default "+identity.DefaultAccount+")")
}

// accountCommand is about accounts.
func (p *program) accountCommand() *cobra.Command {
	made := &cobra.Command{
		Use: "new", Short: "Make an account with an administrator, and print the credentials, this once",
		Long: `Make an account with an administrator, who gets an authtoken and an API key. Both
are printed this once; the server keeps keyed hashes of them.`,
		Example: `  culvertd account new "Team blue" --email ann@example.com`,
	}
	email := flag(made, "email", "", "ADDRESS", "the administrator's e-mail address; required")
	p.onPeople(made, "NAME", func(ctx context.Context, d *people, name string) error {
		if *email == "" {
			return usage(fmt.Errorf("%q needs --email, the administrator's address", made.CommandPath()))
		}
		m, err := d.NewAccount(ctx, name, *email)
		if err != nil {
			return err
		}
		return p.table([]string{"account", m.Account}, []string{"user", m.User}, []string{"authtoken", m.Authtoken}, []string{"api key", m.APIKey})
	})
	list := p.onPeople(&cobra.Command{Use: "list", Short: "List the accounts"}, "", func(ctx context.Context, d *people, _ string) error {
		all, err := d.Accounts(ctx)
		rows := [][]string{{"ID", "NAME", "STATE", "CREATED"}}
		for _, a := range all {
			rows = append(rows, []string{a.ID, a.Name, state(!a.Suspended, "active", "suspended"), day(a.CreatedAt)})
		}
		return orTable(p, err, rows)
	})
	disable := p.onPeople(&cobra.Command{
		Use: "disable", Short: "Suspend an account: its credentials are refused and its agents cut off",
		Example: `  culvertd account disable ac_2Xa0hWm4Qn7Zr1sTqUvB3cD4eF5`,
	}, "ID", func(ctx context.Context, d *people, arg string) error { return d.Suspend(ctx, arg, false) })
	enable := p.onPeople(&cobra.Command{Use: "enable", Short: "End the suspension of an account"}, "ID",
		func(ctx context.Context, d *people, arg string) error { return d.Suspend(ctx, arg, true) })
	return group("account", "Make, list and suspend accounts", made, list, disable, enable)
}

// userCommand is about users.
func (p *program) userCommand() *cobra.Command {
	made := &cobra.Command{
		Use: "new", Short: "Make a user of an account and print the id",
		Example: `  culvertd user new ann@example.com
  culvertd user new bob@example.com --admin --account ac_2Xa0hWm4Qn7Zr1sTqUvB3cD4eF5`,
	}
	account := accountFlag(made)
	admin := made.Flags().Bool("admin", false, "may do everything in the account")
	readOnly := made.Flags().Bool("read-only", false, "may run agents, and not use the API")
	p.onPeople(made, "EMAIL", func(ctx context.Context, d *people, email string) error {
		id, err := d.NewUser(ctx, *account, identity.User{Email: email, Admin: *admin, ReadOnly: *readOnly})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.stdout, id)
		return err
	})
	list := &cobra.Command{Use: "list", Short: "List the users of an account"}
	of := accountFlag(list)
	p.onPeople(list, "", func(ctx context.Context, d *people, _ string) error {
		all, err := d.Users(ctx, *of)
		rows := [][]string{{"ID", "EMAIL", "ROLE", "STATE", "CREATED"}}
		for _, u := range all {
			role := state(u.ReadOnly, "read-only", "developer")
			rows = append(rows, []string{u.ID, u.Email, state(u.Admin, "admin", role), state(!u.Inactive, "active", "inactive"), day(u.CreatedAt)})
		}
		return orTable(p, err, rows)
	})
	return group("user", "Make, list and disable users", made, list,
		p.activateCommand("disable", "Refuse all credentials of a user and cut the agents off", false),
		p.activateCommand("enable", "Accept the credentials of a user again", true))
}

func (p *program) activateCommand(use, short string, active bool) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: "  culvertd user " + use + " ann@example.com"}
	account := accountFlag(cmd)
	return p.onPeople(cmd, "ID|EMAIL", func(ctx context.Context, d *people, arg string) error {
		return d.Activate(ctx, *account, arg, active)
	})
}

// apiKeyCommand is about API keys.
func (p *program) apiKeyCommand() *cobra.Command {
	keys := func(d *people) control.Resource { return d.keys }
	made := &cobra.Command{
		Use: "new", Short: "Make an API key and print it, this once",
		Long: `Make an API key and print it, this once. The server keeps a keyed hash of it.
This is also the way back when all keys are lost. A running server knows the
new key within a second.`,
		Example: `  culvertd api-key new
  culvertd api-key new --note "deployment" --owner ann@example.com`,
	}
	p.newTokenCommand(made, keys, nil, "An API key", func(key string) string {
		return fmt.Sprintf("\nFor the API's clients:\n\n  export CULVERT_API_KEY=%s\n", key)
	})
	return group("api-key", "Make, list and revoke API keys", made,
		p.listTokensCommand("List the API keys of an account", keys),
		p.revokeCommand("API key", "ak_2Xa0hWm4Qn7Zr1sTqUvB3cD4eF5", keys))
}

// tokenCommand is about authtokens.
func (p *program) tokenCommand() *cobra.Command {
	authtokens := func(d *people) control.Resource { return d.authtokens }
	made := &cobra.Command{
		Use:   "new",
		Short: "Make an authtoken and print it, this once",
		Long: `Make an authtoken and print it, this once. The server keeps a keyed hash of it.
A server that is running knows the new token at once.`,
		Example: `  culvertd authtoken new
  culvertd authtoken new --note "build machines" --data-dir /srv/culvert
  culvertd authtoken new --acl "bind:*.dev.example.com"`,
	}
	acl := made.Flags().StringSlice("acl", nil, "what agents with it may bind, such as bind:*.example.com; repeatable")
	placeholder(made.Flags(), "acl", "RULE")
	p.newTokenCommand(made, authtokens, acl, "A token", func(token string) string {
		return fmt.Sprintf("\nOn the agent's machine:\n\n  culvert config add-authtoken %s\n", token)
	})
	return group("authtoken", "Make, list and revoke authtokens for agents", made,
		p.listTokensCommand("List the authtokens of an account", authtokens),
		p.revokeCommand("authtoken", "cr_2Xa0hWm4Qn7Zr1sTqUvB3cD4eF5", authtokens))
}

// newTokenCommand completes a command that makes a credential and prints it.
func (p *program) newTokenCommand(cmd *cobra.Command, of func(*people) control.Resource, acl *[]string, what string, next func(text string) string) {
	note := flag(cmd, "note", "", "TEXT", "text to tell it from others")
	owner := flag(cmd, "owner", "", "ID|EMAIL", "the user or service user that it belongs to (default the account's administrator)")
	account := accountFlag(cmd)
	p.onPeople(cmd, "", func(ctx context.Context, d *people, _ string) error {
		caller, err := d.Caller(ctx, *account)
		if err != nil {
			return err
		}
		fields := map[string]any{"description": *note, "owner_id": *owner}
		if acl != nil {
			fields["acl"] = append([]string{}, *acl...)
		}
		text, err := createToken(ctx, of(d), caller, fields)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "%s for the server of %s:\n", what, d.dir)
		fmt.Fprintln(p.stdout, text)
		if p.terminal(p.stdout) {
			fmt.Fprint(p.stderr, next(text))
		}
		return nil
	})
}

// createToken makes a credential and returns its text.
func createToken(ctx context.Context, r control.Resource, caller *control.Caller, fields map[string]any) (string, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return "", err
	}
	answer, err := r.Create(ctx, caller, body)
	if err != nil {
		return "", err
	}
	var shown struct{ Token string }
	return shown.Token, reread(answer, &shown)
}

// reread turns an answer of the API into another struct.
func reread(answer, into any) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func (p *program) listTokensCommand(short string, of func(*people) control.Resource) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: short}
	account := accountFlag(cmd)
	return p.onPeople(cmd, "", func(ctx context.Context, d *people, _ string) error {
		caller, err := d.Caller(ctx, *account)
		if err != nil {
			return err
		}
		rows := [][]string{{"ID", "OWNER", "NOTE", "ACL", "CREATED"}}
		for before, more := "", true; more; {
			var items []any
			if items, more, err = of(d).List(ctx, caller, control.Page{Before: before, Limit: 100}); err != nil {
				return err
			}
			for _, item := range items {
				var t struct {
					ID          string
					Owner       string `json:"owner_id"`
					Description string
					ACL         []string
					CreatedAt   time.Time `json:"created_at"`
				}
				if err := reread(item, &t); err != nil {
					return err
				}
				rows = append(rows, []string{t.ID, t.Owner, t.Description, strings.Join(t.ACL, " "), day(t.CreatedAt)})
				before = t.ID
			}
		}
		return p.table(rows...)
	})
}

func (p *program) revokeCommand(what, example string, of func(*people) control.Resource) *cobra.Command {
	cmd := &cobra.Command{
		Use: "disable", Short: "Revoke an " + what + " for good",
		Long: "Revoke an " + what + " for good, named by its id. Who uses it is cut off within seconds.",
	}
	account := accountFlag(cmd)
	p.onPeople(cmd, "ID", func(ctx context.Context, d *people, id string) error {
		caller := &control.Caller{Account: *account, Admin: true, Write: true}
		err := of(d).Delete(ctx, caller, id)
		if err == control.ErrNotFound { //nolint:errorlint // Delete returns it as it is
			err = fault.New(fault.IdentityUnknown, what, id)
		}
		return err
	})
	cmd.Example = "  " + "culvertd " + strings.ReplaceAll(strings.ToLower(what), " ", "-") + " disable " + example
	return cmd
}

// table prints rows in columns.
func (p *program) table(rows ...[]string) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			r[i] = strings.Map(func(c rune) rune {
				if c < ' ' || c == 0x7f {
					return ' '
				}
				return c
			}, cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	return w.Flush()
}

// orTable prints rows unless there is an error.
func orTable(p *program, err error, rows [][]string) error {
	if err != nil {
		return err
	}
	return p.table(rows...)
}

func state(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
