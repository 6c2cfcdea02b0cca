package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/server/internal/node"
)

func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the server's settings",
		Args:  commandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Check flags, variables and file as serve would, and start nothing",
		Example: `  culvertd config check --config culvertd.yml
  culvertd config check --domain tunnel.example.com --https-addr :443`,
		Args: noArgs,
	}
	serverFlags(check)
	check.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := p.settings(cmd, p.serverDir)
		if err != nil {
			return err
		}
		if _, err := node.New(o.node); err != nil {
			return err
		}
		if o.file == "" {
			fmt.Fprintln(p.stdout, "The settings are valid. There is no file among them; --config names one.")
			return nil
		}
		fmt.Fprintf(p.stdout, "%s and the other settings are valid.\n", o.file)
		return nil
	}
	cmd.AddCommand(check)
	return cmd
}
