package snapshot

import (
	"cmp"
	"slices"

	"github.com/culvert-project/culvert/server/internal/control"
)

// note remembers a tunnel that is online. p.mu is held.
func (p *Publisher) note(t Tunnel, account string) {
	p.byID[t.ID()] = t
	of := p.byAccount[account]
	if of == nil {
		of = map[string]Tunnel{}
		p.byAccount[account] = of
	}
	of[t.ID()] = t
}

// unnote forgets a tunnel, unless another one of the same endpoint has taken its place. p.mu is held.
func (p *Publisher) unnote(t Tunnel, account string) {
	if p.byID[t.ID()] != t {
		return
	}
	delete(p.byID, t.ID())
	of := p.byAccount[account]
	if delete(of, t.ID()); len(of) == 0 {
		delete(p.byAccount, account)
	}
}

// Endpoint returns what an agent has online, by its id.
func (p *Publisher) Endpoint(id string) (control.AgentEndpoint, bool) {
	p.mu.Lock()
	t := p.byID[id]
	p.mu.Unlock()
	if t == nil {
		return control.AgentEndpoint{}, false
	}
	return agentEndpoint(t), true
}

// Endpoints returns what the agents of an account have online, by descending ids that are less than before, or
// all of it if before is "".
func (p *Publisher) Endpoints(account, before string) []control.AgentEndpoint {
	p.mu.Lock()
	found := make([]Tunnel, 0, len(p.byAccount[account]))
	for id, t := range p.byAccount[account] {
		if before == "" || id < before {
			found = append(found, t)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(found, func(a, b Tunnel) int { return cmp.Compare(b.ID(), a.ID()) })
	all := make([]control.AgentEndpoint, len(found))
	for i, t := range found {
		all[i] = agentEndpoint(t)
	}
	return all
}

func agentEndpoint(t Tunnel) control.AgentEndpoint {
	return control.AgentEndpoint{Bound: t.Bound(), Agent: t.Agent(), BoundAt: t.BoundAt(), Region: t.Region()}
}
