package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// auditLines is how many entries are shown unless --limit says otherwise,
	// maxAuditLines how many it can say.
	auditLines    = 100
	maxAuditLines = 100_000
)

// auditFlags are those of culvertd audit.
type auditFlags struct {
	account, since, output string
	limit                  int
}

func (p *program) auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who has changed what",
		Long: `Show the record of changes: every write by the API or by this program, and
every refused credential, with who did it, with which key and from where. Secrets
are not in it.

The newest entries come last. With --output json each line is an object that has
what was changed, before and after.`,
		Example: `  culvertd audit --since 24h
  culvertd audit --account ac_default --since 2026-01-31 --output json`,
		Args: noArgs,
	}
	dataFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.account, "account", "", "entries of this account alone")
	flags.StringVar(&f.since, "since", "", "entries since then: a duration such as 24h or 7d, a day, or a time as in RFC 3339")
	flags.IntVar(&f.limit, "limit", auditLines, fmt.Sprintf("how many entries at most, the newest ones; up to %d (default %d)", maxAuditLines, auditLines))
	flags.StringVar(&f.output, "output", "table", "table or json (default table)")
	placeholder(flags, "account", "ID|NAME")
	placeholder(flags, "since", "WHEN")
	placeholder(flags, "limit", "N")
	placeholder(flags, "output", "table|json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // it was just made
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, show, err := f.query(time.Now())
		if err != nil {
			return err
		}
		o, err := p.settings(cmd, p.serverDir)
		if err != nil {
			return err
		}
		entries, err := readAudit(cmd.Context(), o, q)
		if err != nil {
			return err
		}
		return show(p.stdout, entries)
	}
	return cmd
}

// query is what the flags ask for, and how it is to be shown.
func (f *auditFlags) query(now time.Time) (q control.AuditQuery, show func(io.Writer, []auditEntry) error, err error) {
	q = control.AuditQuery{Account: f.account, Limit: f.limit}
	if f.limit < 1 || f.limit > maxAuditLines {
		err = errors.Join(err, fault.New(fault.SettingInvalid, strconv.Itoa(f.limit), "--limit", fmt.Sprintf("it is not from 1 to %d", maxAuditLines)))
	}
	if f.since != "" {
		var bad error
		if q.Since, bad = parseSince(f.since, now); bad != nil {
			err = errors.Join(err, fault.Wrap(bad, fault.SettingInvalid, f.since, "--since", bad))
		}
	}
	switch f.output {
	case "table":
		show = auditTable
	case "json":
		show = auditJSON
	default:
		err = errors.Join(err, fault.New(fault.SettingInvalid, f.output, "--output", "it is not one of table, json"))
	}
	return q, show, err
}

// parseSince reads a moment: how long ago it was, a day, or a time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("it is neither a duration such as 24h or 7d, nor a day such as 2026-01-31, nor a time such as 2026-01-31T12:00:00Z")
}

// auditEntry is one entry as JSON shows it.
type auditEntry struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	control.AuditEvent
}

// readAudit returns entries, oldest first.
func readAudit(ctx context.Context, o *options, q control.AuditQuery) (entries []auditEntry, err error) {
	db, err := openData(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if q.Account != "" {
		d := control.NewDirectory(&control.Shared{Store: db, Now: time.Now}, nil)
		if q.Account, err = accountID(ctx, d, q.Account); err != nil {
			return nil, err
		}
	}
	_, err = db.View(ctx, func(tx store.Tx) error {
		entries = nil
		for e, err := range control.AuditTrail(tx, q) {
			if err != nil {
				return err
			}
			entries = append(entries, auditEntry{e.ID, e.CreatedAt, e.Account, e.Doc})
		}
		return nil
	})
	slices.Reverse(entries)
	return entries, err
}

// auditJSON writes each entry as an object on a line of its own.
func auditJSON(w io.Writer, entries []auditEntry) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// auditTable writes entries for people.
func auditTable(w io.Writer, entries []auditEntry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tWHAT\tOBJECT\tWHO\tKEY\tADDRESS\tACCOUNT")
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Local().Format(time.DateTime), e.Type, cmp.Or(objectOf(&e.AuditEvent), "-"),
			cmp.Or(e.Principal, "-"), cmp.Or(e.Credential, "-"), cmp.Or(e.Address, "-"), cmp.Or(e.Account, "-"))
	}
	return t.Flush()
}

// objectOf is the id of what an entry is about.
func objectOf(e *control.AuditEvent) string {
	var o struct {
		ID string `json:"id"`
	}
	for _, side := range []json.RawMessage{e.After, e.Before} {
		if json.Unmarshal(side, &o) == nil && o.ID != "" {
			return o.ID
		}
	}
	return ""
}
