package usage

import (
	"context"
	"errors"
	"time"

	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// trimEvery is how often what is old is looked for.
	trimEvery = time.Hour
	// trimPage is how many documents are removed at once, so that others get at the store in between.
	trimPage = 200
)

// trim removes what is older than it is kept. Ids sort by time, so that nothing else is looked at.
func (l *Ledger) trim(ctx context.Context) error {
	now := l.cfg.Now().UTC()
	hour := now.Add(-keepHours).Format(hourLayout)
	month := meter.Month(now).AddDate(0, -keepMonths, 0).Format(monthLayout)
	for kind, before := range map[string]string{
		partDocs().Kind: "up_" + hour, hourDocs().Kind: "uh_" + hour, monthDocs().Kind: "um_" + month,
	} {
		for {
			n, err := l.trimSome(ctx, kind, before)
			if err != nil {
				return err
			}
			if n < trimPage {
				break
			}
		}
	}
	return nil
}

// trimSome removes some documents with ids less than before, and returns how many there were.
func (l *Ledger) trimSome(ctx context.Context, kind, before string) (n int, err error) {
	var old []string
	_, err = l.cfg.Store.View(ctx, func(tx store.Tx) error {
		for r, err := range tx.List(store.Query{Kind: kind, Before: before, Limit: trimPage}) {
			if bad, ok := errors.AsType[*store.UnreadableError](err); ok {
				r.ID, err = bad.ID, nil
			}
			if err != nil {
				return err
			}
			old = append(old, r.ID)
		}
		return nil
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	_, err = l.cfg.Store.Update(ctx, func(tx store.Tx) error {
		for _, id := range old {
			if err := tx.Delete(kind, id); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	return len(old), err
}
