package node

import "cmp"

// shares is how the descriptors of the process are divided, so that nobody who
// takes all that he can get takes those of others (reliability-security.md T73).
type shares struct {
	// clients are public connections, agents their connections, ssh those of plain
	// SSH clients, ports the listeners of TCP endpoints, and api connections to the
	// API.
	clients, agents, ssh, ports, api int
}

const (
	// ownDescriptors are some fifteen of files and of the runtime, and those of
	// connections that were accepted for a last place which others took.
	ownDescriptors = 24
	// apiReserve is what no other part touches of what is left of many.
	apiReserve = 64
	// apiConns is how many connections the API takes at most.
	apiConns = 256
	// sshConns is how many connections SSH clients take at most.
	sshConns = 500
)

// share divides a number of descriptors. A tenth stays free, at least apiReserve
// or, where there are few, an eighth; what is left after the listeners goes to
// clients by a half.
func share(limit, listeners int) shares {
	reserve := min(apiReserve, limit/8)
	rest := max(0, min(limit*9/10, limit-reserve)-ownDescriptors-listeners)
	ports := rest / 6
	clients := rest / 2
	ssh := min(sshConns, rest/24)
	return shares{
		clients: max(1, clients), ports: max(1, ports), agents: max(1, rest-clients-ports-ssh), ssh: max(1, ssh),
		api: min(apiConns, max(1, reserve, limit/32)),
	}
}

// shared returns c with the shares of the descriptors where no limit was set.
func (c Config) shared(limit int) Config {
	s := share(limit, 5+len(c.ExtraListeners))
	c.Edge.Connections = cmp.Or(c.Edge.Connections, s.clients)
	c.Edge.TCPListeners = cmp.Or(c.Edge.TCPListeners, s.ports)
	c.Agents.Connections = cmp.Or(c.Agents.Connections, s.agents)
	c.SSH.Connections = cmp.Or(c.SSH.Connections, s.ssh)
	c.apiConns = s.api
	return c
}
