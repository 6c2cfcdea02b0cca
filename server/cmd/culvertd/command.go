package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

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
		Args:          commandOnly,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       version.Read().Version,
	}
	root.SetVersionTemplate(versionText())
	root.SetFlagErrorFunc(flagError)
	if p.called == agentName {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: agentName}
	}
	root.AddCommand(p.serveCommand(), p.devCommand(), p.configCommand(), p.policyCommand(),
		p.accountCommand(), p.userCommand(), p.tokenCommand(), p.apiKeyCommand(), p.restrictionCommand(), p.auditCommand(),
		p.backupCommand(), p.restoreCommand(), p.dbCommand(), p.rotateKeyCommand(), p.versionCommand())
	root.CompletionOptions.DisableDescriptions = false
	return root
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(p.stdout, versionText())
			return err
		},
	}
}

func versionText() string {
	b := version.Read()
	commit := ""
	if b.Commit != "" {
		commit = fmt.Sprintf("commit %.12s\n", b.Commit)
	}
	return fmt.Sprintf("culvertd version %s\n%s%s %s\n", b.Version, commit, b.Go, b.Platform)
}
