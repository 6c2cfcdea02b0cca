package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
	restrictions     control.Resource
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
		restrictions: control.NewIPRestrictions(shared),
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
// its one argument is, "" if it takes none. An account that the flags name is known
// by its id afterwards.
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
		return p.withPeople(cmd, func(ctx context.Context, d *people) error {
			if account := cmd.Flags().Lookup("account"); account != nil {
				found, err := accountID(ctx, d.Directory, account.Value.String())
				if err == nil {
					err = account.Value.Set(found)
				}
				if err != nil {
					return err
				}
			}
			return f(ctx, d, strings.Join(args, ""))
		})
	}
	return cmd
}

// flag gives a command a flag with a text.
func flag(cmd *cobra.Command, name, def, arg, usage string) *string {
	v := cmd.Flags().String(name, def, usage)
	placeholder(cmd.Flags(), name, arg)
	return v
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
	p.listsPeople(list, []string{"ID", "EMAIL", "ROLE", "STATE", "CREATED"}, func(ctx context.Context, d *people, l *listing) error {
		all, err := d.Users(ctx, *of)
		for _, u := range all {
			role := state(u.ReadOnly, "read-only", "developer")
			l.add(u, u.ID, u.Email, state(u.Admin, "admin", role), state(!u.Inactive, "active", "inactive"), day(u.CreatedAt))
		}
		return err
	})
	return group("user", "Make, list and disable users", made, list,
		p.activateCommand("disable", "Refuse all credentials of a user and cut the agents off", false),
		p.activateCommand("enable", "Accept the credentials of a user again", true))
}

func (p *program) activateCommand(use, short string, active bool) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: "  culvertd user " + use + " ann@example.com"}
	account := accountFlag(cmd)
	return p.onPeople(cmd, "ID|EMAIL", func(ctx context.Context, d *people, arg string) error {
		err := d.Activate(ctx, *account, arg, active)
		if fault.Has(err, fault.IdentityUnknown) {
			err = unknown("user", arg, "user", *account)
		}
		return err
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
		p.listTokensCommand("List the API keys of an account", keys, false),
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
		p.listTokensCommand("List the authtokens of an account", authtokens, true),
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

// token is a credential as a list shows it.
type token struct {
	ID          string    `json:"id"`
	Owner       string    `json:"owner_id"`
	Description string    `json:"description"`
	Metadata    string    `json:"metadata"`
	ACL         []string  `json:"acl,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
}

// listTokensCommand lists credentials, with their rules if such have any.
func (p *program) listTokensCommand(short string, of func(*people) control.Resource, rules bool) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: short}
	account := accountFlag(cmd)
	columns := []string{"ID", "OWNER", "CREATED", "NOTE"}
	if rules {
		columns = []string{"ID", "OWNER", "CREATED", "ACL", "NOTE"}
	}
	return p.listsPeople(cmd, columns, func(ctx context.Context, d *people, l *listing) error {
		caller, err := d.Caller(ctx, *account)
		if err != nil {
			return err
		}
		for before, more := "", true; more; {
			var items []any
			if items, more, err = of(d).List(ctx, caller, control.Page{Before: before, Limit: 100}); err != nil {
				return err
			}
			for _, item := range items {
				var t token
				if err := reread(item, &t); err != nil {
					return err
				}
				row := []string{t.ID, t.Owner, day(t.CreatedAt)}
				if rules {
					row = append(row, cmp.Or(strings.Join(t.ACL, " "), "-"))
				}
				l.add(t, append(row, t.Description)...)
				before = t.ID
			}
		}
		return nil
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
			err = unknown(what, id, strings.ReplaceAll(strings.ToLower(what), " ", "-"), *account)
		}
		return err
	})
	cmd.Example = "  " + "culvertd " + strings.ReplaceAll(strings.ToLower(what), " ", "-") + " disable " + example
	return cmd
}

func state(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
