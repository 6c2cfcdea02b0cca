package tunnel

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
)

// world is a server with fakes around it.
type world struct {
	t      *testing.T
	srv    *Server
	binder *fakeBinder
	pub    *fakePublisher
}

func newWorld(t *testing.T, edit ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, binder: newFakeBinder(), pub: &fakePublisher{online: map[string]*Tunnel{}}}
	cfg := Config{
		Auth: fakeAuth{}, Binder: w.binder, Publisher: w.pub, Cookies: fakeSealer{},
		Region: "test", Version: "1.2.3",
	}
	for _, e := range edit {
		e(&cfg)
	}
	w.srv = New(cfg)
	return w
}

// restart replaces the server by a new one with the same fakes.
func (w *world) restart() {
	cfg := w.srv.cfg
	w.srv.Close()
	w.srv = New(cfg)
}

type fakeAuth struct{}

func (fakeAuth) Authenticate(_ context.Context, a wire.Auth, _ netip.AddrPort) (wire.Agent, error) {
	if !strings.HasPrefix(a.Extra.Authtoken, "good") {
		return wire.Agent{}, fault.New(fault.TokenUnknown, "***")
	}
	return wire.Agent{Account: "acc_1", TokenID: "cr_1"}, nil
}

type fakeSealer struct{}

func (fakeSealer) Seal(purpose string, plain []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte(purpose+"|"), plain...))
}

func (fakeSealer) Open(purpose, text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	rest, ok := strings.CutPrefix(string(b), purpose+"|")
	if err != nil || !ok {
		return nil, errors.New("not sealed here")
	}
	return []byte(rest), nil
}

// fakeBinder gives every bind https://<id>.test, or refuses what refuse says.
type fakeBinder struct {
	mu       sync.Mutex
	held     map[string]string // tunnel id to session id
	released []string          // "id clean" in order
	refuse   func(wire.Bind) error
	n        int
}

func newFakeBinder() *fakeBinder { return &fakeBinder{held: map[string]string{}} }

func (b *fakeBinder) Reserve(_ context.Context, a wire.Agent, req wire.Bind) (*wire.Bound, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		if err := b.refuse(req); err != nil {
			return nil, err
		}
	}
	id, again := strings.CutPrefix(req.Extra.Token, "resume:")
	if !again {
		b.n++
		id = fmt.Sprintf("ep_%d", b.n)
	}
	b.held[id] = a.ClientID
	return &wire.Bound{
		ID: req.Id, TunnelID: id, URL: "https://" + id + ".test", Proto: req.Proto, Token: "resume:" + id,
		Account: a.Account, Host: id + ".test", Scheme: req.Proto, Port: 443, Opts: req.Opts,
	}, nil
}

func (b *fakeBinder) Patch(_ context.Context, _ wire.Agent, p wire.PatchTunnelState) (*wire.Bound, error) {
	return &wire.Bound{TunnelID: p.TunnelId, URL: "https://" + p.TunnelId + ".test", Description: *p.Description}, nil
}

func (b *fakeBinder) Release(_ context.Context, tunnelID string, a wire.Agent, clean bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[tunnelID] == a.ClientID {
		delete(b.held, tunnelID)
	}
	b.released = append(b.released, fmt.Sprint(tunnelID, " ", clean))
}

func (b *fakeBinder) releases() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.released)
}

type fakePublisher struct {
	mu     sync.Mutex
	online map[string]*Tunnel
	err    error
}

func (p *fakePublisher) Publish(_ context.Context, t *Tunnel) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	p.online[t.ID()] = t
	return nil
}

func (p *fakePublisher) Withdraw(t *Tunnel, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.online[t.ID()] == t {
		delete(p.online, t.ID())
	}
}

func (p *fakePublisher) get(id string) *Tunnel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.online[id]
}

// agent is the other end of a session.
type agent struct {
	t    *testing.T
	mux  *mux.Session
	peer *wire.Peer

	mu       sync.Mutex
	requests []string                                             // "type body" of commands
	answer   func(t wire.ReqType) (any, error)                    // nil answers success
	proxy    func(h wire.ProxyHeader, st *mux.Stream, n int) bool // false: hang up; nil: echo
	streams  int
	resp     wire.AuthResp
}

// connect opens a connection to the server from an address.
func (w *world) connect(from string) *agent {
	w.t.Helper()
	near, far := memnet.Pipe(
		&net.TCPAddr{IP: net.ParseIP(from), Port: 5555},
		&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443},
	)
	go w.srv.ServeConn(context.Background(), far)
	a := &agent{t: w.t, mux: mux.New(near, mux.Config{Role: mux.Client})}
	a.peer = wire.NewPeer(a.mux)
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = a.mux.Run(context.Background())
	}()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = a.peer.Serve(context.Background(), wire.Handler{RPC: a.command, Proxy: a.forward})
	}()
	w.t.Cleanup(func() {
		a.mux.Close()
		<-ran
		<-served
	})
	return a
}

func (a *agent) command(_ context.Context, t wire.ReqType, body json.RawMessage) (any, error) {
	a.mu.Lock()
	a.requests = append(a.requests, t.String()+" "+string(body))
	answer := a.answer
	a.mu.Unlock()
	if t == wire.TypeStopTunnel {
		return nil, wire.ErrNoAnswer
	}
	if answer != nil {
		return answer(t)
	}
	return wire.ErrorResp{}, nil
}

func (a *agent) commands() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

func (a *agent) forward(st *mux.Stream) {
	h, err := wire.ReadProxyHeader(st)
	if err != nil {
		st.Close()
		return
	}
	a.mu.Lock()
	a.streams++
	n, proxy := a.streams, a.proxy
	a.mu.Unlock()
	if proxy != nil {
		if !proxy(h, st, n) {
			st.Close()
		}
		return
	}
	_, _ = io.Copy(st, st)
	st.Close()
}

// goodAuth is an Auth that is accepted, as a stock Go agent sends it.
func goodAuth() wire.Auth {
	ok := ""
	return wire.Auth{Version: []string{"3", "2"}, Extra: wire.AuthExtra{
		Authtoken: "good-token", UserAgent: "ngrok-go/2.1.1", Version: "2.1.1",
		HeartbeatInterval: 10 * time.Second, HeartbeatTolerance: 15 * time.Second,
		StopUnsupportedError: &ok, RestartUnsupportedError: &ok, UpdateUnsupportedError: &ok,
	}}
}

// again returns the Auth of a reconnect.
func (a *agent) again() wire.Auth {
	req := goodAuth()
	req.ClientId, req.Extra.Cookie = a.resp.ClientId, a.resp.Extra.Cookie
	return req
}

func (a *agent) auth(req wire.Auth) wire.AuthResp {
	a.t.Helper()
	if err := a.peer.Call(context.Background(), wire.TypeAuth, req, &a.resp); err != nil {
		a.t.Fatalf("auth: %v", err)
	}
	return a.resp
}

// online connects and authenticates.
func (w *world) online(edit ...func(*wire.Auth)) *agent {
	w.t.Helper()
	a := w.connect("127.0.0.1")
	req := goodAuth()
	for _, e := range edit {
		e(&req)
	}
	if resp := a.auth(req); resp.Error != "" {
		w.t.Fatalf("auth refused: %s", resp.Error)
	}
	return a
}

func (a *agent) bind(req wire.Bind) (wire.BindResp, error) {
	var resp wire.BindResp
	err := a.peer.Call(context.Background(), wire.TypeBind, req, &resp)
	return resp, err
}

func (a *agent) mustBind(req wire.Bind) wire.BindResp {
	a.t.Helper()
	resp, err := a.bind(req)
	if err != nil || resp.Error != "" {
		a.t.Fatalf("bind: %v, %q", err, resp.Error)
	}
	return resp
}

func httpsBind() wire.Bind { return wire.Bind{Proto: "https"} }

func wantCode(t *testing.T, text string, code fault.Code) {
	t.Helper()
	f := fault.ParseWire(text)
	if f == nil || f.Code != code {
		t.Fatalf("got error %q, want code %s", text, code)
	}
}

func header() wire.ProxyHeader {
	return wire.ProxyHeader{ClientAddr: "192.0.2.7:1234", Proto: "https"}
}

// echo sends text over a new connection to the tunnel and returns what comes
// back.
func echo(t *Tunnel, text string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := t.Dial(ctx, header())
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// bubble runs f with the fake clock and closes the world at the end, so that a
// goroutine that is left fails the test.
func bubble(t *testing.T, f func(t *testing.T, w *world), edit ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, edit...)
		t.Cleanup(func() { w.srv.Close() })
		f(t, w)
	})
}
