package usage

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// partLines is how many endpoints one document has, and maxParts how many such documents there are for an hour.
	partLines = 500
	maxParts  = 20
	// hourLayout and monthLayout begin the ids of documents, so that these sort by time.
	hourLayout  = "2006010215"
	monthLayout = "200601"
)

// sumDoc is what an account did in an hour or month.
type sumDoc struct {
	api.UsageCounts
	// Parts is how many documents there are with the hour's endpoints one by one.
	Parts int `json:"parts,omitempty"`
	// Others are what endpoints without a line did. They are in the sums.
	Others *api.UsageCounts `json:"others,omitempty"`
	// Batch is the id of the last batch that was entered.
	Batch string `json:"batch"`
}

// partDoc are endpoints of an hour.
type partDoc struct {
	Lines []line `json:"lines"`
}

// line is what one endpoint did in an hour.
type line struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	Requests    int64  `json:"requests,omitempty"`
	Connections int64  `json:"connections,omitempty"`
	Out         int64  `json:"out,omitempty"`
}

func (e *line) add(c meter.Counts) {
	e.Requests += c.Requests
	e.Connections += c.Connections
	e.Out += c.Out
}

// counts are those of the line. An endpoint is active in the hour if it has sent anything; nobody knows how many the
// line without a name is for.
func (e *line) counts() api.UsageCounts {
	c := api.UsageCounts{HTTPRequests: e.Requests, Connections: e.Connections, DataOut: e.Out}
	if e.Out > 0 && e.ID != "" {
		c.ActiveEndpointHours = 1
	}
	return c
}

func hourDocs() store.Collection[sumDoc] { return store.Collection[sumDoc]{Kind: "usage_hour"} }

func partDocs() store.Collection[partDoc] { return store.Collection[partDoc]{Kind: "usage_part"} }

func monthDocs() store.Collection[sumDoc] { return store.Collection[sumDoc]{Kind: "usage_month"} }

func hourID(t time.Time, account string) string { return "uh_" + t.Format(hourLayout) + "_" + account }

func partID(t time.Time, account string, n int) string {
	return fmt.Sprintf("up_%s_%s_%02d", t.Format(hourLayout), account, n)
}

func monthID(t time.Time, account string) string {
	return "um_" + t.Format(monthLayout) + "_" + account
}

// books are the documents in one update.
type books struct {
	tx  store.Tx
	log *slog.Logger
}

// find returns a document, or a new one. One that cannot be read is begun anew: what was in it is lost, and what comes
// must not be.
func find[T any](b *books, c store.Collection[T], id, account string, now time.Time) (*store.Object[T], error) {
	o, err := c.Get(b.tx, id)
	if err == nil {
		o.UpdatedAt = now
		return o, nil
	}
	if _, bad := errors.AsType[*store.UnreadableError](err); bad {
		b.log.Error("usage in the database cannot be read and is begun anew", "kind", c.Kind, "id", id, "err", err)
		if err := c.Delete(b.tx, id); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return &store.Object[T]{ID: id, Account: account, CreatedAt: now, UpdatedAt: now}, nil
}

// enter enters a batch, unless that was done.
func (b *books) enter(batch *batch, now time.Time) error {
	for p, all := range batch.pages {
		hours, months := hourDocs(), monthDocs()
		hour, err := find(b, hours, hourID(p.hour, p.account), p.account, now)
		if err != nil {
			return err
		}
		if hour.Doc.Batch == batch.id {
			return nil // and so was all of it
		}
		more, err := b.endpoints(p, all, &hour.Doc, now)
		if err != nil {
			return err
		}
		hour.Doc.Add(more)
		hour.Doc.Batch = batch.id
		month, err := find(b, months, monthID(p.hour, p.account), p.account, now)
		if err != nil {
			return err
		}
		month.Doc.Add(more)
		month.Doc.Batch = batch.id
		if err := errors.Join(hours.Put(b.tx, hour), months.Put(b.tx, month)); err != nil {
			return err
		}
	}
	return nil
}

// endpoints enters what endpoints did in an hour, and returns what that adds to the sums.
func (b *books) endpoints(p page, all lines, hour *sumDoc, now time.Time) (more api.UsageCounts, err error) {
	docs := partDocs()
	parts := make([]*part, hour.Parts)
	known := map[string]place{}
	for n := range parts {
		o, err := find(b, docs, partID(p.hour, p.account, n), p.account, now)
		if err != nil {
			return more, err
		}
		parts[n] = &part{Object: o}
		for i := range o.Doc.Lines {
			known[o.Doc.Lines[i].ID] = place{parts[n], &o.Doc.Lines[i]}
		}
	}
	var fresh, rest []line
	room := maxParts*partLines - len(known)
	for id, e := range all {
		at, is := known[id]
		switch {
		case is:
			old := at.line
			at.part.changed = true
			before := old.counts()
			old.URL, old.Requests, old.Connections, old.Out = e.URL, old.Requests+e.Requests, old.Connections+e.Connections, old.Out+e.Out
			after := old.counts()
			more.Add(api.UsageCounts{
				HTTPRequests: e.Requests, Connections: e.Connections, DataOut: e.Out,
				ActiveEndpointHours: after.ActiveEndpointHours - before.ActiveEndpointHours,
			})
		case id != "" && len(fresh) < room:
			fresh = append(fresh, *e)
			more.Add(e.counts())
		default:
			rest = append(rest, *e)
		}
	}
	if len(rest) > 0 {
		more.Add(hour.others(rest))
	}
	parts = append(parts, newParts(p, fresh, parts, now)...)
	hour.Parts = len(parts)
	for _, o := range parts {
		if o.changed {
			err = errors.Join(err, docs.Put(b.tx, o.Object))
		}
	}
	return more, err
}

// part is a document with endpoints, and whether it is to be written.
type part struct {
	*store.Object[partDoc]

	changed bool
}

// place is a line in its document.
type place struct {
	part *part
	line *line
}

// newParts puts new lines where there is room, and into new documents, which it returns.
func newParts(p page, fresh []line, parts []*part, now time.Time) (made []*part) {
	slices.SortFunc(fresh, func(a, b line) int { return strings.Compare(a.ID, b.ID) })
	fill := func(o *part) {
		n := min(partLines-len(o.Doc.Lines), len(fresh))
		o.Doc.Lines = append(o.Doc.Lines, fresh[:n]...)
		o.changed = o.changed || n > 0
		fresh = fresh[n:]
	}
	for _, o := range parts {
		fill(o)
	}
	for len(fresh) > 0 {
		o := &part{Object: &store.Object[partDoc]{
			ID: partID(p.hour, p.account, len(parts)+len(made)), Account: p.account, CreatedAt: now, UpdatedAt: now,
		}}
		fill(o)
		made = append(made, o)
	}
	return made
}

// others enters what endpoints without a line did, and returns what it adds to the sums. As nobody knows which of them
// were active before, as many count as were at most in one batch.
func (d *sumDoc) others(rest []line) (more api.UsageCounts) {
	if d.Others == nil {
		d.Others = &api.UsageCounts{}
	}
	var active int64
	for i := range rest {
		e := &rest[i]
		more.Add(api.UsageCounts{HTTPRequests: e.Requests, Connections: e.Connections, DataOut: e.Out})
		active += e.counts().ActiveEndpointHours
	}
	more.ActiveEndpointHours = max(0, active-d.Others.ActiveEndpointHours)
	d.Others.Add(more)
	return more
}
