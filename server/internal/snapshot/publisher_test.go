package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/tunnel"
)

// others stands for everything around a tunnel server but the publisher.
type others struct {
	mu sync.Mutex
	n  int
}

func (o *others) Authenticate(context.Context, wire.Auth, netip.AddrPort) (wire.Agent, error) {
	return wire.Agent{Account: "ac_1"}, nil
}

// Reserve takes the endpoint's host from the bind's name.
func (o *others) Reserve(_ context.Context, a wire.Agent, b wire.Bind) (*wire.Bound, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	bound := &wire.Bound{
		TunnelID: fmt.Sprintf("ep_%d", o.n), Proto: "https", URL: "https://" + b.Extra.Name, Token: "t",
		Account: a.Account, Binding: "public", Scheme: "https", Host: b.Extra.Name, Port: 443, Pooled: true,
	}
	return bound, nil
}

func (o *others) Patch(_ context.Context, _ wire.Agent, p wire.PatchTunnelState) (*wire.Bound, error) {
	return &wire.Bound{TunnelID: p.TunnelId, Binding: "public", Scheme: "https", Host: "h.test", Port: 443}, nil
}
func (o *others) Release(context.Context, string, wire.Agent, bool) {}
func (o *others) Seal(string, []byte) string                        { return "" }
func (o *others) Open(string, string) ([]byte, error)               { return nil, net.ErrClosed }

// connect starts a tunnel server that publishes to a router, and an agent of it.
func connect(t *testing.T) (*route.Router, *mux.Session, *wire.Peer) {
	t.Helper()
	router := route.NewRouter()
	o := &others{}
	srv := tunnel.New(tunnel.Config{Auth: o, Binder: o, Publisher: Of[*tunnel.Tunnel]{New(router, nil)}, Cookies: o})
	near, far := memnet.Pipe(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	srv.ServeConn(context.Background(), far)
	m := mux.New(near, mux.Config{Role: mux.Client})
	ran := make(chan struct{})
	go func() { defer close(ran); _ = m.Run(context.Background()) }()
	t.Cleanup(func() { srv.Close(); m.Close(); <-ran })
	p := wire.NewPeer(m)
	var resp wire.AuthResp
	if err := p.Call(t.Context(), wire.TypeAuth, wire.Auth{}, &resp); err != nil || resp.Error != "" {
		t.Fatalf("auth: %v, %s", err, resp.Error)
	}
	return router, m, p
}

func bind(t *testing.T, p *wire.Peer, host string) wire.BindResp {
	t.Helper()
	var resp wire.BindResp
	req := wire.Bind{Proto: "https", Opts: json.RawMessage(`{}`), Extra: wire.BindExtra{Name: host}}
	if err := p.Call(t.Context(), wire.TypeBind, req, &resp); err != nil {
		t.Fatal(err)
	}
	return resp
}

func lookup(r *route.Router, host string) *route.Pool {
	return r.Table().Lookup(endpoint.Public, endpoint.HTTPS, host, 443)
}

func TestPublishAndWithdraw(t *testing.T) {
	t.Parallel()
	router, _, p := connect(t)
	one, two := bind(t, p, "h.test"), bind(t, p, "h.test")
	if pool := lookup(router, "h.test"); pool == nil || len(pool.Members()) != 2 {
		t.Fatalf("got %v, want a pool of two", pool)
	}
	for i, id := range []string{one.Id, two.Id} {
		var resp wire.UnbindResp
		if err := p.Call(t.Context(), wire.TypeUnbind, wire.Unbind{Id: id}, &resp); err != nil {
			t.Fatal(err)
		}
		if n := router.Table().Len(); n != 1-i {
			t.Errorf("after unbind %d: %d endpoints in the table", i+1, n)
		}
	}
	if router.Expected(endpoint.HTTPS, "h.test", 443) {
		t.Error("a name given up is expected back")
	}
}

func TestPublishAgainReplaces(t *testing.T) {
	t.Parallel()
	router, _, p := connect(t)
	b := bind(t, p, "h.test")
	old := lookup(router, "h.test").Pick()
	var resp wire.ErrorResp
	if err := p.Call(t.Context(), wire.TypePatchTunnelState, wire.PatchTunnelState{TunnelId: b.Extra.TunnelID}, &resp); err != nil || resp.Error != "" {
		t.Fatalf("patch: %v, %s", err, resp.Error)
	}
	pool := lookup(router, "h.test")
	if len(pool.Members()) != 1 || pool.Pick() == old || pool.Pick().Pooled {
		t.Errorf("got %d members, pooled %v; want the changed one alone", len(pool.Members()), pool.Pick().Pooled)
	}
}

func TestLostNamesAreExpectedBack(t *testing.T) {
	t.Parallel()
	router, m, p := connect(t)
	bind(t, p, "h.test")
	m.CloseWith(15, net.ErrClosed) // says nothing to the server
	for {
		changed := router.Changed()
		if lookup(router, "h.test") == nil {
			break
		}
		<-changed
	}
	if !router.Expected(endpoint.HTTPS, "h.test", 443) {
		t.Error("a name that was lost is not expected back")
	}
}

func TestChangesThatWaitAreAppliedTogether(t *testing.T) {
	t.Parallel()
	router := route.NewRouter()
	p := New(router, nil)
	const n = 200
	held, hold := make(chan struct{}), make(chan struct{})
	go router.Update(func(t *route.Table) *route.Table { close(held); <-hold; return t })
	<-held
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			e := &route.Endpoint{Key: endpoint.Key{
				Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: fmt.Sprintf("h%d.test", i), Port: 443},
			}}
			p.mu.Lock()
			p.apply(&change{add: e})
			if lookup(router, e.Key.URL.Host) == nil {
				t.Errorf("%s is not in the table when apply returns", e.Key.URL.Host)
			}
		})
	}
	for waiting := 0; waiting < n-1; { // one is being applied
		p.mu.Lock()
		waiting = len(p.waiting)
		p.mu.Unlock()
		runtime.Gosched()
	}
	close(hold)
	wg.Wait()
	if router.Table().Len() != n {
		t.Errorf("got %d endpoints, want %d", router.Table().Len(), n)
	}
}

// TestNobodyAppliesTheChangesOfOthersForLong: who has begun to apply returns when its own change is in the table,
// though others have come meanwhile and theirs take long.
func TestNobodyAppliesTheChangesOfOthersForLong(t *testing.T) {
	t.Parallel()
	router := route.NewRouter()
	p := New(router, nil)
	publish := func(host string) chan struct{} {
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			p.mu.Lock()
			p.apply(&change{add: &route.Endpoint{Key: endpoint.Key{
				Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: host, Port: 443},
			}}})
		}()
		return returned
	}
	block := func() (release func()) {
		held, hold := make(chan struct{}), make(chan struct{})
		go router.Update(func(t *route.Table) *route.Table { close(held); <-hold; return t })
		<-held
		return func() { close(hold) }
	}
	until := func(what func() bool) {
		for done := false; !done; {
			p.mu.Lock()
			done = what()
			p.mu.Unlock()
			runtime.Gosched()
		}
	}
	release := block()
	first := publish("first.test")
	until(func() bool { return p.applying && len(p.waiting) == 0 })
	second := publish("second.test")
	until(func() bool { return len(p.waiting) == 1 })
	p.mu.Lock() // the first one cannot go on yet when its change is in the table
	release()
	for lookup(router, "first.test") == nil {
		runtime.Gosched()
	}
	release = block()
	p.mu.Unlock()
	select {
	case <-first:
	case <-time.After(time.Minute):
		t.Error("the first one does not return while the change of the second one is applied")
	}
	release()
	<-first
	<-second
	if lookup(router, "second.test") == nil {
		t.Error("the second one returned and is not in the table")
	}
}
