package tunnel

import "github.com/culvert-project/culvert/internal/wire"

// Agents returns every authenticated session, once each, in no order. What it
// returns may have ended already.
func (srv *Server) Agents() []wire.Agent {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	all := make([]wire.Agent, 0, len(srv.groups))
	for _, g := range srv.groups {
		for _, s := range g.legs {
			all = append(all, s.agent)
			break // the legs of a group are one session
		}
	}
	return all
}
