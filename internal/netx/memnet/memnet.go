package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// backlog is how many dialled connections a listener holds before Accept.
const backlog = 1024

// Network is a set of listeners that can dial each other. The zero value is
// unusable; make one with New.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	nextPort  int
}

// New returns an empty network.
func New() *Network {
	return &Network{listeners: map[string]*listener{}, nextPort: 40000}
}

// Listen announces addr ("host:port"; port 0 picks a free one). The network
// name is reported by addresses and otherwise ignored.
func (n *Network) Listen(network, addr string) (net.Listener, error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		n.nextPort++
		port = n.nextPort
	}
	l := &listener{
		net:   n,
		addr:  &net.TCPAddr{IP: hostIP(host), Port: port},
		conns: make(chan net.Conn, backlog),
		done:  make(chan struct{}),
	}
	if _, taken := n.listeners[l.addr.String()]; taken {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.addr, Err: syscall.EADDRINUSE}
	}
	n.listeners[l.addr.String()] = l
	return l, nil
}

// Dial connects to a listener. The dialling end gets a fresh port on
// 127.0.0.1.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.DialFrom(ctx, network, "127.0.0.1", addr)
}

// DialFrom connects to a listener from the given source address (an IP
// without port).
func (n *Network) DialFrom(ctx context.Context, network, from, addr string) (net.Conn, error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	to := &net.TCPAddr{IP: hostIP(host), Port: port}
	n.mu.Lock()
	l := n.listeners[to.String()]
	n.nextPort++
	local := &net.TCPAddr{IP: net.ParseIP(from), Port: n.nextPort}
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: syscall.ECONNREFUSED}
	}
	near, far := Pipe(local, to)
	select {
	case l.conns <- far:
	case <-l.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case <-l.done: // perhaps before far could be found and closed there
		_ = far.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: syscall.ECONNREFUSED}
	default:
		return near, nil
	}
}

func splitAddr(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, err
	}
	return host, int(port), nil
}

// hostIP maps every name to loopback: the network has one host.
func hostIP(host string) net.IP {
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		return ip
	}
	return net.IPv4(127, 0, 0, 1)
}

type listener struct {
	net   *Network
	addr  *net.TCPAddr
	conns chan net.Conn

	once sync.Once
	done chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
	case c := <-l.conns:
		return c, nil
	}
	return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
}

// Close stops listening; connections dialled but not accepted are closed.
func (l *listener) Close() error {
	err := error(&net.OpError{Op: "close", Net: "mem", Addr: l.addr, Err: net.ErrClosed})
	l.once.Do(func() {
		err = nil
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.String())
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.conns:
				err = errors.Join(err, c.Close())
				continue
			default:
			}
			break
		}
	})
	return err
}

func (l *listener) Addr() net.Addr { return l.addr }
