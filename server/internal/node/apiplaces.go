package node

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/culvert-project/culvert/internal/netx"
)

// apiPlaces bounds the number of open connections of the API, on all its listeners together. Who comes when all
// places are taken gets one that is not in use: that of a connection which has shown no valid key yet and sends no
// whole request, else that of one which waits for its next request. So half a request, however many send one, keeps
// nobody out; only calls that are being answered do.
type apiPlaces struct {
	most int

	mu     sync.Mutex
	freed  sync.Cond // on mu: a connection has ended, or is not in use any more
	open   map[*apiConn]struct{}
	number uint64 // of connections so far
}

// apiConn is a connection to the API.
type apiConn struct {
	net.Conn
	places *apiPlaces
	source netip.Prefix

	// Guarded by places.mu.
	number uint64 // later connections have larger ones
	active bool   // a request is being answered
	proven bool   // it has shown a valid key
}

func newAPIPlaces(most int) *apiPlaces {
	p := &apiPlaces{most: most, open: map[*apiConn]struct{}{}}
	p.freed.L = &p.mu
	return p
}

// apiListener is a listener whose connections need places.
type apiListener struct {
	net.Listener
	places *apiPlaces
	closed bool // guarded by places.mu
}

// Accept waits for a connection, and then for a place.
func (l *apiListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p := l.places
	peer, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	c := &apiConn{Conn: conn, places: p, source: netx.Source(peer.Addr().Unmap())}
	p.mu.Lock()
	defer p.mu.Unlock()
	for !l.closed && len(p.open) >= p.most {
		v := p.dispensable()
		if v == nil {
			p.freed.Wait()
			continue
		}
		delete(p.open, v)
		_ = v.Conn.Close() // the server finds it closed
	}
	if l.closed {
		_ = conn.Close() // nothing was sent on it
		return nil, net.ErrClosed
	}
	p.number++
	c.number = p.number
	p.open[c] = struct{}{}
	return c, nil
}

// dispensable returns the connection that has to make way, nil if all are in use. Among equals it is the oldest of
// the source that has the most. Called with mu held.
func (p *apiPlaces) dispensable() *apiConn {
	had := map[netip.Prefix]int{}
	for c := range p.open {
		had[c.source]++
	}
	var found *apiConn
	for c := range p.open {
		if c.use() < inUse && (found == nil || c.before(found, had)) {
			found = c
		}
	}
	return found
}

// The uses of a connection, the least of which makes way first.
const (
	useNone  = iota // no valid key, and no whole request
	useIdle         // a valid key, and no request now
	useAsked        // a request that is being answered, with no valid key so far
	inUse
)

func (c *apiConn) use() int {
	switch {
	case c.active && c.proven:
		return inUse
	case c.active:
		return useAsked
	case c.proven:
		return useIdle
	}
	return useNone
}

// before reports whether c makes way sooner than d. had are the numbers of connections by source.
func (c *apiConn) before(d *apiConn, had map[netip.Prefix]int) bool {
	switch {
	case c.use() != d.use():
		return c.use() < d.use()
	case had[c.source] != had[d.source]:
		return had[c.source] > had[d.source]
	}
	return c.number < d.number
}

// Close closes the listener.
func (l *apiListener) Close() error {
	l.places.mu.Lock()
	l.closed = true
	l.places.freed.Broadcast()
	l.places.mu.Unlock()
	return l.Listener.Close()
}

// Close closes the connection and gives its place back.
func (c *apiConn) Close() error {
	c.places.mu.Lock()
	delete(c.places.open, c)
	c.places.freed.Broadcast()
	c.places.mu.Unlock()
	return c.Conn.Close()
}

// apiConnOf returns the connection beneath one of the server, nil if it is none of the API.
func apiConnOf(conn net.Conn) *apiConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*apiConn)
	return c
}

// state notes whether a connection is in use, as a hook of the server.
func (p *apiPlaces) state(conn net.Conn, s http.ConnState) {
	c := apiConnOf(conn)
	if c == nil || s != http.StateActive && s != http.StateIdle {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.active = s == http.StateActive
	if !c.active {
		p.freed.Broadcast()
	}
}

// apiConnKey is the key of the connection in a request's context.
type apiConnKey struct{}

// withAPIConn puts the connection into the context of its requests.
func withAPIConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, apiConnKey{}, apiConnOf(conn))
}

// proven notes that the connection of a request has shown a valid key. Without one in the context it does nothing.
func proven(ctx context.Context) {
	c, _ := ctx.Value(apiConnKey{}).(*apiConn)
	if c == nil {
		return
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	c.proven = true
}
