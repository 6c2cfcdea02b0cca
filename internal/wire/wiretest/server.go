package wiretest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
)

// Script decides what the server answers. A nil field means to accept.
type Script struct {
	// Auth may refuse or change the answer to an Auth.
	Auth func(req wire.Auth, resp *wire.AuthResp) error
	// Bind may refuse or change the answer to a Bind.
	Bind func(s *Session, req wire.Bind, resp *wire.BindResp) error
	// Patch sees changes of endpoints.
	Patch func(req wire.PatchTunnelState) error
	// Features are the server's extensions.
	Features wire.Features
	// Region is what SrvInfo and Auth name.
	Region string
	// Plain leaves TLS out.
	Plain bool
}

// Server is a stub of a server.
type Server struct {
	script Script
	ca     *CA

	mu       sync.Mutex
	ctx      context.Context //nolint:containedctx // the lifetime of the server
	cancel   context.CancelFunc
	running  sync.WaitGroup
	sessions []*Session
	next     int
	changed  chan struct{}
	unbound  []string
}

// Session is one authenticated agent connection.
type Session struct {
	*wire.Peer
	// Auth is what the agent sent.
	Auth wire.Auth

	server *Server
	mux    *mux.Session
	binds  map[string]wire.BindResp
	order  []string
}

// New returns a server; it listens nowhere yet. The CA is needed unless the
// script is plain.
func New(ca *CA, script Script) *Server {
	s := &Server{script: script, ca: ca, changed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts agents until the listener is closed.
func (s *Server) Serve(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ctx.Err() != nil {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.running.Go(func() { s.ServeConn(c) })
		s.mu.Unlock()
	}
}

// ServeConn serves one agent connection until it ends.
func (s *Server) ServeConn(c net.Conn) {
	if !s.script.Plain {
		tc := tls.Server(c, s.ca.ServerTLS())
		if err := tc.HandshakeContext(s.ctx); err != nil {
			_ = c.Close()
			return
		}
		c = tc
	}
	m := mux.New(c, mux.Config{Role: mux.Server})
	session := &Session{Peer: wire.NewPeer(m), server: s, mux: m, binds: map[string]wire.BindResp{}}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(s.ctx)
	wg.Go(func() { _ = m.Run(ctx) })
	_ = session.Serve(ctx, wire.Handler{RPC: session.answer})
	cancel()
	wg.Wait()
	s.update(func() {
		s.sessions = slices.DeleteFunc(s.sessions, func(x *Session) bool { return x == session })
	})
}

// Close ends all sessions and waits for them. Listeners are the caller's.
func (s *Server) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Server) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait waits until ok holds, looking again after every change. It reports
// false when ctx ends first.
func (s *Server) Wait(ctx context.Context, ok func(sessions []*Session) bool) bool {
	for {
		s.mu.Lock()
		done, changed := ok(s.sessions), s.changed
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Sessions returns the live sessions, oldest first.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions)
}

// Unbound returns the ids of all binds that agents took back.
func (s *Server) Unbound() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.unbound)
}

// Drop cuts every connection without a goodbye.
func (s *Server) Drop() {
	for _, x := range s.Sessions() {
		x.mux.CloseWith(15, errors.New("dropped by the test"))
	}
}

// Bound tells whether an endpoint with this URL is online, and waits for it
// until ctx ends.
func (s *Server) Bound(ctx context.Context, url string) bool {
	return s.Wait(ctx, func(sessions []*Session) bool {
		return slices.ContainsFunc(sessions, func(x *Session) bool { _, ok := x.find(url); return ok })
	})
}

// Dial opens a forwarded connection to the endpoint with this URL. The header
// is filled in where it is empty.
func (s *Server) Dial(ctx context.Context, url string, h wire.ProxyHeader) (*mux.Stream, error) {
	s.mu.Lock()
	var session *Session
	for _, x := range s.sessions {
		if b, ok := x.find(url); ok {
			session = x
			if h.Id == "" {
				h.Id = b.Id
			}
			if h.Proto == "" {
				h.Proto = b.Proto
			}
		}
	}
	s.mu.Unlock()
	if session == nil {
		return nil, fmt.Errorf("no endpoint has the URL %s", url)
	}
	if h.ClientAddr == "" {
		h.ClientAddr = "198.51.100.7:40000"
	}
	return session.mux.Open(ctx, h.AppendTo(nil))
}

// find is called with the server's lock held.
func (x *Session) find(url string) (wire.BindResp, bool) {
	for _, id := range x.order {
		if b := x.binds[id]; b.URL == url {
			return b, true
		}
	}
	return wire.BindResp{}, false
}

// Mux returns the session's multiplexer.
func (x *Session) Mux() *mux.Session { return x.mux }

func (x *Session) answer(_ context.Context, t wire.ReqType, body json.RawMessage) (any, error) {
	switch t {
	case wire.TypeAuth:
		return decode(body, x.auth)
	case wire.TypeBind:
		return decode(body, x.bind)
	case wire.TypeUnbind:
		return decode(body, x.unbind)
	case wire.TypePatchTunnelState:
		return decode(body, func(req wire.PatchTunnelState) (wire.ErrorResp, error) {
			if x.server.script.Patch == nil {
				return wire.ErrorResp{}, nil
			}
			return wire.ErrorResp{}, x.server.script.Patch(req)
		})
	case wire.TypeSrvInfo:
		return wire.SrvInfoResp{Region: x.server.script.Region}, nil
	default:
		return nil, wire.ErrRefuseType
	}
}

func decode[Req, Resp any](body json.RawMessage, f func(Req) (Resp, error)) (any, error) {
	var req Req
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fault.New(fault.AuthIncomplete, err)
	}
	return f(req)
}

func (x *Session) auth(req wire.Auth) (wire.AuthResp, error) {
	s := x.server
	version, err := wire.ChooseVersion(req.Version)
	if err != nil {
		return wire.AuthResp{}, err
	}
	resp := wire.AuthResp{Version: version, ClientId: req.ClientId}
	s.mu.Lock()
	s.next++
	if resp.ClientId == "" {
		resp.ClientId = fmt.Sprintf("client%d", s.next)
	}
	resp.Extra = wire.AuthRespExtra{
		Version: "test", Region: s.script.Region, Cookie: fmt.Sprintf("cookie%d", s.next),
		AgentSessionID: fmt.Sprintf("ts_%d", s.next),
	}
	s.mu.Unlock()
	if agreed := s.script.Features.Agree(req.Extra.Culvert); agreed != (wire.Features{}) {
		resp.Extra.Culvert = &agreed
	}
	if s.script.Auth != nil {
		if err := s.script.Auth(req, &resp); err != nil {
			return wire.AuthResp{}, err
		}
	}
	if resp.Error != "" {
		return resp, nil
	}
	x.Auth = req
	s.update(func() { s.sessions = append(s.sessions, x) })
	return resp, nil
}

func (x *Session) bind(req wire.Bind) (wire.BindResp, error) {
	s := x.server
	s.mu.Lock()
	s.next++
	n := s.next
	s.mu.Unlock()
	resp := wire.BindResp{Id: req.Id, Proto: req.Proto, URL: publicURL(req, n)}
	if resp.Id == "" {
		resp.Id = fmt.Sprintf("bind%d", n)
	}
	resp.Extra = wire.BindRespExtra{Token: fmt.Sprintf("token%d", n), TunnelID: fmt.Sprintf("tn_%d", n)}
	if req.Extra.Token != "" {
		resp.Extra.Token = req.Extra.Token
	}
	_, host, _ := strings.Cut(resp.URL, "://")
	var err error
	if resp.Opts, err = wire.CompleteOpts(req.Proto, req.Opts, host); err != nil {
		return resp, err
	}
	if s.script.Bind != nil {
		if err := s.script.Bind(x, req, &resp); err != nil {
			return resp, err
		}
	}
	s.update(func() {
		if _, again := x.binds[resp.Id]; !again {
			x.order = append(x.order, resp.Id)
		}
		x.binds[resp.Id] = resp
	})
	return resp, nil
}

// publicURL returns the wanted URL, or makes one up.
func publicURL(req wire.Bind, n int) string {
	var o struct{ URL, Hostname, Addr string }
	_ = json.Unmarshal(req.Opts, &o) // checked by CompleteOpts
	want := o.URL
	if o.Hostname != "" {
		want = o.Hostname
	} else if o.Addr != "" {
		want = o.Addr
	}
	_, host, ok := strings.Cut(want, "://")
	if !ok {
		host = want
	}
	if host == "" {
		host = fmt.Sprintf("r%d.test", n)
		if req.Proto == "tcp" {
			host = fmt.Sprintf("tcp.test:%d", 20000+n)
		}
	}
	return req.Proto + "://" + host
}

func (x *Session) unbind(req wire.Unbind) (wire.UnbindResp, error) {
	x.server.update(func() {
		delete(x.binds, req.Id)
		x.order = slices.DeleteFunc(x.order, func(id string) bool { return id == req.Id })
		x.server.unbound = append(x.server.unbound, req.Id)
	})
	return wire.UnbindResp{}, nil
}

// StopTunnel ends the endpoint with this URL from the server's side.
func (s *Server) StopTunnel(ctx context.Context, url string, why *fault.Error) error {
	for _, x := range s.Sessions() {
		s.mu.Lock()
		b, ok := x.find(url)
		s.mu.Unlock()
		if ok {
			return x.Notify(ctx, wire.TypeStopTunnel, wire.StopTunnel{Id: b.Id, Message: why.Message, ErrorCode: string(why.Code)})
		}
	}
	return fmt.Errorf("no endpoint has the URL %s", url)
}
