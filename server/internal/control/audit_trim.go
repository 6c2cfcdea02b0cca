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
	// trimEvery bounds what comes beyond the numbers.
	trimEvery = 10 * time.Minute
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

// trimAudit removes the entries that are not kept and returns how many.
func trimAudit(ctx context.Context, db store.Store, now time.Time, changes, refusals retention) (removed int, err error) {
	docs := audits()
	type kind struct {
		account string
		refusal bool
	}
	counts := map[kind]int{}
	for before := ""; ; {
		seen := 0
		var old []string
		_, err := db.View(ctx, func(tx store.Tx) error {
			for o, err := range docs.List(tx, store.Query{Before: before, Limit: trimPage}) { // the newest first
				if err != nil {
					return err
				}
				before = o.ID
				seen++
				k, keep := kind{o.Account, o.Doc.Type == refusalType+".v0"}, changes
				if k.refusal {
					keep = refusals
				}
				if counts[k]++; counts[k] > keep.most || now.Sub(o.CreatedAt) > keep.age {
					old = append(old, o.ID)
				}
			}
			return nil
		})
		if err != nil || seen == 0 {
			return removed, err
		}
		if len(old) == 0 {
			continue
		}
		_, err = db.Update(ctx, func(tx store.Tx) error {
			for _, id := range old {
				if err := docs.Delete(tx, id); err != nil && !errors.Is(err, store.ErrNotFound) { // another server has done it
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
}
