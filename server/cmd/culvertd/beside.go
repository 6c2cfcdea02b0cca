package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/node"
)

// maxDev bounds how many runs of culvertd dev have directories beside each
// other.
const maxDev = 20

// freeDir is the data directory of this run: that of culvertd dev, or one beside
// it if another run has that.
func (d *devRun) freeDir() (string, error) {
	first, err := d.p.stateDir(devName)
	if err != nil {
		return "", err
	}
	dir := first
	for n := 2; node.Taken(dir) && n <= maxDev; n++ {
		dir = fmt.Sprintf("%s-%d", first, n)
	}
	if dir != first {
		d.tell(fmt.Sprintf("Another culvertd dev is running; this one keeps its keys in %s.", dir))
	}
	return dir, nil
}

// tell notes what the user is told once everything is online.
func (d *devRun) tell(note string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved = append(d.moved, note)
}

// freePorts makes a listen function that takes a free port of the same host
// where a default port is taken, and notes it. Addresses that were asked for
// stay as they are.
func (d *devRun) freePorts(listen func(context.Context, string, string) (net.Listener, error)) func(context.Context, string, string) (net.Listener, error) {
	if listen == nil {
		listen = netx.Listen
	}
	c := d.o.node
	var defaults []string
	for _, a := range []struct{ set, addr string }{
		{c.HTTPAddr, node.DefaultHTTPAddr},
		{c.HTTPSAddr, node.DefaultHTTPSAddr},
		{c.AgentAddr, node.DefaultAgentAddr},
		{c.APIAddr, node.DefaultAPIAddr},
		{c.SSHAddr, node.DefaultSSHAddr},
	} {
		if a.set == "" {
			defaults = append(defaults, a.addr)
		}
	}
	return func(ctx context.Context, network, addr string) (net.Listener, error) {
		ln, err := listen(ctx, network, addr)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !slices.Contains(defaults, addr) {
			return ln, err
		}
		host, port, _ := net.SplitHostPort(addr) // one of ours
		ln, err = listen(ctx, network, net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		if _, other, err := net.SplitHostPort(ln.Addr().String()); err == nil {
			d.tell(fmt.Sprintf("Port %s is taken; using %s instead.", port, other))
		}
		return ln, nil
	}
}
