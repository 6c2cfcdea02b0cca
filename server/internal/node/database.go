package node

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

const (
	// databaseFile is SQLite's file in the data directory.
	databaseFile = "culvert.db"
	// databaseRetry is how long a starting server waits before it asks a
	// database again that it cannot reach.
	databaseRetry = time.Second
	// askTimeout bounds how long a health check waits for the database, and
	// askEvery how often they ask it.
	askTimeout = 2 * time.Second
	askEvery   = time.Second
)

// OpenDatabase opens the database of a server, running or not: the one that
// DatabaseURL names, or that in DataDir. It fails with fault.DatabaseUnusable or
// fault.DatabaseNewer; errors.Is finds store.ErrUnavailable when a database
// cannot be reached that may be there later.
func OpenDatabase(ctx context.Context, c Config) (*sqlstore.Store, error) {
	if c.DatabaseURL != "" {
		return sqlstore.OpenPostgres(ctx, c.DatabaseURL)
	}
	return sqlstore.OpenSQLite(ctx, filepath.Join(c.DataDir, databaseFile))
}

// KeyFile is where the keys of a server are.
func (c Config) KeyFile() string {
	if c.MasterKeyFile != "" {
		return c.MasterKeyFile
	}
	return filepath.Join(c.DataDir, vault.File)
}

// OpenKeys reads the keys of a server, or makes them.
func OpenKeys(c Config) (*vault.Vault, error) { return vault.OpenFile(c.KeyFile()) }

// checkKeys warns of keys that whoever gets hold of the data has too
// (reliability-security.md 10, K5). A server on loopback is one to try things.
func (n *Node) checkKeys() {
	c := n.cfg
	beside := c.MasterKeyFile == "" || filepath.Dir(c.MasterKeyFile) == filepath.Clean(c.DataDir)
	if !beside || c.MasterKeyFile == "" && onLoopback(c.HTTPAddr) && onLoopback(c.HTTPSAddr) {
		return
	}
	n.log.Warn("the master key lies beside the data: a copy of the directory opens every secret in it; --master-key-file puts it elsewhere",
		"data_dir", c.DataDir)
}

// onLoopback reports whether an address to listen on is reached from this
// machine alone.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// openDatabase opens the server's own database.
func (n *Node) openDatabase(ctx context.Context) (*sqlstore.Store, error) {
	var db *sqlstore.Store
	err := n.awaitDatabase(ctx, func() (err error) {
		db, err = OpenDatabase(ctx, n.cfg)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := n.awaitDatabase(ctx, func() error { return db.Hold(ctx) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if at := db.Missing(); at > 0 {
		n.log.Error("the last updates are missing from the database: its log was lost, or an older file was put in its place",
			"revision", uint64(at))
	}
	n.health.pulse.Store(&pulse{db: db})
	return db, nil
}

// awaitDatabase does what a start needs of the database, again and again while a
// database of somebody else's cannot be reached. The health check says why it
// takes so long (reliability-security.md 6, F23).
func (n *Node) awaitDatabase(ctx context.Context, do func() error) error {
	waiting := false
	for {
		err := do()
		if n.cfg.DatabaseURL == "" || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrDamaged) {
			if err == nil && waiting {
				n.log.Info("the database is there")
			}
			return err
		}
		if !waiting {
			waiting = true
			n.health.because("the database cannot be reached")
			n.log.Error("the database cannot be reached; the server waits for it", "err", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(databaseRetry):
		}
	}
}

// pulse tells whether a database answers. It asks at most once in askEvery.
type pulse struct {
	db store.Store

	mu  sync.Mutex
	at  time.Time // guarded by mu, as is err
	err error
}

func (p *pulse) check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < askEvery {
		return p.err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, p.err = p.db.View(ctx, func(store.Tx) error { return nil })
	p.at = time.Now()
	return p.err
}
