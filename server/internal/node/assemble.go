package node

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/action/fetch"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/certs"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/intel"
	"github.com/culvert-project/culvert/server/internal/lookups"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/outbound"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/snapshot"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/tunnel"
	"github.com/culvert-project/culvert/server/internal/usage"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// files are what lies in the data directory, but for the database.
type files struct {
	keys    *vault.Vault
	certs   *certs.Store
	connect string // where agents connect
	// custom are the certificates of single names, which come from the database.
	custom *control.Certificates
}

// openFiles reads keys and certificates, or makes them.
func (n *Node) openFiles(lns *listeners) (*files, error) {
	f := &files{connect: connectURL(n.cfg, lns)}
	var err error
	if f.keys, err = OpenKeys(n.cfg); err != nil {
		return nil, err
	}
	f.keys.Log(n.log)
	n.checkKeys()
	f.custom = control.NewCertificates(f.keys, n.log, n.cfg.domains())
	f.certs, err = n.openCerts(f)
	return f, err
}

// assemble makes the parts. Nothing runs yet.
func (n *Node) assemble(ctx context.Context, lns *listeners, files *files, db store.Store) (*parts, error) {
	started := time.Now()
	c := n.cfg
	facts, err := intel.New(intel.Config{Databases: c.GeoIP, Categories: c.IPCategories, Logger: n.log})
	if err != nil {
		return nil, fault.Wrap(err, fault.AddressFilesUnusable, err)
	}
	policies, err := newCompiler(c)
	if err != nil {
		return nil, err
	}
	p := &parts{
		n: n, lns: lns, facts: facts, roster: identity.NewRoster(files.keys),
		lookups: lookups.New(files.keys, n.log), names: control.NewNames(c.Domains...), addresses: control.NewAddresses(), ingresses: control.NewIngresses(),
		certificates: files.custom, authorities: control.NewAuthorities(),
	}
	shared := &control.Shared{Store: db, Settle: p.settle, Now: time.Now, Log: n.log}
	made, err := n.ensureFirst(ctx, shared, files.keys)
	if err != nil {
		return nil, err
	}
	p.gate = control.NewGate(shared, p.roster, n.log)
	n.describe(lns, files, made)
	ports := &ports{}
	p.binder, err = claims.New(claims.Config{
		Sealer: files.keys, Policies: policies, ACL: p.roster, Names: p.names, Addresses: p.addresses,
		KnowsIPPolicy: p.lookups.KnowsIPPolicy, KnowsSecret: p.lookups.KnowsSecret, KnowsAuthority: p.authorities.Knows,
		MostEndpoints: p.roster.Limiter(identity.QuotaEndpoints), MostRules: p.roster.Limiter(identity.QuotaPolicyRules),
		Domains: c.Domains, HTTPPort: n.info.HTTPPort, HTTPSPort: n.info.HTTPSPort, Extra: controlListeners(c),
		TCPFirst: c.TCPPorts.First, TCPLast: c.TCPPorts.Last, Ports: ports, Limits: c.Endpoints, Logger: n.log,
	})
	if err != nil {
		return nil, err
	}
	router := route.NewRouter(claims.KeptNames(c.Domains)...)
	meters := meter.New()
	p.usage = usage.New(usage.Config{Store: db, Meters: meters, Log: n.log})
	publisher := snapshot.New(router, meters)
	auth := authenticator{p.gate, p.lookups}
	p.tunnels = tunnel.New(tunnel.Config{ //nolint:contextcheck // handshakes have contexts of their own
		Auth: auth, MostAgents: p.roster.Limiter(identity.QuotaAgents), Binder: p.binder, Publisher: snapshot.Of[*tunnel.Tunnel]{Publisher: publisher}, Cookies: files.keys,
		TLS: files.certs.AgentTLS(), SharedTLS: files.certs.SharedAgentTLS(), Ingress: p.ingresses.Account,
		Limits: c.Agents, Region: c.Region, Version: c.Version, Logger: n.log,
	})
	if err := n.newSSH(ctx, p, shared, files, sshAuthenticator{auth}, publisher); err != nil {
		return nil, err
	}
	p.edge = n.newEdge(p, files, router, started)
	ports.Server = p.edge
	n.tunnels, n.ssh, n.binder, n.certs, n.edge = p.tunnels, p.ssh, p.binder, files.certs, p.edge
	// What is stored comes in this order: who may do something, what policies look
	// up, whose names and addresses are, endpoints, and their names, which agents then do not get.
	p.cloud = snapshot.NewCloud(publisher, policies, p.binder, n.log)
	p.follower = store.NewFollower(db, n.log, p.roster, p.usage, p.lookups, p.names, p.addresses, p.ingresses, p.certificates, p.authorities, p.cloud)
	p.issuance = control.NewIssuance(shared, files.keys, c.domains())
	if p.renewals, err = n.newRenewals(p, control.NewACMEAccounts(db, files.keys)); err != nil {
		return nil, err
	}
	p.openResources(shared, files.keys, publisher)
	return p, n.awaitDatabase(ctx, func() error { return p.follower.Load(ctx) })
}

// newEdge returns the public listeners.
func (n *Node) newEdge(p *parts, files *files, router *route.Router, started time.Time) *edge.Server {
	c := n.cfg
	var api func(context.Context, net.Conn)
	if p.n.handover != nil {
		api = p.n.handover.take
	}
	return edge.New(edge.Config{
		Router: router, Certs: files.certs, Agents: p.tunnels.ServeConn, Ingress: p.isIngress, API: api, Domains: c.Domains,
		HTTPAddr: n.info.HTTP.String(), HTTPSAddr: n.info.HTTPS.String(),
		Extra: edgeListeners(c), TCPHost: c.TCPAddr, Listen: p.lns.take,
		TrustedProxies: c.TrustedProxies, Limits: c.Edge, RedirectHTTP: max(0, c.RedirectHTTP), HTTPSPort: n.info.HTTPSPort,
		ForwardedHeaders: edge.Forwarded(c.ForwardedHeaders), StartedAt: started,
		Services: policy.Services{Address: p.facts.Fact, Secret: p.lookups.Secret, IPPolicy: p.lookups.IPPolicy, Authority: p.authorities.Authority},
		Admit:    p.lookups.AdmitClient, Challenges: &p.proofs, Region: c.Region, AccessLog: c.AccessLog, Logger: n.log,
	})
}

// isIngress reports whether a name is one that agents of an account connect to.
func (p *parts) isIngress(name string) bool {
	_, ok := p.ingresses.Account(name)
	return ok
}

// describe notes what the server tells about itself.
func (n *Node) describe(lns *listeners, files *files, made control.Made) {
	c := n.cfg
	n.info = Info{
		HTTP: lns.http.Addr(), HTTPS: lns.https.Addr(), Agent: lns.agent.Addr(), API: lns.api.Addr(), SSH: lns.ssh.Addr(),
		Domains: c.Domains, HTTPPort: advertised(c.AdvertiseHTTPPort, lns.http), HTTPSPort: advertised(c.AdvertiseHTTPSPort, lns.https),
		TCPHost: c.TCPAddr, TCPPorts: c.TCPPorts, ConnectURL: files.connect, Authorised: authorised(c, files.connect), ACME: c.ACME.Email != "",
		DataDir: c.DataDir, APIURL: c.apiURL(lns.api), Authtoken: made.Authtoken, APIKey: made.APIKey,
	}
	if c.TLSCert == "" {
		n.info.CAFile, n.info.CAFingerprint = filepath.Join(c.DataDir, "ca.pem"), files.certs.Fingerprint()
	}
}

// ensureFirst makes sure of the first account and of the credentials that the
// configuration sets, and returns what it has made.
func (n *Node) ensureFirst(ctx context.Context, shared *control.Shared, keys *vault.Vault) (made control.Made, err error) {
	first := control.First{DataDir: n.cfg.DataDir, Authtoken: n.cfg.BootstrapAuthtoken, APIKey: n.cfg.BootstrapAPIKey}
	n.directory = control.NewDirectory(shared, keys)
	err = n.awaitDatabase(ctx, func() (err error) {
		made, err = n.directory.Ensure(ctx, first)
		return err
	})
	return made, err
}

// newCompiler returns the compiler of policies with all actions.
func newCompiler(c Config) (*policy.Compiler, error) {
	s := standard.Services{Forwarder: edge.Forwarder{}, Fetch: fetch.Services{Internal: edge.Forwarder{}, Version: c.Version}}
	if g := (&outbound.Guard{Public: c.PolicyEgress == EgressPublic, Allow: c.OutboundAllow}); g.Open() {
		s.Fetch.Outside = g.Transport()
	}
	actions, err := policy.NewRegistry(standard.Definitions(s)...)
	if err != nil {
		return nil, err
	}
	return policy.NewCompiler(actions)
}

// ports opens the ports of TCP endpoints at the edge, which is made after the
// binder that asks for them.
type ports struct{ *edge.Server }

// openCerts opens the certificates of the data directory, or the configured
// ones.
func (n *Node) openCerts(f *files) (*certs.Store, error) {
	host, _, _ := net.SplitHostPort(f.connect) // checked, or made by us
	return certs.Open(certs.Config{
		Dir: n.cfg.DataDir, Domains: n.cfg.Domains, AgentHost: host,
		CertFile: n.cfg.TLSCert, KeyFile: n.cfg.TLSKey, Tickets: f.keys, Custom: f.custom, Logger: n.log,
	})
}

// domains is what the rules of reserved domains go by.
func (c Config) domains() control.DomainsConfig {
	return control.DomainsConfig{Domains: c.Domains, Region: c.Region}
}

func controlListeners(c Config) []claims.Listener {
	all := make([]claims.Listener, 0, len(c.ExtraListeners))
	for _, x := range c.ExtraListeners {
		all = append(all, claims.Listener{Scheme: x.Scheme, Port: x.Port})
	}
	return all
}

func edgeListeners(c Config) []edge.ExtraListener {
	host, _, _ := net.SplitHostPort(c.HTTPSAddr) // valid, as the field says
	all := make([]edge.ExtraListener, 0, len(c.ExtraListeners))
	for _, x := range c.ExtraListeners {
		all = append(all, edge.ExtraListener{
			Scheme: x.Scheme, Port: x.Port, Addr: net.JoinHostPort(host, strconv.Itoa(int(x.Port))),
		})
	}
	return all
}
