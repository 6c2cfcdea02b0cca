package tunnel

import (
	"context"
	"errors"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// ErrUnknown says that no session or endpoint has the id given to a command.
var ErrUnknown = errors.New("unknown id")

// StopSession asks the agent with this session id to end. It fails with
// fault.StopUnsupported, fault.StopFailed or fault.CommandTimeout, or with
// [ErrUnknown].
func (srv *Server) StopSession(ctx context.Context, sessionID string) error {
	return srv.command(ctx, sessionID, wire.TypeStop, wire.Stop{})
}

// RestartSession asks the agent to restart itself. It fails with
// fault.CommandUnsupported, fault.CommandFailed or fault.CommandTimeout, or with
// [ErrUnknown].
func (srv *Server) RestartSession(ctx context.Context, sessionID string) error {
	return srv.command(ctx, sessionID, wire.TypeRestart, wire.Restart{})
}

// UpdateSession asks the agent to replace itself by another version, the newest
// if version is empty. It fails with fault.UpdateUnsupported, fault.UpdateFailed
// or fault.CommandTimeout, or with [ErrUnknown].
func (srv *Server) UpdateSession(ctx context.Context, sessionID, version string, major bool) error {
	return srv.command(ctx, sessionID, wire.TypeUpdate, wire.Update{Version: version, PermitMajorVersion: major})
}

// StopTunnel takes the endpoint with this id offline and tells its agent why.
// The agent's session stays. It fails with [ErrUnknown].
func (srv *Server) StopTunnel(ctx context.Context, tunnelID string, why *fault.Error) error {
	srv.mu.Lock()
	t := srv.tunnels[tunnelID]
	srv.mu.Unlock()
	if t == nil {
		return ErrUnknown
	}
	t.group.ops.Lock()
	var paths []*session
	if p := t.paths.Load(); p != nil {
		paths = *p
	}
	known := srv.drop(t.group, t)
	if known {
		srv.retire(context.WithoutCancel(ctx), t, true)
	}
	t.group.ops.Unlock()
	if !known {
		return ErrUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, srv.limits.Load().Command)
	defer cancel()
	for _, s := range paths {
		if s.version == "2" { // such agents do not know the command
			continue
		}
		stop := wire.StopTunnel{Id: t.bindID, Message: why.Message, ErrorCode: string(why.Code)}
		if err := s.peer.Notify(ctx, wire.TypeStopTunnel, stop); err != nil {
			s.log().Info("stop endpoint", "url", t.Bound().URL, "err", err)
		}
	}
	return nil
}

// command sends one command to an agent, over its first leg. Some agents answer
// nothing and leave the stream open (H16): the time is bounded and the stream
// reset.
func (srv *Server) command(ctx context.Context, sessionID string, t wire.ReqType, req any) error {
	s := srv.firstLeg(sessionID)
	if s == nil {
		return ErrUnknown
	}
	cannot, failed := commandFaults(t)
	if why := unsupported(s.agent.Auth.Extra, t); why != "" {
		return fault.New(cannot, t, why)
	}
	ctx, cancel := context.WithTimeout(ctx, srv.limits.Load().Command)
	defer cancel()
	var resp wire.ErrorResp
	err := s.peer.Call(ctx, t, req, &resp)
	switch {
	case err != nil: // it was silent for too long, or is gone
		return fault.Wrap(err, fault.CommandTimeout, t)
	case resp.Error != "":
		code, why := refusal(resp.Error)
		if code == fault.CommandUnsupported {
			return fault.New(cannot, t, why)
		}
		return fault.New(failed, t, why)
	}
	return nil
}

// refusal returns the code and the reason in the answer of an agent that did not
// carry a command out. Agents of ours name the command ahead of the reason, as we do.
func refusal(answer string) (code fault.Code, why string) {
	f := fault.ParseWire(answer)
	if f == nil {
		return "", "it does not say why"
	}
	if _, reason, ok := strings.Cut(f.Message, ": "); ok && (f.Code == fault.CommandUnsupported || f.Code == fault.CommandFailed) {
		return f.Code, reason
	}
	return f.Code, f.Message
}

// commandFaults returns the codes of a command that an agent does not support,
// and that it could not carry out (api.md 2.12).
func commandFaults(t wire.ReqType) (unsupported, failed fault.Code) {
	switch t {
	case wire.TypeStop:
		return fault.StopUnsupported, fault.StopFailed
	case wire.TypeUpdate:
		return fault.UpdateUnsupported, fault.UpdateFailed
	default:
		return fault.CommandUnsupported, fault.CommandFailed
	}
}

// unsupported returns why the agent does not take a command, "" if it does.
func unsupported(a wire.AuthExtra, t wire.ReqType) string {
	var why *string
	switch t {
	case wire.TypeStop:
		why = a.StopUnsupportedError
	case wire.TypeRestart:
		why = a.RestartUnsupportedError
	default:
		why = a.UpdateUnsupportedError
	}
	if why == nil {
		return "it is too old"
	}
	return *why
}

// firstLeg returns the connection with the lowest leg number of a session.
func (srv *Server) firstLeg(sessionID string) *session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, g := range srv.groups {
		var first *session
		for _, s := range g.legs {
			if s.agent.SessionID == sessionID && (first == nil || s.leg < first.leg) {
				first = s
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}
