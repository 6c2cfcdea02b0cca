package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/control"
)

// restrictionCommand is about IP restrictions: the way back for who is shut out by one.
func (p *program) restrictionCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the IP restrictions of an account"}
	of := accountFlag(list)
	p.listsPeople(list, []string{"ID", "TYPE", "STATE", "POLICIES", "CREATED"}, func(ctx context.Context, d *people, l *listing) error {
		all, err := d.restrictionsOf(ctx, *of)
		for _, r := range all {
			l.add(r, r.ID, r.Type, state(r.Enforced, "enforced", "not enforced"), strings.Join(r.Policies, " "), day(r.CreatedAt))
		}
		return err
	})
	disable := &cobra.Command{
		Use: "disable", Short: "Stop enforcing an IP restriction, named by its id or type",
		Long: `Stop enforcing an IP restriction, named by its id or type. Its policies and rules
stay. A running server lets everybody in again within seconds.

This is the way back for an account whose rules let nobody in to the API any
more. Correct them, and enforce the restriction again with
culvert api ip-restrictions update ID --enforced.`,
		Example: "  culvertd restriction disable api\n  culvertd restriction disable agent --account shop",
	}
	account := accountFlag(disable)
	p.onPeople(disable, "ID|TYPE", func(ctx context.Context, d *people, named string) error {
		all, err := d.restrictionsOf(ctx, *account)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.ID != named && r.Type != named {
				continue
			}
			caller, err := d.Caller(ctx, *account)
			if err == nil {
				_, err = d.restrictions.Update(ctx, caller, r.ID, []byte(`{"enforced":false}`))
			}
			return err
		}
		return unknown("IP restriction", named, "restriction", *account)
	})
	return group("restriction", "List IP restrictions and stop enforcing them", list, disable)
}

// restriction is an IP restriction as a list shows it.
type restriction struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Enforced  bool      `json:"enforced"`
	Policies  []string  `json:"ip_policy_ids"`
	CreatedAt time.Time `json:"created_at"`
}

// maxRestrictions is how many IP restrictions an account has at most: one of each type.
const maxRestrictions = 4

// restrictionsOf returns the IP restrictions of an account.
func (d *people) restrictionsOf(ctx context.Context, account string) ([]restriction, error) {
	caller, err := d.Caller(ctx, account)
	if err != nil {
		return nil, err
	}
	items, _, err := d.restrictions.List(ctx, caller, control.Page{Limit: maxRestrictions})
	all := make([]restriction, 0, len(items))
	for _, item := range items {
		r, ok := item.(*api.IPRestriction)
		if !ok {
			return nil, fmt.Errorf("an IP restriction is a %T", item)
		}
		one := restriction{ID: r.ID, Type: r.Type, Enforced: r.Enforced, Policies: []string{}, CreatedAt: r.CreatedAt}
		for _, policy := range r.IPPolicies {
			one.Policies = append(one.Policies, policy.ID)
		}
		all = append(all, one)
	}
	return all, err
}
