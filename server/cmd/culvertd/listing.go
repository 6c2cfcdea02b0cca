package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
)

// listing is what a list command shows: rows for people, and objects for programs.
type listing struct {
	rows    [][]string
	objects []any
}

// add appends an object and its row.
func (l *listing) add(object any, row ...string) {
	l.rows, l.objects = append(l.rows, row), append(l.objects, object)
}

// listsPeople completes a list command: a table with these columns or, with --output json, an object on each line.
func (p *program) listsPeople(cmd *cobra.Command, columns []string, fill func(ctx context.Context, d *people, l *listing) error) *cobra.Command {
	output := outputFlag(cmd)
	return p.onPeople(cmd, "", func(ctx context.Context, d *people, _ string) error {
		if *output != "table" && *output != "json" {
			return fault.New(fault.SettingInvalid, *output, "--output", "it is not one of table, json")
		}
		l := &listing{rows: [][]string{columns}}
		if err := fill(ctx, d, l); err != nil {
			return err
		}
		if *output == "table" {
			return p.table(l.rows...)
		}
		enc := json.NewEncoder(p.stdout)
		enc.SetEscapeHTML(false)
		for _, o := range l.objects {
			if err := enc.Encode(o); err != nil {
				return err
			}
		}
		return nil
	})
}

// outputFlag says in which form a list is shown.
func outputFlag(cmd *cobra.Command) *string {
	output := flag(cmd, "output", "table", "table|json", "table, or json: an object on each line (default table)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // it was just made
	return output
}

// table prints rows in columns.
func (p *program) table(rows ...[]string) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			r[i] = strings.Map(func(c rune) rune {
				if c < ' ' || c == 0x7f {
					return ' '
				}
				return c
			}, cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	return w.Flush()
}
