package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
)

// limitsCommand shows and sets the limits of an account.
func (p *program) limitsCommand() *cobra.Command {
	var doc strings.Builder
	for _, q := range identity.Quotas() {
		fmt.Fprintf(&doc, "  %-26s%s\n", q, q.Doc())
	}
	cmd := &cobra.Command{
		Use: "limits", Short: "Show the limits of an account, and set or lift some",
		Long: `Show the limits of an account, and set or lift some. Without a limit an account may
have any number. A running server follows within seconds; what there is already
stays. Months are calendar months in UTC.

` + doc.String(),
		Example: `  culvertd account limits shop
  culvertd account limits shop --set endpoints=20 --set data_out_per_month=50GB
  culvertd account limits shop --set endpoints=none`,
	}
	set := cmd.Flags().StringArray("set", nil, "set a limit, or lift it with none; repeatable")
	placeholder(cmd.Flags(), "set", "LIMIT=NUMBER|none")
	output := outputFlag(cmd)
	return p.onPeople(cmd, "ID|NAME", func(ctx context.Context, d *people, named string) error {
		if *output != "table" && *output != "json" {
			return fault.New(fault.SettingInvalid, *output, "--output", "it is not one of table, json")
		}
		changes := map[identity.Quota]*int64{}
		for _, text := range *set {
			q, limit, err := control.ParseLimit(text)
			if err != nil {
				return err
			}
			changes[q] = limit
		}
		account, err := accountID(ctx, d.Directory, named)
		if err != nil {
			return err
		}
		a, err := d.SetLimits(ctx, account, changes)
		if err != nil {
			return err
		}
		if *output == "json" {
			return json.NewEncoder(p.stdout).Encode(a)
		}
		rows := [][]string{{"LIMIT", "NUMBER"}}
		for _, q := range identity.Quotas() {
			number := "none"
			if limit, ok := a.Limits[q]; ok {
				number = strconv.FormatInt(limit, 10)
			}
			rows = append(rows, []string{string(q), number})
		}
		return p.table(rows...)
	})
}
