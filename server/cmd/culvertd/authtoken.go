package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/vault"
)

func (p *program) authtokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "authtoken",
		Short: "Make authtokens for agents",
		Args:  commandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	made := &cobra.Command{
		Use:   "new",
		Short: "Make an authtoken and print it, this once",
		Long: `Make an authtoken and print it, this once. The server keeps a keyed hash of it.
A server that is running knows the new token at once.`,
		Example: `  culvertd authtoken new
  culvertd authtoken new --note "build machines" --data-dir /srv/culvert`,
		Args: noArgs,
	}
	serverFlags(made)
	for _, s := range settings() {
		if f := made.Flags().Lookup(s.name); f != nil && s.name != "data-dir" {
			f.Hidden = true
		}
	}
	note := made.Flags().String("note", "", "text to tell this token from others")
	placeholder(made.Flags(), "note", "TEXT")
	made.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := p.settings(cmd, p.serverDir)
		if err != nil {
			return err
		}
		token, err := newToken(cmd.Context(), o.node.DataDir, *note)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "A token for the server of %s:\n", o.node.DataDir)
		fmt.Fprintln(p.stdout, token)
		if p.terminal(p.stdout) {
			fmt.Fprintf(p.stderr, "\nOn the agent's machine:\n\n  culvert config add-authtoken %s\n", token)
		}
		return nil
	}
	cmd.AddCommand(made)
	return cmd
}

// newToken makes an authtoken in the data directory of a server, whether or not
// that runs now. Elsewhere nobody would know the token: it makes no directory
// and fails with fault.DataDirUnusable.
func newToken(ctx context.Context, dir, note string) (string, error) {
	switch kept, err := node.Keeps(dir); {
	case err != nil:
		return "", err
	case !kept:
		f := fault.New(fault.DataDirUnusable, dir, "no server has run there yet")
		f.Remedy = "Start the server first, or name its directory with --data-dir; the server prints it as \"data\"."
		return "", f
	}
	v, err := vault.Open(dir)
	if err != nil {
		return "", err
	}
	tokens, err := identity.Open(dir, v)
	if err != nil {
		return "", err
	}
	token, _, err := tokens.Create(ctx, note)
	return token, err
}
