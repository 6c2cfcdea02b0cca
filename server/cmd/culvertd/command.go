package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/version"
)

// command returns the tree of commands.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "culvertd",
		Short: "The Culvert server: public URLs for services that run anywhere",
		Long: `The Culvert server: public URLs for services that run anywhere.

To try it, with nothing else running:

  culvertd dev              serve a page that echoes its request
  culvertd dev http 8080    put localhost:8080 online

To run a server for agents:

  culvertd serve`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(p.serveCommand(), p.devCommand(), p.authtokenCommand(), p.configCommand(), p.versionCommand())
	root.CompletionOptions.DisableDescriptions = false
	for _, c := range root.Commands() {
		c.Args = checkArgs(c.Args)
	}
	root.Args = checkArgs(root.Args)
	return root
}

// usage is the fault for a wrong command line.
func usage(err error) error {
	text := strings.TrimSuffix(err.Error(), ".")
	return fault.Wrap(err, fault.ServerUsage, strings.ToUpper(text[:1])+text[1:])
}

// checkArgs makes what check refuses a fault.
func checkArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		return nil
	}
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(err)
		}
		return nil
	}
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := version.Read()
			fmt.Fprintf(p.stdout, "culvertd version %s\n", b.Version)
			if b.Commit != "" {
				fmt.Fprintf(p.stdout, "commit %.12s\n", b.Commit)
			}
			fmt.Fprintf(p.stdout, "%s %s\n", b.Go, b.Platform)
			return nil
		},
	}
}
