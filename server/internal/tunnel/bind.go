package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/wire"
)

const (
	// maxBindID bounds the id that an agent may choose for a bind.
	maxBindID = 128
	// stopAfter is the pause between accepting the rebind of an endpoint that
	// cannot come back and ending it, so that the agent knows it by then.
	stopAfter = 250 * time.Millisecond
)

// bind brings an endpoint online.
func (s *session) bind(ctx context.Context, body json.RawMessage) (any, error) {
	var req wire.Bind
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fault.Wrap(err, fault.BindInvalid, "it does not have the expected fields")
	}
	if len(req.Id) > maxBindID {
		return nil, fault.New(fault.BindInvalid, "its id is too long")
	}
	again := req.Extra.Token != ""
	t, err := s.srv.bind(ctx, s, req)
	if errors.Is(err, wire.ErrNoAnswer) {
		return nil, err
	}
	if err != nil {
		f := fault.From(err)
		if f.Code == fault.Internal {
			s.log().Error("bind", "scheme", short(req.Proto), "err", err)
		} else {
			s.log().Info("bind refused", "scheme", short(req.Proto), "code", f.Code, "err", short(f.Message))
		}
		if again && req.Id != "" && s.agent.Family != wire.FamilyCulvert && s.version != "2" && ctx.Err() == nil {
			return s.acceptLost(ctx, req, f), nil
		}
		return nil, err
	}
	b := t.Bound()
	return wire.BindResp{
		Id: t.bindID, URL: b.URL, Proto: b.Proto, Opts: b.Opts,
		Extra: wire.BindRespExtra{Token: b.Token, TunnelID: t.id},
	}, nil
}

// bind claims the URL, makes it reachable and returns its tunnel.
func (srv *Server) bind(ctx context.Context, s *session, req wire.Bind) (*Tunnel, error) {
	g := s.group
	g.ops.Lock()
	defer g.ops.Unlock()
	if s.mux.Err() != nil { // it has given back what it held, or is about to
		return nil, wire.ErrNoAnswer
	}
	if t := srv.lookup(g, req.Id); t != nil {
		return srv.join(s, t, req)
	}
	if n := srv.numBinds(s); n >= srv.limits.Load().Endpoints {
		return nil, fault.New(fault.TooManyEndpointsSession, n)
	}
	if req.Id == "" {
		req.Id = id.New("b")
	}
	bound, err := srv.cfg.Binder.Reserve(ctx, *s.agent, req)
	if err != nil {
		return nil, err
	}
	t := &Tunnel{
		srv: srv, group: g, agent: s.agent, id: bound.TunnelID, bindID: req.Id,
		boundAt: time.Now(), tokens: []string{req.Extra.Token, bound.Token},
	}
	t.bound.Store(bound)
	overtaken := srv.put(g, t, s)
	if err := srv.cfg.Publisher.Publish(ctx, t); err != nil {
		if srv.drop(g, t) {
			srv.retire(context.WithoutCancel(ctx), t, true)
		}
		return nil, err
	}
	if overtaken != nil {
		// Its claim has passed to t, so only its route has to go.
		overtaken.paths.Store(nil)
		srv.cfg.Publisher.Withdraw(overtaken, true)
	}
	s.log().Info("endpoint online", "url", bound.URL, "endpoint", t.id, "forwards_to", short(bound.ForwardsTo))
	return t, nil
}

// join adds s as a further way to t, which its agent has bound over another leg,
// or answers a bind that was sent twice.
func (srv *Server) join(s *session, t *Tunnel, req wire.Bind) (*Tunnel, error) {
	for _, token := range t.tokens {
		if !sameToken(token, req.Extra.Token) {
			continue
		}
		srv.mu.Lock()
		t.addPath(s)
		srv.mu.Unlock()
		s.log().Info("endpoint has another leg", "url", t.Bound().URL, "endpoint", t.id, "leg", s.leg)
		return t, nil
	}
	return nil, fault.New(fault.IDTaken, req.Id)
}

// acceptLost answers the rebind of an endpoint that cannot come back. Agents
// that are not ours would drop their whole session over a refusal and try again
// for ever, so they are told yes, and then that the endpoint has been stopped
// (agent-protocol.md 12.2).
func (s *session) acceptLost(ctx context.Context, req wire.Bind, f *fault.Error) wire.BindResp {
	url := wantedURL(req)
	lost := fault.Wrap(f, fault.EndpointLost, url, f.Message)
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.srv.limits.Load().Command)
		defer cancel()
		select {
		case <-time.After(stopAfter):
		case <-s.mux.Done():
			return
		}
		stop := wire.StopTunnel{Id: req.Id, Message: lost.Message, ErrorCode: string(f.Code)}
		if err := s.peer.Notify(ctx, wire.TypeStopTunnel, stop); err != nil {
			s.log().Debug("stop lost endpoint", "url", url, "err", err)
		}
	})
	return wire.BindResp{
		Id: req.Id, URL: url, Proto: req.Proto, Opts: req.Opts,
		Extra: wire.BindRespExtra{Token: req.Extra.Token},
	}
}

// wantedURL is the address that a rebind asks for, fit to be shown.
func wantedURL(req wire.Bind) string {
	var o struct{ URL, Hostname, Domain, Addr string }
	_ = json.Unmarshal(req.Opts, &o) // what is missing stays empty
	for _, text := range []string{o.Hostname, o.Domain, o.Addr} {
		if text != "" {
			return req.Proto + "://" + text
		}
	}
	if o.URL != "" {
		return o.URL
	}
	return req.Proto + "://"
}

// unbind takes an endpoint offline on every leg. An unknown id is no error: some
// agents unbind twice (H15). Streams that are open live on.
func (s *session) unbind(ctx context.Context, body json.RawMessage) (any, error) {
	var req wire.Unbind
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fault.Wrap(err, fault.BindInvalid, "it does not have the expected fields")
	}
	g := s.group
	g.ops.Lock()
	defer g.ops.Unlock()
	if t := s.srv.lookup(g, req.Id); t != nil && s.srv.drop(g, t) {
		s.srv.retire(context.WithoutCancel(ctx), t, true)
	}
	return wire.UnbindResp{}, nil
}

// patch changes an endpoint in place.
func (s *session) patch(ctx context.Context, body json.RawMessage) (any, error) {
	var req wire.PatchTunnelState
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fault.Wrap(err, fault.BindInvalid, "it does not have the expected fields")
	}
	g := s.group
	g.ops.Lock()
	defer g.ops.Unlock()
	s.srv.mu.Lock()
	t := s.srv.tunnels[req.TunnelId]
	s.srv.mu.Unlock()
	if t == nil || t.group != g {
		return nil, fault.New(fault.EndpointUnknown, req.TunnelId)
	}
	bound, err := s.srv.cfg.Binder.Patch(ctx, *t.agent, req)
	if err != nil {
		return nil, err
	}
	t.bound.Store(bound)
	if err := s.srv.cfg.Publisher.Publish(ctx, t); err != nil {
		return nil, err
	}
	return wire.ErrorResp{}, nil
}
