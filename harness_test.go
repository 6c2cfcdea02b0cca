package culvert_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
	"github.com/culvert-project/culvert/rpc"
)

// serverAddr is where the stub server listens in the in-memory network.
const serverAddr = "localhost:9444"

var testCA = sync.OnceValue(func() *wiretest.CA {
	ca, err := wiretest.NewCA()
	if err != nil {
		panic(err)
	}
	return ca
})

// memDialer dials in an in-memory network.
type memDialer struct{ n *memnet.Network }

func (d memDialer) Dial(network, addr string) (net.Conn, error) {
	return d.n.Dial(context.Background(), network, addr)
}

func (d memDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.n.Dial(ctx, network, addr)
}

// wait is how long tests wait for what should be quick; in bubbles the clock
// is not real.
const wait = time.Minute

// world is a stub server and what an agent needs to reach it.
type world struct {
	t      *testing.T
	net    *memnet.Network
	server *wiretest.Server
	events *recorder
	ln     net.Listener
}

func newWorld(t *testing.T, script wiretest.Script) *world {
	t.Helper()
	w := &world{t: t, net: memnet.New(), server: wiretest.New(testCA(), script), events: newRecorder()}
	w.listen()
	t.Cleanup(func() { w.ln.Close(); w.server.Close() })
	return w
}

// listen makes the server reachable.
func (w *world) listen() {
	w.t.Helper()
	ln, err := w.net.Listen("tcp", serverAddr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ln = ln
	go w.server.Serve(ln)
}

// agent returns an agent of this world; it is disconnected when the test ends.
func (w *world) agent(opts ...culvert.AgentOption) culvert.Agent {
	w.t.Helper()
	all := append([]culvert.AgentOption{
		culvert.WithAuthtoken("token_0123456789abcdef"),
		culvert.WithAgentConnectURL(serverAddr),
		culvert.WithAgentConnectCAs(testCA().Pool()),
		culvert.WithDialer(memDialer{w.net}),
		culvert.WithEventHandler(w.events.handle),
	}, opts...)
	a, err := culvert.NewAgent(all...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := a.Disconnect(); err != nil {
			w.t.Errorf("Disconnect: %v", err)
		}
	})
	return a
}

func (w *world) listenOn(a culvert.Agent, opts ...culvert.EndpointOption) culvert.EndpointListener {
	w.t.Helper()
	ln, err := a.Listen(w.t.Context(), opts...)
	if err != nil {
		w.t.Fatalf("Listen: %v", err)
	}
	return ln
}

func (w *world) forward(a culvert.Agent, up *culvert.Upstream, opts ...culvert.EndpointOption) culvert.EndpointForwarder {
	w.t.Helper()
	f, err := a.Forward(w.t.Context(), up, opts...)
	if err != nil {
		w.t.Fatalf("Forward: %v", err)
	}
	return f
}

// dial opens a forwarded connection to an endpoint.
func (w *world) dial(e culvert.Endpoint, h wire.ProxyHeader) *mux.Stream {
	w.t.Helper()
	st, err := w.server.Dial(w.t.Context(), e.URL().String(), h)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = st.Close() })
	return st
}

// upstream runs serve for every connection to an address of the network.
func (w *world) upstream(addr string, serve func(net.Conn)) culvert.UpstreamOption {
	w.t.Helper()
	ln, err := w.net.Listen("tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); serve(c) })
		}
	})
	w.t.Cleanup(func() { ln.Close(); wg.Wait() })
	return culvert.WithUpstreamDialer(memDialer{w.net})
}

// echo sends back what it reads, then ends its half.
func echo(c net.Conn) {
	_, _ = io.Copy(c, c)
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
}

// exchange writes text, ends the half, and returns all that comes back.
func exchange(t *testing.T, st *mux.Stream, text string) string {
	t.Helper()
	if _, err := io.WriteString(st, text); err != nil {
		t.Fatalf("write: %v", err)
	}
	if err := st.CloseWrite(); err != nil {
		t.Fatalf("half-close: %v", err)
	}
	b, err := io.ReadAll(st)
	if err != nil {
		t.Fatalf("read: %v (after %q)", err, b)
	}
	return string(b)
}

// recorder keeps all events.
type recorder struct {
	mu      sync.Mutex
	all     []culvert.Event
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) handle(e culvert.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
	close(r.changed)
	r.changed = make(chan struct{})
}

// find waits for the first event of type E for which ok holds.
func find[E culvert.Event](t *testing.T, r *recorder, ok func(E) bool) E {
	t.Helper()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		all, changed := r.all, r.changed
		r.mu.Unlock()
		for _, e := range all {
			if e, is := e.(E); is && ok(e) {
				return e
			}
		}
		select {
		case <-changed:
		case <-timeout.C:
			var none E
			t.Fatalf("no event of type %T came in time; there were %d others", none, len(all))
		}
	}
}

// count returns how many events of type E there were.
func count[E culvert.Event](r *recorder) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.all {
		if _, is := e.(E); is {
			n++
		}
	}
	return n
}

func anyEvent[E culvert.Event](E) bool { return true }

type rpcRequest = rpc.Request

func tlsServer(c net.Conn, config *tls.Config) *tls.Conn { return tls.Server(c, config) }

// cutter dials connections that can fall silent without being closed.
type cutter struct {
	memDialer
	mu    sync.Mutex
	conns []*cutConn
}

func (d *cutter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.memDialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	cut := &cutConn{Conn: c}
	d.mu.Lock()
	d.conns = append(d.conns, cut)
	d.mu.Unlock()
	return cut, nil
}

// silence swallows what open connections send from now on.
func (d *cutter) silence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.silent.Store(true)
	}
}

type cutConn struct {
	net.Conn
	silent atomic.Bool
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}
