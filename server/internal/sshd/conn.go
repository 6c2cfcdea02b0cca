package sshd

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/wire"
)

const (
	// linger is how long a client may take to leave after it was told to.
	linger = time.Second
	// maxClient bounds what a client says of itself, in bytes.
	maxClient = 255
)

// conn is the connection of a client that is logged in.
type conn struct {
	srv   *Server
	nc    *watched
	ssh   *ssh.ServerConn
	chans <-chan ssh.NewChannel
	reqs  <-chan *ssh.Request
	agent wire.Agent
	ctx   context.Context //nolint:containedctx // it ends with the connection

	requests  chan *ssh.Request // that are to be answered, in their order
	commanded chan struct{}     // closed when the command is known
	cmd       *command          // set before commanded is closed
	asked     atomic.Bool       // for a forward
	streams   atomic.Int64      // public connections being carried
	ending    sync.Once
	tasks     sync.WaitGroup // goroutines that end with the connection

	mu       sync.Mutex
	over     bool                // the connection has ended; guarded by mu, as is all below
	sess     *session            // nil until the client has one
	forwards map[remote]*Forward // by what the client calls them
	told     []string            // lines for a session that has not come yet
}

// watched is a connection that notes when nothing more can be read.
type watched struct {
	net.Conn
	failed atomic.Bool
}

// Read reads from the connection below.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.failed.Store(true)
	}
	return n, err
}

// serve is the life of a connection.
func (s *Server) serve(ctx context.Context, nc net.Conn, addr netip.AddrPort) {
	defer s.leave(nc)
	defer nc.Close() //nolint:errcheck // it is over
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	c := s.login(ctx, nc, addr)
	if c != nil {
		c.ctx = ctx
	}
	if s.loggedIn(nc, addr.Addr(), c) {
		c.run(cancel) //nolint:contextcheck // it has its own, made of this one
	}
}

// login lets a client in, or returns nil.
func (s *Server) login(ctx context.Context, nc net.Conn, addr netip.AddrPort) *conn {
	ctx, cancel := context.WithTimeout(ctx, s.limits.LoginTime)
	defer cancel()
	_ = nc.SetDeadline(time.Now().Add(s.limits.LoginTime)) // if it fails so does what follows
	w := &watched{Conn: nc}
	l := &login{ctx: ctx, srv: s, from: addr}
	sc, chans, reqs, err := ssh.NewServerConn(w, l.config())
	if err != nil {
		s.log.Debug("ssh login", "addr", addr, "err", err)
		return nil
	}
	agent, ok := sc.Permissions.ExtraData[agentKey{}].(wire.Agent)
	u, err := parseUser(sc.User())
	if !ok || err != nil {
		_ = sc.Close()
		return nil
	}
	_ = nc.SetDeadline(time.Time{})
	client := strings.ToValidUTF8(string(sc.ClientVersion()[:min(maxClient, len(sc.ClientVersion()))]), "")
	agent.SessionID, agent.ClientID, agent.Addr, agent.Family = id.NewSorted("ts"), id.New("cl"), addr, wire.FamilySSH
	agent.Auth.Extra = wire.AuthExtra{Version: strings.TrimPrefix(client, "SSH-2.0-"), ClientType: "ssh", UserAgent: client}
	c := &conn{
		srv: s, nc: w, ssh: sc, chans: chans, reqs: reqs, agent: agent, commanded: make(chan struct{}),
		requests: make(chan *ssh.Request, s.limits.Forwards+16), forwards: map[remote]*Forward{},
	}
	if u.verb != "" {
		c.cmd, _ = parse(u.verb) // parseUser has
		close(c.commanded)
	}
	return c
}

// run serves the connection until it ends; end ends its context.
func (c *conn) run(end context.CancelFunc) {
	c.log().Info("ssh client online", "client", c.agent.Auth.Extra.UserAgent)
	c.tasks.Go(c.queue)
	c.tasks.Go(c.answer)
	c.tasks.Go(c.takeChannels)
	c.tasks.Go(c.keepAlive)
	setup := time.AfterFunc(c.srv.limits.SetupTime, c.checkSetup)
	err := c.ssh.Wait()
	setup.Stop()
	end()
	c.tasks.Wait()
	c.release()
	c.log().Info("ssh client offline", "cause", err)
}

// queue keeps the client's requests for answer, as many as it may have.
func (c *conn) queue() {
	for req := range c.reqs {
		select {
		case c.requests <- req:
		default:
			_ = c.nc.Close() // nobody sends so many who means it
		}
	}
}

// answer answers the client's requests, one after the other.
func (c *conn) answer() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case req := <-c.requests:
			switch req.Type {
			case "tcpip-forward":
				c.forward(req)
			case "cancel-tcpip-forward":
				c.cancelForward(req)
			default:
				reply(req, false, nil)
			}
		}
	}
}

// reply answers a request if it is to be answered. The connection has ended if that fails.
func reply(req *ssh.Request, ok bool, payload []byte) {
	if req.WantReply {
		_ = req.Reply(ok, payload)
	}
}

// keepAlive asks the client from time to time whether it is there.
func (c *conn) keepAlive() {
	tick := time.NewTicker(c.srv.limits.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		late := time.AfterFunc(c.srv.limits.Silence, func() { _ = c.nc.Close() })
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			return
		}
	}
}

// checkSetup ends a connection that has not said what it is for.
func (c *conn) checkSetup() {
	select {
	case <-c.commanded:
		if !c.asked.Load() {
			c.fail(fault.New(fault.SSHForwardTimeout, c.srv.limits.SetupTime))
		}
	default:
		c.fail(fault.New(fault.SSHSessionTimeout, c.srv.limits.SetupTime))
	}
}

// fail tells the client what went wrong and ends the connection.
func (c *conn) fail(f *fault.Error) {
	c.log().Info("ssh client refused", "code", f.Code, "err", f)
	c.end(shown(f), 1)
}

// end has the client's program end with a status, after a last text. It does not wait.
func (c *conn) end(text string, status uint32) {
	c.ending.Do(func() {
		c.mu.Lock()
		sess := c.sess
		c.mu.Unlock()
		if sess == nil || !sess.tell(message{text: text, bad: status != 0, exit: true, status: status}) {
			_ = c.ssh.Close()
			return
		}
		time.AfterFunc(linger, func() { _ = c.ssh.Close() })
	})
}

// print shows a line to the client's user. Where there is no session it waits for one.
func (c *conn) print(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		c.told = append(c.told, line) // no more than there are forwards
		return
	}
	c.sess.tell(message{text: line})
}

// log returns a logger that names the session.
func (c *conn) log() *slog.Logger {
	return c.srv.log.With("addr", c.agent.Addr, "session", c.agent.SessionID)
}
