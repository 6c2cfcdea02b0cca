package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/version"
)

// versionText is the one line that programs look for.
func (p *Program) versionText() string {
	name := "culvert"
	if p.reference() {
		name = "ngrok"
	}
	return name + " version " + version.Read().Version
}

func (p *Program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		GroupID: "setup",
		Example: "  culvert version\n  culvert version --json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if !asJSON {
				fmt.Fprintln(p.Stdout, p.versionText())
				return nil
			}
			b, err := json.Marshal(version.Read())
			if err != nil {
				return fmt.Errorf("print the version: %w", err)
			}
			fmt.Fprintln(p.Stdout, string(b))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with commit, date, Go version and platform")
	return cmd
}
