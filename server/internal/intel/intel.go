package intel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Config names the files.
type Config struct {
	// Databases are files in MaxMind's format. What they hold is told by their
	// metadata: locations, networks or both.
	Databases []string
	// Categories is a folder of lists. The name of a file, without .txt, is
	// the category of the addresses in it: one address or range a line, # for
	// comments. Empty: there are no categories.
	Categories string
	// Every is how often the files are looked at for a change; default 30 s.
	Every time.Duration
	// Logger gets what was loaded, and faults of a later load. Default: nothing
	// is logged.
	Logger *slog.Logger
}

// Intel answers questions about addresses.
type Intel struct {
	cfg   Config
	facts atomic.Pointer[facts]
}

// facts are what was read of the files at one time.
type facts struct {
	databases  []database
	categories *table
	stamp      string
}

// New reads the files. It fails if one of them cannot be read.
func New(cfg Config) (*Intel, error) {
	if cfg.Every <= 0 {
		cfg.Every = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	i := &Intel{cfg: cfg}
	f, err := i.load()
	if err != nil {
		return nil, err
	}
	i.facts.Store(f)
	return i, nil
}

// Run reads the files again when they change, until ctx ends. A file that
// cannot be read then leaves the earlier facts in force.
func (i *Intel) Run(ctx context.Context) {
	t := time.NewTicker(i.cfg.Every)
	defer t.Stop()
	failed := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		stamp := i.stamp()
		if stamp == i.facts.Load().stamp || stamp == failed {
			continue
		}
		f, err := i.load()
		if err != nil {
			failed = stamp
			i.cfg.Logger.Warn("facts about addresses not reloaded", "err", err)
			continue
		}
		i.facts.Store(f)
		i.cfg.Logger.Info("facts about addresses reloaded")
	}
}

func (i *Intel) load() (*facts, error) {
	f := &facts{stamp: i.stamp()}
	for _, path := range i.cfg.Databases {
		db, err := openDatabase(path)
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", path, err)
		}
		f.databases = append(f.databases, db)
	}
	var err error
	if f.categories, err = loadCategories(i.cfg.Categories); err != nil {
		return nil, fmt.Errorf("categories: %w", err)
	}
	return f, nil
}

// stamp changes when a file was replaced.
func (i *Intel) stamp() string {
	files := i.cfg.Databases
	if i.cfg.Categories != "" {
		lists, _ := filepath.Glob(filepath.Join(i.cfg.Categories, "*")) // a bad pattern matches nothing
		files = append(append([]string(nil), files...), lists...)
	}
	stamp := ""
	for _, path := range files {
		if info, err := os.Stat(path); err == nil {
			stamp += fmt.Sprintln(path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return stamp
}

// Fact returns a fact about an address by its name below conn.client_ip, such
// as geo.location.city, as.number or categories. false: it is not known.
func (i *Intel) Fact(a netip.Addr, name string) (any, bool) {
	f := i.facts.Load()
	switch name {
	case "categories":
		return f.categories.of(a), true
	case "is_on_blocklist":
		return onBlocklist(f.categories.of(a)), true
	case "is_tor_node":
		return f.categories.has(a, "proxy.anonymous.tor"), true
	}
	for _, db := range f.databases {
		if v, ok := db.fact(a, name); ok {
			return v, true
		}
	}
	return nil, false
}

// Knows reports whether some file could answer for a name as in Fact, for
// warnings about policies that ask in vain.
func (i *Intel) Knows(name string) bool {
	f := i.facts.Load()
	switch name {
	case "categories", "is_on_blocklist", "is_tor_node":
		return f.categories != nil
	}
	for _, db := range f.databases {
		if db.knows(name) {
			return true
		}
	}
	return false
}
