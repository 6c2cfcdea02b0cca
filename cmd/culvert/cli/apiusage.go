package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/api"
)

// usageCommand shows what the account has used.
func (p *Program) usageCommand(f *apiFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "usage", Short: "Show what the account has used: requests, connections, data, hours of endpoints",
		Long: `Show what the account has used: requests, connections, data sent, and the hours in
which endpoints were active. Hours are kept for 40 days, and the sums of months for 25 months.`,
		Example: `  culvert api usage --output table
  culvert api usage --from 2026-11-20 --group hour --endpoints --all-pages
  culvert api usage --from 2025-01-01 --group month`,
		Args: arguments(0, 0, "no arguments"),
	}
	table := api.UsageTable()
	body := newBodyFlags(cmd, api.UsageParameters(), true)
	all := cmd.Flags().Bool("all-pages", false, "go through all pages")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		set, err := body.read(p.Stdin)
		if err != nil {
			return err
		}
		query := url.Values{}
		if fields, ok := set.(map[string]any); ok {
			for name, value := range fields {
				query.Set(name, fmt.Sprint(value))
			}
		}
		return p.call(cmd, f, func(ctx context.Context, c *api.Client) (*api.Answer, error) {
			first, err := c.Do(ctx, http.MethodGet, table.Path, query, nil)
			if err != nil || !*all {
				return first, err
			}
			return c.Rest(ctx, first, table.ListKey)
		}, table)
	}
	return cmd
}
