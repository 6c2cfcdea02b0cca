package tunnel

import (
	"context"
	"crypto/subtle"
	"maps"
	"slices"
	"sync"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// maxLegs is how many connections one agent may have.
const maxLegs = 64

// group is one agent: the sessions that share a client id, and what they have
// bound. Its maps are guarded by Server.mu.
type group struct {
	clientID string
	account  string
	legs     []*session         // at most maxLegs
	tunnels  map[string]*Tunnel // by bind id

	// ops serialises the changes of the group's endpoints, from the claim of a
	// name to its publication and back. Other locks nest inside it.
	ops sync.Mutex
}

// register makes s the group's session for its leg. An older one is closed, and
// has given back all that it held when register returns (H10).
func (srv *Server) register(ctx context.Context, s *session, agent wire.Agent, req wire.Auth) error {
	ctx, cancel := context.WithTimeout(ctx, supersedeWait)
	defer cancel()
	agent.ClientID, agent.SessionID = srv.newIDs(agent.Account, req)
	s.agent, s.leg = &agent, req.Extra.LegNumber
	for {
		old, err := srv.take(s, ctx.Err() != nil)
		if old == nil || err != nil {
			return err
		}
		old.log().Info("agent session replaced by a newer one")
		old.close(ctx, frame.NoError, fault.New(fault.SessionReplaced))
	}
}

// take puts s in its place in its group. If another session holds the place it
// returns that one, unless force is set.
func (srv *Server) take(s *session, force bool) (*session, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed || srv.draining.Load() {
		return nil, fault.New(fault.ServerDraining)
	}
	if s.ended {
		return nil, wire.ErrNoAnswer
	}
	g := srv.groups[s.agent.ClientID]
	if g == nil {
		if err := srv.room(s.agent.Account); err != nil {
			return nil, err
		}
		g = &group{clientID: s.agent.ClientID, account: s.agent.Account, tunnels: map[string]*Tunnel{}}
		srv.groups[g.clientID] = g
		srv.agents[g.account]++
	}
	at := slices.IndexFunc(g.legs, func(o *session) bool { return o.leg == s.leg })
	switch {
	case at >= 0 && !force:
		return g.legs[at], nil
	case len(g.legs) >= maxLegs:
		return nil, fault.New(fault.TooManySessions, maxLegs)
	case at >= 0:
		g.legs[at] = s
	default:
		g.legs = append(g.legs, s)
	}
	s.group = g
	return nil, nil
}

// end gives back all that s held, because its connection has ended. It may be
// winding down still.
func (srv *Server) end(ctx context.Context, s *session, cause error) {
	srv.mu.Lock()
	s.ended = true
	g := s.group
	srv.mu.Unlock()
	defer close(s.done)
	if g == nil {
		srv.log.Debug("agent connection ended before authentication", "addr", s.addr, "cause", cause)
		return
	}
	ctx = context.WithoutCancel(ctx)
	clean := leftCleanly(cause)
	g.ops.Lock() // whoever binds later sees that s has ended
	for _, t := range srv.detach(g, s) {
		srv.retire(ctx, t, clean)
	}
	g.ops.Unlock()
	if clean {
		s.log().Info("agent left")
	} else {
		s.log().Info("agent offline", "cause", cause)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	g.legs = slices.DeleteFunc(g.legs, func(o *session) bool { return o == s })
	if len(g.legs) == 0 && srv.groups[g.clientID] == g {
		delete(srv.groups, g.clientID)
		if srv.agents[g.account]--; srv.agents[g.account] == 0 {
			delete(srv.agents, g.account)
		}
	}
}

// room says whether an account may have one more agent. srv.mu is held.
func (srv *Server) room(account string) error {
	if srv.cfg.MostAgents == nil {
		return nil
	}
	if most, ok := srv.cfg.MostAgents(account); ok && srv.agents[account] >= most {
		return fault.New(fault.AgentsTooMany, most)
	}
	return nil
}

// detach takes the paths over s off the group's tunnels, and returns the tunnels
// that have no path left, which then are no longer the group's.
func (srv *Server) detach(g *group, s *session) []*Tunnel {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var gone []*Tunnel
	for _, t := range slices.Collect(maps.Values(g.tunnels)) {
		if t.removePath(s) == 0 {
			srv.dropLocked(g, t)
			gone = append(gone, t)
		}
	}
	return gone
}

// drop takes t out of the group. It reports whether t was there.
func (srv *Server) drop(g *group, t *Tunnel) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.dropLocked(g, t)
}

func (srv *Server) dropLocked(g *group, t *Tunnel) bool {
	if srv.tunnels[t.id] == t {
		delete(srv.tunnels, t.id)
	}
	if g.tunnels[t.bindID] != t {
		return false
	}
	delete(g.tunnels, t.bindID)
	return true
}

// retire takes a dropped tunnel out of reach and gives its name back.
func (srv *Server) retire(ctx context.Context, t *Tunnel, clean bool) {
	t.paths.Store(nil)
	srv.cfg.Publisher.Withdraw(t, clean)
	srv.cfg.Binder.Release(ctx, t.id, *t.agent, clean)
	srv.log.Info("endpoint offline", "url", t.Bound().URL, "endpoint", t.id, "session", t.agent.SessionID)
}

// lookup returns the group's tunnel with the given bind id, or nil.
func (srv *Server) lookup(g *group, bindID string) *Tunnel {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return g.tunnels[bindID]
}

// numBinds returns how many endpoints have a path over s.
func (srv *Server) numBinds(s *session) int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	n := 0
	for _, t := range s.group.tunnels {
		if t.hasPath(s) {
			n++
		}
	}
	return n
}

// put makes t known, with s as its first way. It returns the tunnel that had the same id before, whose
// holder has been overtaken, if there was one.
func (srv *Server) put(g *group, t *Tunnel, s *session) (overtaken *Tunnel) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	t.addPath(s)
	overtaken = srv.tunnels[t.id]
	if overtaken != nil {
		srv.dropLocked(overtaken.group, overtaken)
	}
	srv.tunnels[t.id] = t
	g.tunnels[t.bindID] = t
	return overtaken
}

// sameToken compares resume tokens without telling how much of them is right.
func sameToken(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
