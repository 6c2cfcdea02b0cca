package tunnel

import (
	"errors"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/wire"
)

// errRevoked ends the sessions of a token that is no longer valid.
var errRevoked = errors.New("the authtoken is no longer valid")

// Agents returns every authenticated session, once each, in no order. What it
// returns may have ended already.
func (srv *Server) Agents() []wire.Agent {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	all := make([]wire.Agent, 0, len(srv.groups))
	for _, g := range srv.groups {
		for _, s := range g.legs {
			all = append(all, *s.agent)
			break // the legs of a group are one session
		}
	}
	return all
}

// Revoke ends the sessions whose token is not valid any more.
func (srv *Server) Revoke(valid func(tokenID string) bool) {
	srv.mu.Lock()
	var ending []*session
	for _, g := range srv.groups {
		for _, s := range g.legs {
			if !valid(s.agent.TokenID) {
				ending = append(ending, s)
			}
		}
	}
	srv.mu.Unlock()
	for _, s := range ending {
		s.mux.CloseWith(frame.NoError, errRevoked)
	}
}
