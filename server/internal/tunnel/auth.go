package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// supersedeWait bounds how long a newer connection waits for the older one of
// the same leg to give everything back.
const supersedeWait = 5 * time.Second

// serverFeatures are the extensions that this side understands.
func serverFeatures() wire.Features { return wire.Features{FaultRecord: true, ReassignURL: true} }

// auth answers the agent's Auth. A connection has one try.
func (s *session) auth(ctx context.Context, body json.RawMessage) (any, error) {
	s.mu.Lock()
	first := s.phase == fresh
	if first {
		s.phase = authing
	}
	s.mu.Unlock()
	if !first {
		return nil, fault.New(fault.AuthIncomplete, "this connection has authenticated before")
	}
	var req wire.Auth
	if err := json.Unmarshal(body, &req); err != nil {
		return s.refuse(fault.Wrap(err, fault.AuthIncomplete, "it does not have the expected fields"))
	}
	version, err := wire.ChooseVersion(req.Version)
	if err != nil {
		return s.refuse(fault.Wrap(err, fault.VersionUnsupported, req.Version))
	}
	if n := len(req.Extra.Metadata); n > s.srv.limits.Load().Metadata {
		return s.refuse(fault.New(fault.MetadataTooLong, n))
	}
	agent, err := s.srv.authenticate(ctx, s, req)
	if err != nil {
		return s.refuse(err)
	}
	s.version = version
	switch err := s.srv.register(ctx, s, agent, req); {
	case errors.Is(err, wire.ErrNoAnswer):
		return nil, err
	case err != nil:
		return s.refuse(err)
	}
	return s.accept(req)
}

// authenticate checks the token, unless its kind has failed too often lately.
func (srv *Server) authenticate(ctx context.Context, s *session, req wire.Auth) (wire.Agent, error) {
	token := req.Extra.Authtoken
	if srv.failures.exceeded(s.addr.Addr(), token) {
		srv.log.Warn("agent held back: too many refused tokens", "addr", s.addr)
		select {
		case <-time.After(srv.limits.Load().AuthDelay):
		case <-ctx.Done():
		case <-s.mux.Done():
		}
		return wire.Agent{}, fault.New(fault.SessionRate, s.addr.Addr())
	}
	agent, err := srv.cfg.Auth.Authenticate(ctx, req, s.addr)
	if err != nil {
		srv.failures.add(s.addr.Addr(), token)
		return wire.Agent{}, err
	}
	if s.ingress != "" {
		if owner, ok := srv.cfg.Ingress(s.ingress); ok && owner != agent.Account {
			return wire.Agent{}, fault.New(fault.IngressForeign, s.ingress)
		}
	}
	agent.Addr = s.addr
	agent.Auth = req
	agent.Auth.Extra.Authtoken, agent.Auth.Extra.Cookie = "", ""
	agent.Family = req.Family()
	agent.Features = serverFeatures().Agree(req.Extra.Culvert)
	return agent, nil
}

// refuse tells the agent why, and closes the connection once it has had time to
// read it. Agents come back for ever (H14), hence a goodbye and not a reset.
func (s *session) refuse(err error) (any, error) {
	s.mu.Lock()
	s.phase = refused
	s.mu.Unlock()
	f := fault.From(err)
	if f.Code == fault.Internal {
		s.log().Error("agent authentication", "err", err)
	} else {
		s.log().Info("agent refused", "code", f.Code, "err", short(f.Message))
	}
	s.setTimer(time.AfterFunc(s.srv.limits.Load().Linger, func() {
		s.mux.CloseWith(frame.NoError, errors.Join(errRefused, f))
	}))
	return wire.AuthResp{Error: f.Wire()}, nil
}

// accept opens the gates and makes the answer.
func (s *session) accept(req wire.Auth) (any, error) {
	c := cookie{Account: s.agent.Account, ClientID: s.agent.ClientID, SessionID: s.agent.SessionID}
	sealed, err := c.seal(s.srv.cfg.Cookies)
	if err != nil {
		return nil, err
	}
	s.mux.SetOpenLimits(s.openLimits())
	s.mux.SetQuickAck(s.agent.Family == wire.FamilyRust)
	s.gate.open()
	s.left()
	s.mu.Lock()
	s.phase = online
	s.mu.Unlock()
	s.watchSilence(wire.SilenceLimit(req.Extra.HeartbeatInterval, req.Extra.HeartbeatTolerance))
	s.log().Info("agent online", "user_agent", short(req.Extra.UserAgent), "version", short(req.Extra.Version), "leg", s.leg)
	resp := wire.AuthResp{
		Version:  s.version,
		ClientId: s.agent.ClientID,
		Extra: wire.AuthRespExtra{
			Version: s.srv.cfg.Version, Region: s.srv.cfg.Region,
			Cookie:           sealed,
			AccountName:      s.srv.cfg.AccountName,
			AgentSessionID:   s.agent.SessionID,
			ConnectAddresses: s.srv.cfg.ConnectAddresses,
		},
	}
	if s.agent.Features != (wire.Features{}) {
		resp.Extra.Culvert = &s.agent.Features
	}
	return resp, nil
}

// openLimits returns how many streams the agent can bear, and how many of them
// without having shown that it took them. Our own agent takes streams as they
// come and shows nothing before it has something to say.
func (s *session) openLimits() (streams, unacked int) {
	l := s.srv.limits.Load()
	switch s.agent.Family {
	case wire.FamilyRust:
		return l.RustStreams, l.Unacked
	case wire.FamilyCulvert:
		return l.Streams, 0
	case wire.FamilyGo, wire.FamilyOther, wire.FamilySSH:
	}
	return l.Streams, l.Unacked
}

// newIDs returns the ids of a session: those it had before if it can prove it,
// else fresh ones. An id that proves nothing is no error.
func (srv *Server) newIDs(account string, req wire.Auth) (clientID, sessionID string) {
	if req.ClientId == "" {
		return id.New("cl"), id.NewSorted("ts")
	}
	c, ok := openCookie(srv.cfg.Cookies, req.Extra.Cookie)
	if ok && c.Account == account && c.ClientID == req.ClientId {
		return c.ClientID, c.SessionID
	}
	return id.New("cl"), id.NewSorted("ts")
}

// maxLogged bounds the texts of agents in log lines.
const maxLogged = 512

// short is a text that an agent has a hand in, fit for a log line.
func short(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + "…"
}
