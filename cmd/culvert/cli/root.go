package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/version"
)

// root builds the command tree.
func (p *Program) root() *cobra.Command {
	name := "culvert"
	if p.reference() {
		name = "ngrok"
	}
	root := &cobra.Command{
		Use:   name,
		Short: "Put a service of this machine online through a Culvert server",
		Long: `Culvert puts a service of this machine online through a Culvert server:
a public URL at the server, no port open here.`,
		Example: `  culvert http 8080                          an https URL for the web server on port 8080
  culvert http 8080 --url https://app.example.com
  culvert http file:///var/www               files of a folder
  culvert tcp 22                             a TCP address for the SSH server
  culvert start --all                        every endpoint of the configuration file`,
		Args:          nil, // cobra's own check knows the nearest command
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return p.summary(cmd) },
		Version:       version.Read().Version,
	}
	root.SetUsageTemplate(usageText)
	root.SetVersionTemplate(p.versionText() + "\n")
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringArray("config", nil, "configuration `FILE`; several are merged, later ones win")
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Put something online:"},
		&cobra.Group{ID: "setup", Title: "Set up and look:"},
	)
	root.SetHelpCommandGroupID("setup")
	root.AddCommand(
		p.httpCommand(), p.tcpCommand(), p.tlsCommand(), p.startCommand(), p.tunnelCommand(),
		p.configCommand(), p.apiCommand(), p.policyCommand(), p.diagnoseCommand(), p.versionCommand(), p.completionCommand(),
	)
	return root
}

// summary is what the bare program prints.
func (p *Program) summary(cmd *cobra.Command) error {
	fmt.Fprintf(p.Stdout, `%s

Start with:
  culvert config add-connect-url HOST:PORT --ca-fingerprint sha256:...
  culvert config add-authtoken TOKEN
  culvert http 8080

The server prints the first two lines when it starts. "culvert help" lists all commands.
`, cmd.Long)
	return nil
}
