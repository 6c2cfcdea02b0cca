package control

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// room refuses one more object when the caller's account has as many as a quota lets it. It says so with a code whose
// argument is the limit.
func room[T any](c *change, q identity.Quota, code fault.Code, docs store.Collection[T], counts func(*T) bool) error {
	accounts := identity.Accounts()
	o, err := accounts.Get(c.tx, c.caller.Account)
	if errors.Is(err, store.ErrNotFound) {
		return nil // it is being made
	}
	if err != nil {
		return err
	}
	limit, ok := o.Doc.Limits[q]
	if !ok {
		return nil
	}
	var n int64
	for o, err := range docs.List(c.tx, store.Query{Account: c.caller.Account}) {
		switch {
		case unreadable(err):
			n++ // it is there
		case err != nil:
			return err
		case counts == nil || counts(&o.Doc):
			n++
		}
		if n >= limit {
			break
		}
	}
	if n >= limit {
		return fault.New(code, limit)
	}
	return nil
}

// SetLimits sets limits of an account, or lifts those that are nil, and returns the account. What it has already stays.
func (d *Directory) SetLimits(ctx context.Context, account string, set map[identity.Quota]*int64) (after Account, err error) {
	docs := identity.Accounts()
	err = d.update(ctx, &Caller{Account: account}, func(c *change) error {
		o, err := docs.Get(c.tx, account)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.IdentityUnknown, "account", account)
		}
		if err != nil {
			return err
		}
		before := accountOf(o)
		limits := maps.Clone(o.Doc.Limits)
		if limits == nil {
			limits = map[identity.Quota]int64{}
		}
		for q, limit := range set {
			if limit == nil {
				delete(limits, q)
			} else {
				limits[q] = *limit
			}
		}
		if maps.Equal(limits, o.Doc.Limits) {
			after = before
			return nil
		}
		o.Doc.Limits, o.UpdatedAt = limits, c.at
		after = accountOf(o)
		return errors.Join(docs.Put(c.tx, o), audit(c, "account_updated", before, after))
	})
	return after, err
}

// units are what stands behind numbers of bytes.
var units = []struct {
	suffix string
	bytes  int64
}{{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}}

// ParseLimit reads a limit like "vaults=5" or "data_out_per_month=20GB"; none lifts it, for which the value is nil.
func ParseLimit(text string) (q identity.Quota, limit *int64, err error) {
	name, value, _ := strings.Cut(text, "=")
	q = identity.Quota(name)
	if q.Doc() == "" {
		var known []string
		for _, k := range identity.Quotas() {
			known = append(known, string(k))
		}
		return "", nil, fault.New(fault.QuotaUnknown, name, strings.Join(known, ", "))
	}
	if value == "none" {
		return q, nil, nil
	}
	number, unit := value, int64(1)
	if q == identity.QuotaDataOutPerMonth {
		for _, u := range units {
			if n, ok := strings.CutSuffix(strings.ToUpper(value), u.suffix); ok {
				number, unit = n, u.bytes
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return "", nil, fault.New(fault.QuotaValue, name, value)
	}
	n *= unit
	return q, &n, nil
}
