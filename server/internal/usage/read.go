package usage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// keepHours and keepMonths are for how long hours and months are kept.
	keepHours  = 40 * 24 * time.Hour
	keepMonths = 25
	// answerRows is how many lines an answer has before it ends with the period, and answerParts how many documents are
	// read for it.
	answerRows  = 1000
	answerParts = 2000
)

// Usage returns what an account did, and from when on there is more to ask for; the zero time says that there is not.
// Errors are *fault.Error, those of the store, or ends of contexts.
func (l *Ledger) Usage(ctx context.Context, account string, q api.UsageQuery) (all []api.Usage, next time.Time, err error) {
	now := l.cfg.Now().UTC()
	if q.To.IsZero() || q.To.After(now) {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = meter.Month(now)
	}
	if !q.From.Before(q.To) {
		return nil, time.Time{}, fault.New(fault.UsageRange, q.From.UTC().Format(time.RFC3339), q.To.UTC().Format(time.RFC3339))
	}
	if err := l.flush(ctx); err != nil {
		return nil, time.Time{}, err
	}
	r := &reader{account: account, query: q}
	r.oldest = now.Add(-keepHours).Truncate(time.Hour)
	if q.Group == api.ByMonth && !r.single() {
		r.oldest = meter.Month(now).AddDate(0, -keepMonths, 0)
	}
	_, err = l.cfg.Store.View(ctx, func(tx store.Tx) error {
		r.tx = tx
		next, err = r.read(ctx)
		return err
	})
	return r.rows, next, err
}

// reader reads what one question needs.
type reader struct {
	tx      store.Tx
	account string
	query   api.UsageQuery
	oldest  time.Time // of what is kept
	rows    []api.Usage
	parts   int // read so far
}

// single reports whether endpoints are asked for one by one.
func (r *reader) single() bool { return r.query.Endpoints || r.query.Endpoint != "" }

// period returns the period of a group in which a time lies.
func period(group string, t time.Time) (start, end time.Time) {
	t = t.UTC()
	switch group {
	case api.ByHour:
		start = t.Truncate(time.Hour)
		return start, start.Add(time.Hour)
	case api.ByMonth:
		start = meter.Month(t)
		return start, start.AddDate(0, 1, 0)
	}
	start = t.Truncate(24 * time.Hour)
	return start, start.AddDate(0, 0, 1)
}

// read reads period after period, and returns that with which the next answer begins.
func (r *reader) read(ctx context.Context) (next time.Time, err error) {
	from := r.query.From
	if from.Before(r.oldest) {
		from = r.oldest
	}
	start, end := period(r.query.Group, from)
	for ; start.Before(r.query.To); start, end = period(r.query.Group, end) {
		if len(r.rows) >= answerRows || r.parts >= answerParts && len(r.rows) > 0 {
			return start, nil
		}
		if err := ctx.Err(); err != nil {
			return time.Time{}, err
		}
		switch {
		case r.single():
			err = r.endpoints(start, end)
		case r.query.Group == api.ByMonth:
			err = r.month(start, end)
		default:
			err = r.sums(start, end)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// lost reports whether a document is not there, or cannot be read: an answer does without it.
func lost(err error) bool {
	_, bad := errors.AsType[*store.UnreadableError](err)
	return bad || errors.Is(err, store.ErrNotFound)
}

// month adds the row of a month.
func (r *reader) month(start, end time.Time) error {
	docs := monthDocs()
	o, err := docs.Get(r.tx, monthID(start, r.account))
	if lost(err) {
		return nil
	}
	if err == nil {
		r.rows = append(r.rows, api.Usage{Start: start, End: end, UsageCounts: o.Doc.UsageCounts})
	}
	return err
}

// hours yields the sums of the hours of a period that are kept.
func (r *reader) hours(start, end time.Time, f func(hour time.Time, d *sumDoc) error) error {
	docs := hourDocs()
	for h := start; h.Before(end); h = h.Add(time.Hour) {
		if h.Before(r.oldest) {
			continue
		}
		o, err := docs.Get(r.tx, hourID(h, r.account))
		if lost(err) {
			continue
		}
		if err == nil {
			err = f(h, &o.Doc)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sums adds the row of hours or days.
func (r *reader) sums(start, end time.Time) error {
	row := api.Usage{Start: start, End: end}
	any := false
	err := r.hours(start, end, func(_ time.Time, d *sumDoc) error {
		row.Add(d.UsageCounts)
		any = true
		return nil
	})
	if err == nil && any {
		r.rows = append(r.rows, row)
	}
	return err
}

// endpoints adds a row for each endpoint.
func (r *reader) endpoints(start, end time.Time) error {
	found := map[string]*api.Usage{}
	row := func(id string) *api.Usage {
		u := found[id]
		if u == nil {
			u = &api.Usage{Start: start, End: end}
			if id != "" {
				u.Endpoint = &api.Ref{ID: id}
			}
			found[id] = u
		}
		return u
	}
	docs := partDocs()
	err := r.hours(start, end, func(hour time.Time, d *sumDoc) error {
		if d.Others != nil && r.query.Endpoint == "" {
			row("").Add(*d.Others)
		}
		for n := range d.Parts {
			r.parts++
			o, err := docs.Get(r.tx, partID(hour, r.account, n))
			if lost(err) {
				continue
			}
			if err != nil {
				return err
			}
			for i := range o.Doc.Lines {
				e := &o.Doc.Lines[i]
				if r.query.Endpoint != "" && r.query.Endpoint != e.ID {
					continue
				}
				u := row(e.ID)
				u.URL = e.URL
				u.Add(e.counts())
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	rows := make([]api.Usage, 0, len(found))
	for _, u := range found {
		rows = append(rows, *u)
	}
	slices.SortFunc(rows, func(a, b api.Usage) int { return strings.Compare(idOf(a), idOf(b)) })
	r.rows = append(r.rows, rows...)
	return nil
}

func idOf(u api.Usage) string {
	if u.Endpoint == nil {
		return ""
	}
	return u.Endpoint.ID
}
