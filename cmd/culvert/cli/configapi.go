package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

func (p *Program) addAPIKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "add-api-key KEY",
		Short:   "Write the key for culvert api into the configuration file",
		Long:    "Write the key for culvert api into the configuration file. - reads it from standard input.",
		Example: "  culvert config add-api-key YOUR_KEY\n  culvert config add-api-key - < key.txt",
		Args:    arguments(1, 1, "one key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := p.file(cmd)
			if err != nil {
				return err
			}
			key := strings.TrimSpace(args[0])
			if key == "-" {
				if key, err = readLine(p.Stdin); err != nil {
					return fault.Wrap(err, fault.ValueInvalid, "-", "the key", "standard input holds none")
				}
			}
			if err := api.CheckKey(key); err != nil {
				return err
			}
			if err := config.SetKeys(path, [2]string{"api_key", key}); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "API key saved to configuration file: %s\n", path)
			return nil
		},
	}
}

func (p *Program) addAPIURLCommand() *cobra.Command {
	cas := ""
	cmd := &cobra.Command{
		Use:   "add-api-url URL",
		Short: "Write the address of the API, and its CA, into the configuration file",
		Example: `  culvert config add-api-url https://api.example.com
  culvert config add-api-url https://tunnel.example.com:9400 --api-cas ca.pem`,
		Args: arguments(1, 1, "one URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := p.file(cmd)
			if err != nil {
				return err
			}
			base, err := api.ParseBase(args[0])
			if err != nil {
				return err
			}
			pairs := [][2]string{{"api_url", base.String()}}
			if cas != "" {
				stored, err := storedCAs(cas)
				if err != nil {
					return err
				}
				pairs = append(pairs, [2]string{"api_cas", stored})
			}
			if err := config.SetKeys(path, pairs...); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "Address of the API saved to configuration file: %s\n", path)
			return nil
		},
	}
	cmd.Flags().StringVar(&cas, "api-cas", "", "`FILE` with the CA of the API, or host for the CAs of this machine")
	return cmd
}
