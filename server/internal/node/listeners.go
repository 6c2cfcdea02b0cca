package node

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"

	"github.com/culvert-project/culvert/internal/fault"
)

const extraSetting = "extra_listeners"

// listeners are the sockets of a server. They are opened before anything else,
// so that connections of agents and clients already queue while keys are read.
type listeners struct {
	listen func(ctx context.Context, network, addr string) (net.Listener, error)

	http, https, agent, ssh, api net.Listener

	mu sync.Mutex
	// opened are those that nobody has taken: the five above by the address they
	// got, extra ones by the address that was asked for.
	opened map[string]net.Listener
}

// openListeners opens all listeners of c, which has its defaults. If one of them
// cannot be opened, none is left open and the fault is fault.ListenFailed.
func openListeners(ctx context.Context, c Config) (*listeners, error) {
	l := &listeners{listen: c.Listen, opened: map[string]net.Listener{}}
	type one struct {
		into           *net.Listener
		addr, use, set string
	}
	all := []one{
		{&l.http, c.HTTPAddr, "http", "--http-addr"},
		{&l.https, c.HTTPSAddr, "https", "--https-addr"},
		{&l.agent, c.AgentAddr, "agents", "--agent-addr"},
		{&l.ssh, c.SSHAddr, "SSH clients", "--ssh-addr"},
		{&l.api, c.APIAddr, "the API", "--api-addr"},
	}
	host, _, _ := net.SplitHostPort(c.HTTPSAddr) // valid, as the field says
	for _, x := range c.ExtraListeners {
		addr := net.JoinHostPort(host, strconv.Itoa(int(x.Port)))
		all = append(all, one{new(net.Listener), addr, string(x.Scheme), extraSetting})
	}
	for _, o := range all {
		ln, err := c.Listen(ctx, "tcp", o.addr)
		if err != nil {
			l.close()
			return nil, fault.Wrap(err, fault.ListenFailed, o.addr, o.use, listenReason(err), o.set)
		}
		*o.into = ln
		if o.set == extraSetting {
			l.opened[o.addr] = ln
		} else {
			l.opened[ln.Addr().String()] = ln
		}
	}
	return l, nil
}

// take hands out an open listener, or opens a further one: the listeners of TCP
// endpoints come and go.
func (l *listeners) take(ctx context.Context, network, addr string) (net.Listener, error) {
	l.mu.Lock()
	ln := l.opened[addr]
	delete(l.opened, addr)
	l.mu.Unlock()
	if ln != nil {
		return ln, nil
	}
	return l.listen(ctx, network, addr)
}

// close closes the listeners that nobody has taken.
func (l *listeners) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.opened {
		_ = ln.Close() // nothing is lost with it
	}
	clear(l.opened)
}

// listenReason is why a socket could not be opened, without the address, which
// the message names already.
func listenReason(err error) error {
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return oe.Err
	}
	return err
}

// portOf returns the port of a listener, 0 if it has none.
func portOf(ln net.Listener) uint16 {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		return a.AddrPort().Port()
	}
	return 0
}
