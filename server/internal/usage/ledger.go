package usage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/store"
)

const (
	// collectEvery is how often the meters are read: limits of data follow so late.
	collectEvery = 2 * time.Second
	// writeEvery is how often the store is written: so much is lost with a server that is killed.
	writeEvery = time.Minute
	// flushEvery is how often it is written for who asks.
	flushEvery = time.Second
	// lastWrite bounds the write at the end.
	lastWrite = 10 * time.Second
	// batchLines is how many lines of endpoints one update enters, or more if they are of one account and hour.
	batchLines = 1000
)

// Config is what a [Ledger] is made of.
type Config struct {
	// Store keeps the books.
	Store store.Store
	// Meters are what is counted.
	Meters *meter.Meters
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Log takes what goes wrong.
	Log *slog.Logger
}

// Ledger keeps the books. Make one with [New], and run it.
type Ledger struct {
	cfg Config

	// writing is held while the store is written.
	writing sync.Mutex
	wrote   time.Time // guarded by writing, as is flushed
	flushed time.Time // when somebody asked for it last

	mu      sync.Mutex
	looked  time.Time            // at the meters; guarded by mu, as is all below
	pending map[page]lines       // not in a batch yet
	batch   *batch               // being written, or to be tried again; nil for none
	limited map[string]*allotted // by account; those with limits of their traffic
}

// page is an hour of an account.
type page struct {
	account string
	hour    time.Time
}

// lines are what endpoints did, by their ids; "" stands for those that have no line.
type lines map[string]*line

// batch is what one update enters.
type batch struct {
	id    string
	pages map[page]lines
}

// New returns a ledger.
func New(cfg Config) *Ledger {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Ledger{cfg: cfg, looked: cfg.Now(), wrote: cfg.Now(), pending: map[page]lines{}, limited: map[string]*allotted{}}
}

// Run collects, writes and removes what is old until ctx ends, and writes once more then.
func (l *Ledger) Run(ctx context.Context) error {
	trimmed := time.Time{}
	for {
		now := l.cfg.Now()
		next := time.NewTimer(min(collectEvery, now.Truncate(time.Hour).Add(time.Hour).Sub(now)))
		select {
		case <-ctx.Done():
			next.Stop()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			if err := l.Write(last); err != nil {
				l.cfg.Log.Error("the last of the usage is not written", "err", err)
			}
			return nil
		case <-next.C:
		}
		l.collect()
		l.writing.Lock()
		due := l.cfg.Now().Sub(l.wrote) >= writeEvery
		l.writing.Unlock()
		if !due {
			continue
		}
		if err := l.Write(ctx); err != nil && ctx.Err() == nil {
			l.cfg.Log.Error("usage is not written; it is tried again in a minute", "err", err)
		}
		if now := l.cfg.Now(); now.Sub(trimmed) >= trimEvery {
			trimmed = now
			if err := l.trim(ctx); err != nil && ctx.Err() == nil {
				l.cfg.Log.Warn("old usage is not removed", "err", err)
			}
		}
	}
}

// collect takes over what the meters have counted. It belongs to the hour in which they were looked at before: they are
// at each full hour.
func (l *Ledger) collect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now().UTC()
	hour := l.looked.UTC().Truncate(time.Hour)
	l.looked = now
	l.cfg.Meters.Collect(func(e meter.Endpoint, since meter.Counts) {
		p := page{e.Account, hour}
		all := l.pending[p]
		if all == nil {
			all = lines{}
			l.pending[p] = all
		}
		all.line(e.ID, e.URL).add(since)
		if a := l.limited[e.Account]; a != nil {
			a.out += since.Out
		}
	})
	for account, a := range l.limited {
		if month := meter.Month(now); !a.month.Equal(month) {
			a.month, a.out = month, 0
		}
		l.cfg.Meters.Used(account, a.out, now)
	}
}

// line returns the line of an endpoint, or the one without a name when there are too many.
func (all lines) line(id, url string) *line {
	if all[id] == nil && len(all) >= maxParts*partLines {
		id, url = "", ""
	}
	if all[id] == nil {
		all[id] = &line{ID: id}
	}
	all[id].URL = url
	return all[id]
}

// Write enters all that was counted so far.
func (l *Ledger) Write(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.write(ctx)
}

// flush is Write for who asks for usage, unless it was just done.
func (l *Ledger) flush(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if now := l.cfg.Now(); now.Sub(l.flushed) >= flushEvery {
		l.flushed = now
		return l.write(ctx)
	}
	return nil
}

// write is Write with l.writing held.
func (l *Ledger) write(ctx context.Context) error {
	l.wrote = l.cfg.Now()
	l.collect()
	for b := l.take(); b != nil; b = l.take() {
		_, err := l.cfg.Store.Update(ctx, func(tx store.Tx) error { return (&books{tx: tx, log: l.cfg.Log}).enter(b, l.cfg.Now().UTC()) })
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.batch = nil
		l.mu.Unlock()
	}
	return nil
}

// take returns the batch that is to be entered next, nil if nothing is left. One that could not be entered, or of which
// nobody knows whether it was, comes again as it is.
func (l *Ledger) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.batch != nil || len(l.pending) == 0 {
		return l.batch
	}
	b := &batch{id: id.New("ub"), pages: map[page]lines{}}
	n := 0
	for p, all := range l.pending {
		if n += len(all); len(b.pages) > 0 && n > batchLines {
			break
		}
		b.pages[p] = all
		delete(l.pending, p)
	}
	l.batch = b
	return b
}

// unwritten adds up what an account did in a month that is not in the books: batch is the last one entered.
func (l *Ledger) unwritten(account string, month time.Time, entered string) (sum api.UsageCounts) {
	add := func(pages map[page]lines) {
		for p, all := range pages {
			if p.account != account || !meter.Month(p.hour).Equal(month) {
				continue
			}
			for _, e := range all {
				sum.Add(e.counts())
			}
		}
	}
	add(l.pending)
	if l.batch != nil && l.batch.id != entered {
		add(l.batch.pages)
	}
	return sum
}
