package usage

import (
	"errors"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/store"
)

// allotted is an account with limits of its traffic, and what of its data is used in the month.
type allotted struct {
	limits meter.Limits
	month  time.Time
	out    int64
}

// traffic are the limits of an account that the meters know.
func traffic(a *identity.Account) meter.Limits {
	l := meter.NoLimits()
	for q, into := range map[identity.Quota]*int64{
		identity.QuotaRequestsPerMonth: &l.RequestsPerMonth, identity.QuotaConnectionsPerMonth: &l.ConnectionsPerMonth,
		identity.QuotaDataOutPerMonth: &l.OutPerMonth, identity.QuotaRequestsPerMinute: &l.RequestsPerMinute,
		identity.QuotaConnectionsPerMinute: &l.ConnectionsPerMinute,
	} {
		if limit, ok := a.Limits[q]; ok {
			*into = limit
		}
	}
	return l
}

// Load implements store.Projection.
func (l *Ledger) Load(tx store.Tx) error {
	seen := map[string]bool{}
	var bad store.Unreadable
	docs := identity.Accounts()
	for o, err := range docs.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			seen[u.ID] = true // its limits stay
			continue
		}
		if err != nil {
			return err
		}
		seen[o.ID] = true
		if err := l.follow(tx, o.ID, traffic(&o.Doc)); err != nil {
			return err
		}
	}
	for _, account := range l.known() {
		if !seen[account] {
			if err := l.follow(tx, account, meter.NoLimits()); err != nil {
				return err
			}
		}
	}
	return bad.Err()
}

// known are the accounts with limits.
func (l *Ledger) known() (accounts []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for account := range l.limited {
		accounts = append(accounts, account)
	}
	return accounts
}

// Apply implements store.Projection.
func (l *Ledger) Apply(tx store.Tx, changes []store.Change) error {
	var bad store.Unreadable
	docs := identity.Accounts()
	for _, c := range changes {
		if c.Kind != docs.Kind {
			continue
		}
		limits := meter.NoLimits()
		o, err := docs.Get(tx, c.ID)
		switch {
		case err == nil:
			limits = traffic(&o.Doc)
		case bad.Skip(err) != nil:
			continue // its limits stay
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := l.follow(tx, c.ID, limits); err != nil {
			return err
		}
	}
	return bad.Err()
}

// follow puts limits into force, with what is used of them.
func (l *Ledger) follow(tx store.Tx, account string, limits meter.Limits) error {
	l.collect()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now().UTC()
	switch old := l.limited[account]; {
	case limits == meter.NoLimits():
		if old != nil {
			delete(l.limited, account)
			l.cfg.Meters.SetLimits(account, limits, meter.Counts{}, now)
		}
		return nil
	case old != nil && old.limits == limits:
		return nil
	}
	month := meter.Month(now)
	docs := monthDocs()
	o, err := docs.Get(tx, monthID(month, account))
	if lost(err) {
		o, err = &store.Object[sumDoc]{}, nil
	}
	if err != nil {
		return err
	}
	used := o.Doc.UsageCounts
	used.Add(l.unwritten(account, month, o.Doc.Batch))
	l.limited[account] = &allotted{limits, month, used.DataOut}
	l.cfg.Meters.SetLimits(account, limits, counts(used), now)
	return nil
}

func counts(c api.UsageCounts) meter.Counts {
	return meter.Counts{Requests: c.HTTPRequests, Connections: c.Connections, Out: c.DataOut}
}
