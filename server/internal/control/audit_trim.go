package control

import (
	"context"
	"errors"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// How much of the record is kept, of each account: a flood of one kind, which strangers or a tenant may cause, does
// not push the other out.
const (
	// maxChanges is about a hundred a day for as long as changes are kept; maxRefusals is what strangers can cause in
	// less than three hours at the rate that the gate records.
	maxChanges  = 100_000
	maxRefusals = 10_000
	// keepChanges is a year, so that it can be compared with the one before, and a month; keepRefusals is as long as
	// an attack is looked into.
	keepChanges  = 400 * 24 * time.Hour
	keepRefusals = 30 * 24 * time.Hour
	// trimEvery is how often a stretch of the record is looked at, and trimStretch how many entries that is. Ten
	// million are gone through in less than four days.
	trimEvery   = 10 * time.Minute
	trimStretch = 20_000
	// trimPage is how many entries are looked at or removed at once, so that others get at the store in between.
	trimPage = 200
)

// refusalType is the type of entries about refused credentials.
const refusalType = "authentication_failed"

// retention is how many entries of one kind an account keeps, and for how long.
type retention struct {
	most int
	age  time.Duration
}

// auditTrim removes the entries that are not kept. It walks from the newest to the oldest, a stretch at a time, and then
// begins again: what it costs does not grow with the record.
type auditTrim struct {
	before string // the id that it has come to, "" at the beginning
	counts map[auditKind]int
}

// auditKind is what the entries are counted by.
type auditKind struct {
	account string
	refusal bool
}

// run looks at no more than most entries, which is rounded up to pages, and returns how many it has removed.
func (a *auditTrim) run(ctx context.Context, db store.Store, now time.Time, most int, changes, refusals retention) (removed int, err error) {
	for left := most; left > 0; left -= trimPage {
		old, seen, err := a.page(ctx, db, now, changes, refusals)
		if err != nil {
			return removed, err
		}
		if seen == 0 {
			*a = auditTrim{}
			return removed, nil
		}
		if len(old) == 0 {
			continue
		}
		_, err = db.Update(ctx, func(tx store.Tx) error {
			for _, id := range old {
				if err := audits().Delete(tx, id); err != nil && !errors.Is(err, store.ErrNotFound) { // another server has done it
					return err
				}
			}
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed += len(old)
	}
	return removed, nil
}

// page looks at the next entries and returns those that are not kept.
func (a *auditTrim) page(ctx context.Context, db store.Store, now time.Time, changes, refusals retention) (old []string, seen int, err error) {
	if a.counts == nil {
		a.counts = map[auditKind]int{}
	}
	_, err = db.View(ctx, func(tx store.Tx) error {
		for o, err := range audits().List(tx, store.Query{Before: a.before, Limit: trimPage}) { // the newest first
			if bad, ok := errors.AsType[*store.UnreadableError](err); ok {
				a.before = bad.ID
				seen++
				continue
			}
			if err != nil {
				return err
			}
			a.before = o.ID
			seen++
			k, keep := auditKind{o.Account, o.Doc.Type == refusalType+".v0"}, changes
			if k.refusal {
				keep = refusals
			}
			if a.counts[k]++; a.counts[k] > keep.most || now.Sub(o.CreatedAt) > keep.age {
				old = append(old, o.ID)
			}
		}
		return nil
	})
	return old, seen, err
}
