package node

import (
	"reflect"
	"slices"

	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/sshd"
	"github.com/culvert-project/culvert/server/internal/tunnel"
)

// Reload takes over what of another configuration can change while the server
// runs: certificate files, most limits, origins of the API, and the grace period. It returns the names of
// settings that differ and wait for the next start. A configuration with a fault
// changes nothing: the error joins one fault for each problem, as with [New]. No
// connection is dropped (reliability-security.md 7, D7). It waits for Ready.
func (n *Node) Reload(c Config) (later []string, err error) {
	<-n.ready
	n.reloading.Lock()
	defer n.reloading.Unlock()
	c.Logger, c.AccessLog, c.Listen, c.Version = n.cfg.Logger, n.cfg.AccessLog, n.cfg.Listen, n.cfg.Version
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.TLSCert != "" {
		if err := n.certs.Reload(c.TLSCert, c.TLSKey); err != nil {
			return nil, err
		}
	}
	n.edge.SetLimits(c.Edge)
	n.tunnels.SetLimits(c.Agents)
	n.binder.SetLimits(c.Endpoints)
	n.front.api.Load().Change(c.APIOrigins, c.API)
	n.grace.Store(int64(c.ShutdownGrace))
	return waiting(n.cfg, c), nil
}

// waiting returns the names of settings that differ and are read at the start
// alone.
func waiting(old, fresh Config) []string {
	var names []string
	for _, s := range []struct {
		name string
		same bool
	}{
		{"data_dir", old.DataDir == fresh.DataDir},
		{"domain", slices.Equal(old.Domains, fresh.Domains)},
		{"http_addr", old.HTTPAddr == fresh.HTTPAddr},
		{"https_addr", old.HTTPSAddr == fresh.HTTPSAddr},
		{"agent_addr", old.AgentAddr == fresh.AgentAddr},
		{"api_addr", old.APIAddr == fresh.APIAddr},
		{"ssh_addr", old.SSHAddr == fresh.SSHAddr},
		{"api_tls", old.APITLS == fresh.APITLS},
		{"api_on_https", old.APIOnHTTPS == fresh.APIOnHTTPS},
		{"tcp_addr", old.TCPAddr == fresh.TCPAddr},
		{"tcp_ports", old.TCPPorts == fresh.TCPPorts},
		{"tls_cert", (old.TLSCert == "") == (fresh.TLSCert == "")},
		{"advertise_http_port", old.AdvertiseHTTPPort == fresh.AdvertiseHTTPPort},
		{"advertise_https_port", old.AdvertiseHTTPSPort == fresh.AdvertiseHTTPSPort},
		{"advertise_agent", old.AdvertiseAgent == fresh.AdvertiseAgent},
		{"advertise_api", old.APIURL == fresh.APIURL},
		{"master_key_file", old.MasterKeyFile == fresh.MasterKeyFile},
		{"geoip_db", slices.Equal(old.GeoIP, fresh.GeoIP)},
		{"ip_categories", old.IPCategories == fresh.IPCategories},
		{"policy_egress", old.PolicyEgress == fresh.PolicyEgress},
		{"outbound_allow", slices.Equal(old.OutboundAllow, fresh.OutboundAllow)},
		{"acme", old.ACME.same(fresh.ACME)},
		{"region", old.Region == fresh.Region},
		{"trusted_proxies", slices.Equal(old.TrustedProxies, fresh.TrustedProxies)},
		{"extra_listeners", slices.Equal(old.ExtraListeners, fresh.ExtraListeners)},
		{"redirect_http", old.RedirectHTTP == fresh.RedirectHTTP},
		{"forwarded_headers", old.ForwardedHeaders == fresh.ForwardedHeaders},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	names = append(names, differing(old.Edge.Fixed(), fresh.Edge.Fixed())...)
	names = append(names, differing(old.Agents.Fixed(), fresh.Agents.Fixed())...)
	names = append(names, differing(old.SSH, fresh.SSH)...)
	return append(names, differing(old.Endpoints.Fixed(), fresh.Endpoints.Fixed())...)
}

// differing returns the keys of limits that are not the same in both, in their order in the struct.
func differing[T edge.Limits | tunnel.Limits | sshd.Limits | claims.Limits](old, fresh T) []string {
	var keys []string
	a, b := reflect.ValueOf(old), reflect.ValueOf(fresh)
	for i := range a.NumField() {
		if !a.Field(i).Equal(b.Field(i)) {
			keys = append(keys, "limits."+a.Type().Field(i).Tag.Get("yaml"))
		}
	}
	return keys
}
