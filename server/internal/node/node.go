package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/certs"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/intel"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/renewal"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/snapshot"
	"github.com/culvert-project/culvert/server/internal/sshd"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/tunnel"
	"github.com/culvert-project/culvert/server/internal/usage"
)

// Node is one server process. Make one with [New] and run it once.
type Node struct {
	cfg    Config
	log    *slog.Logger
	health health
	front  *front // of the API listener
	// handover takes the API's connections from the HTTPS port; nil if there are none.
	handover *handover
	ready    chan struct{} // closed when every listener accepts
	kill     chan struct{} // closed when the grace period is cut short

	killOnce sync.Once
	info     Info // set before ready is closed, as are the next
	tunnels  *tunnel.Server
	ssh      *sshd.Server
	binder   *claims.Binder
	certs    *certs.Store
	edge     *edge.Server

	directory *control.Directory

	reloading sync.Mutex
	grace     atomic.Int64 // a time.Duration; how long open exchanges may take at the end
}

// New checks that the values of the configuration fit together; each of them is
// valid, as the fields say. It opens nothing and starts nothing. Its error joins
// one fault for each problem.
func New(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, log: cfg.Logger, ready: make(chan struct{}), kill: make(chan struct{})}
	n.front = newFront(&n.health, cfg.Logger)
	n.grace.Store(int64(cfg.ShutdownGrace))
	return n, nil
}

// Ready is closed once every listener accepts.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Info returns what the server has opened. It waits for Ready.
func (n *Node) Info() Info {
	<-n.ready
	return n.info
}

// Tunnels returns the server's agent sessions, to send them commands. It waits
// for Ready.
func (n *Node) Tunnels() *tunnel.Server {
	<-n.ready
	return n.tunnels
}

// Directory returns the server's accounts and users. It waits for Ready.
func (n *Node) Directory() *control.Directory {
	<-n.ready
	return n.directory
}

// Open counts the connections and requests that agents have at hand. Before the
// server is ready there are none.
func (n *Node) Open() int {
	select {
	case <-n.ready:
		return n.tunnels.NumStreams() + n.ssh.NumStreams()
	default:
		return 0
	}
}

// Grace returns how long open exchanges may take when the server stops.
func (n *Node) Grace() time.Duration { return time.Duration(n.grace.Load()) }

// Kill ends the grace period of a server that is shutting down: what is open is
// cut off. Before that it does nothing yet, but the period will be over at once.
func (n *Node) Kill() { n.killOnce.Do(func() { close(n.kill) }) }

// Run opens everything, serves until ctx ends, shuts down in order and returns
// when nothing is left of it. It returns nil after an orderly shutdown, the
// fault if something cannot be opened, or the error of the part that failed. It
// is to be called once.
func (n *Node) Run(ctx context.Context) (err error) {
	lock, err := lockDataDir(n.cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLock(lock)) }()
	lns, err := openListeners(ctx, n.cfg)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer lns.close()
	if n.cfg.APIOnHTTPS {
		n.handover = newHandover(lns.https.Addr())
	}
	files, err := n.openFiles(lns)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	// From here on health checks are answered: what follows may have to wait.
	api, err := n.startAPI(ctx, lns, files)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	db, err := n.openDatabase(ctx)
	if err != nil {
		return unlessEnded(ctx, errors.Join(err, api.stop()))
	}
	p, err := n.assemble(ctx, lns, files, db)
	if err != nil {
		return errors.Join(unlessEnded(ctx, err), api.stop(), db.Close())
	}
	p.api, p.db = api, db
	return errors.Join(p.run(ctx), api.stop(), db.Close())
}

// unlessEnded returns err, or nil if ctx has ended: what fails then fails because
// the server was told to stop.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func closeLock(lock io.Closer) error {
	if err := lock.Close(); err != nil {
		return fmt.Errorf("unlock data directory: %w", err)
	}
	return nil
}

// parts are the running pieces of a node.
type parts struct {
	n       *Node
	lns     *listeners
	binder  *claims.Binder
	tunnels *tunnel.Server
	ssh     *sshd.Server
	edge    *edge.Server
	facts   *intel.Intel
	// roster knows who may connect and call the API, and gate lets them in.
	roster *identity.Roster
	gate   *control.Gate
	// lookups are what policies and restrictions look up, and names knows whose
	// public names are.
	lookups *lookups.Lookups
	names   *control.Names
	// addresses knows whose TCP ports are.
	addresses *control.Addresses
	// ingresses are the names that agents of one account connect to.
	ingresses *control.Ingresses
	// certificates are what names are served with, and authorities whose clients
	// policies let in; issuance writes the certificates that the server has got.
	certificates *control.Certificates
	authorities  *control.Authorities
	issuance     *control.Issuance
	// proofs are given to authorities, and renewals, if not nil, ask them.
	proofs   acme.Challenges
	renewals *renewal.Driver
	// cloud are the endpoints that stand on the server.
	cloud *snapshot.Cloud
	// usage keeps the books of what accounts use.
	usage *usage.Ledger
	// follower keeps what traffic needs of the resources in step with the
	// database, and rest serves them.
	follower *store.Follower
	rest     *rest.Server
	api      *background // the listener of rest
	db       *sqlstore.Store
}

// run serves until ctx ends or a part fails, and then shuts down.
func (p *parts) run(ctx context.Context) error {
	// Signals end ctx, but what they end first is acceptance: sessions and
	// exchanges live on until the shutdown is through with them.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	failed := make(chan error, 16) // room for each part below
	var wg sync.WaitGroup
	start := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(life); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	agentsDone := make(chan struct{})
	start("edge", p.edge.Run)
	start("agents", func(ctx context.Context) error { defer close(agentsDone); return p.acceptAgents(ctx) })
	start("ssh", p.acceptSSH)
	start("api", p.api.failure)
	start("resources", p.follower.Run)
	start("database", func(ctx context.Context) error { return p.db.KeepHold(ctx, p.n.log) })
	start("claims", p.binder.Run)
	start("standing endpoints", p.cloud.Run)
	start("tokens", func(ctx context.Context) error { return watchTokens(ctx, p.roster, p.revoke) })
	start("refusals", p.gate.Run)
	start("certificates", p.certificates.Run)
	start("usage", p.usage.Run)
	start("memory", keepSmall)
	if p.renewals != nil {
		// An order that is under way when acceptance ends could not be proven.
		start("certificates of authorities", func(context.Context) error { return p.renewals.Run(ctx) })
	}
	start("addresses", func(ctx context.Context) error { p.facts.Run(ctx); return nil })

	var err error
	select {
	case <-p.edge.Ready():
		p.binder.OpenPorts()
		p.n.front.open(p.rest)
		p.n.health.ready.Store(true)
		close(p.n.ready)
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	case <-ctx.Done():
	case err = <-failed:
	}
	p.shutdown(ctx)
	end()
	wg.Wait()
	return err
}

// shutdown stops in order: not ready, no new connections, exchanges finish
// within the grace period, and agents last, because they come back as soon as
// they hear the goodbye (reliability-security.md 7, D3).
func (p *parts) shutdown(ctx context.Context) {
	p.n.health.ready.Store(false)
	_ = p.lns.agent.Close() // stops acceptAgents
	_ = p.lns.ssh.Close()   // and acceptSSH
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.n.Grace())
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	done := make(chan struct{})
	defer close(done)
	watching.Go(func() {
		select {
		case <-done:
			return
		case <-p.n.kill:
		case <-grace.Done():
		}
		if n := p.streams(); n > 0 {
			p.n.log.Warn("connections are cut off", "err", fault.New(fault.ShutdownForced, n))
		}
		cancel()
	})
	start := time.Now()
	p.edge.Drain(grace)
	p.ssh.Drain(grace)
	p.tunnels.Drain(grace)
	p.ssh.Close()
	p.tunnels.Close()
	p.n.log.Info("server stopped", "duration", time.Since(start).Round(time.Millisecond))
}

// acceptAgents serves the agent listener until it is closed.
func (p *parts) acceptAgents(ctx context.Context) error {
	ln, err := p.lns.take(ctx, "tcp", p.lns.agent.Addr().String())
	if err != nil {
		return err
	}
	defer ln.Close() //nolint:errcheck // closed already, or about to be lost with the process
	p.tunnels.Serve(ctx, ln)
	return nil
}
