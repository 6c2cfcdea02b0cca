package sshd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// Forward is one endpoint of an SSH client.
type Forward struct {
	conn  *conn
	at    time.Time
	bound *wire.Bound
	as    remote // what the client calls it
}

// ID returns the endpoint's id.
func (f *Forward) ID() string { return f.bound.TunnelID }

// Bound returns what was reserved for the endpoint. The caller must not change it.
func (f *Forward) Bound() *wire.Bound { return f.bound }

// Agent returns the session of the client.
func (f *Forward) Agent() wire.Agent { return f.conn.agent }

// Region returns where the client is connected.
func (f *Forward) Region() string { return f.conn.srv.cfg.Region }

// BoundAt returns when the endpoint came online.
func (f *Forward) BoundAt() time.Time { return f.at }

// asked is the payload of requests about forwards.
type asked struct {
	Host string
	Port uint32
}

// maxHost bounds the host in such a request, in bytes.
const maxHost = 255

func readAsked(req *ssh.Request) (asked, bool) {
	var a asked
	err := ssh.Unmarshal(req.Payload, &a)
	return a, err == nil && len(a.Host) <= maxHost && a.Port <= 1<<16-1
}

// forward brings a forward online once the command is known. One that is refused ends the connection, as a refused
// endpoint ends an agent.
func (c *conn) forward(req *ssh.Request) {
	a, ok := readAsked(req)
	if !ok {
		reply(req, false, nil)
		return
	}
	c.asked.Store(true)
	select {
	case <-c.commanded:
	case <-c.ctx.Done():
		return
	}
	f, err := c.bring(a)
	if c.ctx.Err() != nil {
		return
	}
	if err != nil {
		reply(req, false, nil)
		c.fail(fault.From(err))
		return
	}
	var payload []byte
	if a.Port == 0 {
		payload = ssh.Marshal(&struct{ Port uint32 }{f.as.port})
	}
	reply(req, true, payload)
	c.print("Forwarding  " + f.bound.URL + "\n")
}

// bring brings a forward online. Errors are faults.
func (c *conn) bring(a asked) (*Forward, error) {
	c.mu.Lock()
	n, twice := len(c.forwards), c.forwards[remote{a.Host, a.Port}] != nil
	c.mu.Unlock()
	if n >= c.srv.limits.Forwards {
		return nil, fault.New(fault.SSHForwardsTooMany, c.srv.limits.Forwards)
	}
	r := remoteOf(a.Host, a.Port)
	if twice { // the client could not tell them apart
		return nil, fault.New(fault.SSHAddressTwice, r, "another -R")
	}
	if err := c.readPolicy(); err != nil {
		return nil, err
	}
	b, err := c.cmd.bind(r, c.srv.cfg.TCPHost)
	if err != nil {
		return nil, err
	}
	bound, err := c.srv.cfg.Binder.Reserve(c.ctx, c.agent, b)
	if err != nil {
		return nil, err
	}
	f := &Forward{conn: c, at: time.Now(), bound: bound, as: remote{a.Host, a.Port}}
	if !c.add(f) {
		c.srv.cfg.Binder.Release(context.WithoutCancel(c.ctx), f.ID(), c.agent, true)
		return nil, fault.New(fault.ServerDraining)
	}
	if err := c.srv.cfg.Publisher.Publish(c.ctx, f); err != nil {
		c.retire(f)
		return nil, err
	}
	c.log().Info("endpoint online", "url", bound.URL, "endpoint", f.ID())
	return f, nil
}

// readPolicy fetches the traffic policy that the command names, once.
func (c *conn) readPolicy() (err error) {
	if c.cmd.policyURL == "" || c.cmd.policy != "" {
		return nil
	}
	err = errors.New("this server fetches no policies")
	if c.srv.cfg.FetchPolicy != nil {
		c.cmd.policy, err = c.srv.cfg.FetchPolicy(c.ctx, c.cmd.policyURL)
	}
	if err == nil && c.cmd.policy == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fault.Wrap(err, fault.SSHPolicyUnread, c.cmd.policyURL, err)
	}
	return nil
}

// add makes f one of the client's forwards. Where the client leaves the port to the server it gets one by which it
// can tell f from its others. It reports false if the connection has ended.
func (c *conn) add(f *Forward) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	if f.as.port == 0 {
		for f.as.port = uint32(f.bound.Port); c.forwards[f.as] != nil; {
			f.as.port = f.as.port%(1<<16-1) + 1
		}
	}
	c.forwards[f.as] = f
	return true
}

// cancelForward takes a forward offline.
func (c *conn) cancelForward(req *ssh.Request) {
	a, ok := readAsked(req)
	c.mu.Lock()
	f := c.forwards[remote{a.Host, a.Port}]
	c.mu.Unlock()
	if !ok || f == nil {
		reply(req, false, nil)
		return
	}
	c.retire(f)
	reply(req, true, nil)
}

// retire takes a forward out of reach and gives its name back.
func (c *conn) retire(f *Forward) {
	c.mu.Lock()
	known := c.forwards[f.as] == f
	delete(c.forwards, f.as)
	c.mu.Unlock()
	if !known {
		return
	}
	// Nobody holds the name for the client: it cannot prove that it was it.
	c.srv.cfg.Publisher.Withdraw(f, true)
	c.srv.cfg.Binder.Release(context.WithoutCancel(c.ctx), f.ID(), c.agent, true)
	c.log().Info("endpoint offline", "url", f.bound.URL, "endpoint", f.ID())
}

// release gives back all that the client had.
func (c *conn) release() {
	c.mu.Lock()
	c.over = true
	list := make([]*Forward, 0, len(c.forwards))
	for _, f := range c.forwards {
		list = append(list, f)
	}
	c.mu.Unlock()
	for _, f := range list {
		c.retire(f)
	}
}

// opening is what a client is told of a public connection.
type opening struct {
	Host       string
	Port       uint32
	Origin     string
	OriginPort uint32
}

// Dial opens a channel to the client for the public connection that h describes. It fails with fault.NoMember if the
// client carries as many as it may, with fault.UpstreamUnreachable if it cannot reach the service behind it, with
// fault.AgentUnreachable if it is gone, and with fault.Draining while the server drains.
func (f *Forward) Dial(ctx context.Context, h wire.ProxyHeader) (net.Conn, error) {
	c := f.conn
	if c.srv.draining.Load() {
		return nil, fault.New(fault.Draining)
	}
	if c.streams.Add(1) > int64(c.srv.limits.Streams) {
		c.streams.Add(-1)
		return nil, fault.New(fault.NoMember, f.bound.URL)
	}
	if c.srv.streams.Add(1) > int64(c.srv.limits.AllStreams) {
		c.leave()
		return nil, fault.New(fault.NoMember, f.bound.URL)
	}
	from, _ := netip.ParseAddrPort(h.ClientAddr) // what there is of it
	open := opening{Host: f.as.host, Port: f.as.port, Origin: from.Addr().Unmap().String(), OriginPort: uint32(from.Port())}
	type result struct {
		ch  ssh.Channel
		err error
	}
	opened := make(chan result)
	go func() { // the library waits for the client's answer for ever
		ch, reqs, err := c.ssh.OpenChannel("forwarded-tcpip", ssh.Marshal(&open))
		if err == nil {
			go ssh.DiscardRequests(reqs)
		} else {
			c.leave()
		}
		select {
		case opened <- result{ch, err}:
		case <-ctx.Done():
			if err == nil {
				_ = newStream(ch, c.ssh.LocalAddr(), c.ssh.RemoteAddr(), c.nc.failed.Load, c.leave).Close()
			}
		}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-opened:
		if oe, ok := errors.AsType[*ssh.OpenChannelError](r.err); ok {
			return nil, fault.Wrap(r.err, fault.UpstreamUnreachable, "of ssh -R "+f.as.String(), openFailure(oe))
		}
		if r.err != nil {
			return nil, fault.Wrap(r.err, fault.AgentUnreachable, f.bound.URL)
		}
		return newStream(r.ch, c.ssh.LocalAddr(), c.ssh.RemoteAddr(), c.nc.failed.Load, c.leave), nil
	}
}

// leave counts one public connection less.
func (c *conn) leave() {
	c.streams.Add(-1)
	c.srv.streams.Add(-1)
}

// openFailure is why a client did not take a connection. Its own text is for it alone.
func openFailure(e *ssh.OpenChannelError) string {
	if e.Reason == ssh.ConnectionFailed {
		return "the ssh client cannot connect to it"
	}
	return "the ssh client refuses the connection"
}
