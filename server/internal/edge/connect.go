package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
	"github.com/culvert-project/culvert/server/internal/sniff"
)

// maxVisits is how many endpoints a connection is remembered to have visited.
// Beyond it the connect phase of the oldest runs again.
const maxVisits = 16

// visits are the endpoints whose connect phase a connection has passed. The
// zero value is empty.
type visits struct {
	mu  sync.Mutex // held while a connect phase runs
	all atomic.Pointer[[]visit]
	// terminated says that the policy of the first one changed the handshake.
	terminated atomic.Bool
}

// visit is one of them.
type visit struct {
	ep   *route.Endpoint
	conn *policy.Conn
}

func (v *visits) list() []visit {
	if all := v.all.Load(); all != nil {
		return *all
	}
	return nil
}

// add notes a visit. The lock is held.
func (v *visits) add(ep *route.Endpoint, conn *policy.Conn) {
	all := append(slices.Clone(v.list()), visit{ep, conn})
	if len(all) > maxVisits {
		all = all[1:]
	}
	v.all.Store(&all)
}

// of returns the connection as it is to the policy of an endpoint, nil if it
// has not visited it. An endpoint that was bound again is the same.
func (v *visits) of(ep *route.Endpoint) *policy.Conn {
	for _, known := range v.list() {
		if known.ep == ep || known.ep.ID == ep.ID {
			return known.conn
		}
	}
	return nil
}

// member returns the member of a pool that the connection has visited, so that
// its requests stay there; nil if none.
func (v *visits) member(p *route.Pool) *route.Endpoint {
	for _, known := range v.list() {
		if slices.Contains(p.Members(), known.ep) {
			return known.ep
		}
	}
	return nil
}

// admit reports whether a request on a connection with TLS may go to ep. The
// connect phase comes before the handshake, so that one which was not run then
// asks for another connection.
func (v *visits) admit(ep *route.Endpoint, sameName bool) bool {
	if !sameName && v.terminated.Load() {
		return false
	}
	return !ep.Policy.Has(policy.OnTCPConnect) || v.of(ep) != nil
}

// fingerprint is the variable that needs the ClientHello.
const fingerprint = "conn.tls.ja4_fingerprint"

// admits is visits.admit. A policy that asks for the fingerprint of a
// ClientHello that was not kept needs another connection, too.
func (c *clientConn) admits(ep *route.Endpoint, sameName bool) bool {
	if !sameName && c.ja4 == nil && ep.Policy != nil && ep.Policy.Reads(fingerprint) {
		return false
	}
	return c.visits.admit(ep, sameName)
}

// keepHello makes the fingerprint of the ClientHello known to policies, if the
// endpoints have any. It is worked out when one asks.
func (ec *edgeConn) keepHello(members []*route.Endpoint) {
	if !slices.ContainsFunc(members, func(ep *route.Endpoint) bool { return ep.Policy != nil }) {
		return
	}
	hello := bytes.Clone(ec.Ahead())
	ec.ja4 = sync.OnceValue(func() string { return sniff.JA4(hello) })
}

// facts are those of the connection that any policy may see.
func (c *clientConn) facts(region string) *policy.Conn {
	f := &policy.Conn{
		ID: c.id(), Client: c.remote, Server: c.local, Start: c.start, Region: region, SNI: c.sni, JA4: c.ja4,
		Bytes:    func() (in, out int64) { return c.watch.in.Load(), c.watch.out.Load() },
		ClientIP: c.remote.Addr().String(),
	}
	if c.tls != nil {
		state := c.tls.ConnectionState()
		f.TLS = &state
	}
	if c.leaf != nil {
		f.ServerCertificate = &tls.Certificate{Leaf: c.leaf}
	}
	return f
}

// id names the connection.
func (c *clientConn) id() string {
	c.named.Do(func() { c.name = id.New("conn") })
	return c.name
}

// meet returns the connection as the policy of the request's endpoint sees it,
// after its connect phase where that runs now.
func (x *exchange) meet() (*policy.Conn, error) {
	if x.inner != nil {
		return x.inner.of.run.px.Conn.Fresh(), nil // its connect phase never runs
	}
	v := &x.cc.visits
	if c := v.of(x.ep); c != nil {
		return c, nil
	}
	if !x.ep.Policy.Has(policy.OnTCPConnect) {
		if c := x.cc.known.Load(); c != nil {
			return c, nil
		}
		c := x.cc.facts(x.h.region)
		x.cc.known.Store(c)
		return c, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.of(x.ep); c != nil {
		return c, nil
	}
	conn := x.cc.facts(x.h.region)
	_, err := connectPhase(x.ctx, x.ep, conn, x.h.services)
	x.cc.logConnect(x.ctx, x.h.accessLog, x.ep, conn, err)
	if err != nil {
		x.h.logger.Debug("connection refused by the policy", "endpoint", x.ep.ID, "client", x.cc.remote.String(), "err", err)
		return nil, x.drop()
	}
	v.add(x.ep, conn)
	return conn, nil
}

var errTurnedAway = errors.New("the policy closes the connection")

// connectPhase runs on_tcp_connect of an endpoint's policy for a connection and
// returns the endpoint that it goes to, which is another one if the policy
// forwards it. It fails if the connection is to be closed.
func connectPhase(ctx context.Context, ep *route.Endpoint, conn *policy.Conn, services policy.Services) (*route.Endpoint, error) {
	if !ep.Policy.Has(policy.OnTCPConnect) {
		return ep, nil
	}
	px := policy.NewExchange(ep.Policy.Env(), conn)
	px.Endpoint, px.Services = policyEndpoint(ep), services
	v, err := ep.Policy.Run(ctx, policy.OnTCPConnect, px)
	conn.Logs, conn.Disclosed = px.Logs, px.Disclosed
	px.UpstreamDone(0, nil)
	switch {
	case err != nil:
		return nil, redact(fault.From(err), conn.Redactor())
	case v == policy.Refuse || v == policy.Close:
		return nil, errTurnedAway
	case v == policy.Answer:
		to, ok := conn.Target.(*route.Endpoint)
		if !ok {
			return nil, errTurnedAway
		}
		return to, nil
	}
	return ep, nil
}

// passConnect asks whether the client may use the endpoint, and runs the connect
// phase for a connection before anything else is done with it. It fails if the
// connection is to be closed.
func (s *Server) passConnect(ctx context.Context, ec *edgeConn, ep *route.Endpoint) (*route.Endpoint, *policy.Conn, error) {
	if ep == nil {
		return nil, nil, nil
	}
	if err := s.cfg.Admit(ep.Account, ec.remote.Addr()); err != nil {
		if ep.Key.URL.Scheme.IsHTTP() {
			return ep, nil, nil // its requests are answered so
		}
		s.log.Debug("connection refused by the account's IP restriction", "endpoint", ep.ID, "client", ec.remote.String())
		return nil, nil, err
	}
	if err := ec.count(ep); err != nil {
		s.log.Debug("connection refused by the account's limits", "endpoint", ep.ID, "client", ec.remote.String(), "err", err)
		return nil, nil, err
	}
	if !ep.Policy.Has(policy.OnTCPConnect) {
		return ep, nil, nil
	}
	conn := ec.facts(s.cfg.Region)
	ctx = context.WithValue(ctx, connectKey{}, &connecting{router: s.cfg.Router, services: s.cfg.Services})
	to, err := connectPhase(ctx, ep, conn, s.cfg.Services)
	if err != nil || ep.Key.URL.Scheme.IsHTTP() {
		ec.logConnect(ctx, s.cfg.AccessLog, ep, conn, err)
	} else {
		ec.logs = conn.Redactor().Logs(conn.Logs) // for the line at the end
	}
	if err != nil {
		s.log.Debug("connection refused by the policy", "endpoint", ep.ID, "client", ec.remote.String(), "err", err)
		return nil, nil, err
	}
	v := &ec.visits
	v.mu.Lock()
	defer v.mu.Unlock()
	v.add(ep, conn)
	v.terminated.Store(conn.Terminate != nil)
	return to, conn, nil
}

// terminateConfig is the configuration of a handshake that a policy asked for.
func terminateConfig(t *policy.Terminate, base *route.TLSSettings, http bool) *tls.Config {
	c := serverConfig(base, http)
	if t.MinVersion != 0 {
		c.MinVersion = max(c.MinVersion, t.MinVersion)
	}
	if t.MaxVersion != 0 {
		c.MaxVersion = t.MaxVersion
	}
	if t.ClientAuth != tls.NoClientCert {
		c.ClientAuth, c.VerifyPeerCertificate = t.ClientAuth, checkClientKeys
		c.SessionTicketsDisabled = true
	}
	if len(t.ClientCAs) > 0 || t.ClientAuth == tls.RequireAndVerifyClientCert { // without a pool the system's would do
		c.ClientCAs = x509.NewCertPool()
		c.ClientCAs.AppendCertsFromPEM(t.ClientCAs) // an empty pool refuses everybody
	}
	return c
}

// errHops is the fault of a chain of forwards that is too long.
func errHops() *fault.Error { return fault.New(fault.ForwardTooLong, maxHops) }
