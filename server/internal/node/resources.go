package node

import (
	"context"
	"time"

	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/tunnel"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// settleTime is how long a write waits until what it changed is in force. One
// that takes longer is stored nevertheless, and answered so.
const settleTime = 5 * time.Second

// openResources makes the resources and the API that serves them.
func (p *parts) openResources(shared *control.Shared, keys *vault.Vault, live control.AgentEndpoints) {
	c := p.n.cfg
	p.rest = rest.New(rest.Config{
		Auth: prover{p.gate}, Admit: p.lookups.AdmitAPI, Self: p.n.directory.Self, Usage: p.usage.Usage, Origin: c.APIURL, Proxies: c.TrustedProxies, Origins: c.APIOrigins, Limits: c.API, Logger: p.n.log,
		Resources: []control.Resource{
			control.NewEndpoints(shared, p.binder, live),
			control.NewDomains(shared, p.binder, c.domains()),
			control.NewReservedAddresses(shared, p.binder, c.Region),
			control.NewAgentIngresses(shared, p.binder, p.certificates, c.Domains),
			control.NewTLSCertificates(shared, keys),
			control.NewCertificateAuthorities(shared),
			control.NewIPPolicies(shared),
			control.NewIPPolicyRules(shared),
			control.NewIPRestrictions(shared),
			control.NewVaults(shared),
			control.NewSecrets(shared, keys),
			control.NewCredentials(shared, keys),
			control.NewAPIKeys(shared, keys),
			control.NewServiceUsers(shared),
			control.NewBotUsers(shared),
			control.NewTunnelSessions(shared, clients{p.tunnels, p.ssh}, tunnel.ErrUnknown, c.Region),
			control.NewTunnels(live),
			control.NewSSHCredentials(shared),
		},
	})
}

// settle waits until traffic follows a revision.
func (p *parts) settle(ctx context.Context, r store.Revision) error {
	waiting, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return p.follower.Wait(waiting, r)
}
