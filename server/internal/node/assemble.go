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
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/intel"
	"github.com/culvert-project/culvert/server/internal/outbound"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/snapshot"
	"github.com/culvert-project/culvert/server/internal/tunnel"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// assemble opens what lies in the data directory and makes the parts. Nothing
// runs yet.
func (n *Node) assemble(ctx context.Context, lns *listeners) (*parts, error) {
	started := time.Now()
	c := n.cfg
	facts, err := intel.New(intel.Config{Databases: c.GeoIP, Categories: c.IPCategories, Logger: n.log})
	if err != nil {
		return nil, fault.Wrap(err, fault.AddressFilesUnusable, err)
	}
	connect := connectURL(c, lns.agent)
	keys, err := vault.Open(c.DataDir)
	if err != nil {
		return nil, err
	}
	tokens, err := identity.Open(c.DataDir, keys)
	if err != nil {
		return nil, err
	}
	made, err := tokens.EnsureBootstrap(ctx, c.BootstrapAuthtoken)
	if err != nil {
		return nil, err
	}
	store, err := n.openCerts(connect, keys)
	if err != nil {
		return nil, err
	}

	httpPort := advertised(c.AdvertiseHTTPPort, lns.http)
	httpsPort := advertised(c.AdvertiseHTTPSPort, lns.https)
	ports := &ports{}
	policies, err := newCompiler(c)
	if err != nil {
		return nil, err
	}
	binder, err := control.New(control.Config{
		Sealer: keys, Policies: policies, Domains: c.Domains, HTTPPort: httpPort, HTTPSPort: httpsPort, Extra: controlListeners(c),
		TCPFirst: c.TCPPorts.First, TCPLast: c.TCPPorts.Last, Ports: ports, Limits: c.Endpoints, Logger: n.log,
	})
	if err != nil {
		return nil, err
	}
	router := route.NewRouter(control.KeptNames(c.Domains)...)
	tunnels := tunnel.New(tunnel.Config{ //nolint:contextcheck // handshakes have contexts of their own
		Auth: authenticator{tokens}, Binder: binder, Publisher: snapshot.New(router), Cookies: keys,
		TLS: store.AgentTLS(), Limits: c.Agents, Region: c.Region, Version: c.Version, Logger: n.log,
	})
	public := edge.New(edge.Config{
		Router: router, Certs: store, Agents: tunnels.ServeConn, Domains: c.Domains,
		HTTPAddr: lns.http.Addr().String(), HTTPSAddr: lns.https.Addr().String(),
		Extra: edgeListeners(c), TCPHost: c.TCPAddr, Listen: lns.take,
		TrustedProxies: c.TrustedProxies, Limits: c.Edge, RedirectHTTP: max(0, c.RedirectHTTP), HTTPSPort: httpsPort,
		ForwardedHeaders: edge.Forwarded(c.ForwardedHeaders), StartedAt: started,
		Services: policy.Services{Address: facts.Fact}, Region: c.Region,
		AccessLog: c.AccessLog, Logger: n.log,
	})
	ports.Server = public
	n.tunnels = tunnels
	n.info = Info{
		HTTP: lns.http.Addr(), HTTPS: lns.https.Addr(), Agent: lns.agent.Addr(), API: lns.api.Addr(),
		Domains: c.Domains, HTTPPort: httpPort, HTTPSPort: httpsPort,
		TCPHost: c.TCPAddr, TCPPorts: c.TCPPorts, ConnectURL: connect,
		DataDir: c.DataDir, Authtoken: made,
	}
	if c.TLSCert == "" {
		n.info.CAFile, n.info.CAFingerprint = filepath.Join(c.DataDir, "ca.pem"), store.Fingerprint()
	}
	return &parts{n: n, lns: lns, tokens: tokens, binder: binder, tunnels: tunnels, edge: public, facts: facts}, nil
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
func (n *Node) openCerts(connect string, tickets certs.Sealer) (*certs.Store, error) {
	host, _, _ := net.SplitHostPort(connect) // checked, or made by us
	return certs.Open(certs.Config{
		Dir: n.cfg.DataDir, Domains: n.cfg.Domains, AgentHost: host,
		CertFile: n.cfg.TLSCert, KeyFile: n.cfg.TLSKey, Tickets: tickets, Logger: n.log,
	})
}

func controlListeners(c Config) []control.Listener {
	all := make([]control.Listener, 0, len(c.ExtraListeners))
	for _, x := range c.ExtraListeners {
		all = append(all, control.Listener{Scheme: x.Scheme, Port: x.Port})
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
