package edge

import (
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/route"
)

// find sets the member that serves the request, waiting for it if its agent is
// expected back.
func (x *exchange) find() error {
	err := x.look()
	if fault.Has(err, fault.EndpointOffline) && x.mayWait() {
		return x.await()
	}
	return err
}

// findOther sets another member than the present one, to which no stream could
// be opened: its session has ended, and the table will say so in a moment.
func (x *exchange) findOther() error {
	lost := x.ep
	var last error
	err := x.h.returning.await(x.ctx, func() bool {
		last = x.look()
		return last == nil && x.ep != lost || last != nil && !(fault.Has(last, fault.EndpointOffline) && x.mayWait())
	})
	switch {
	case err == nil:
		return last
	case x.ctx.Err() != nil:
		return errClientGone
	default:
		return fault.Wrap(err, fault.AgentUnreachable, x.url())
	}
}

// look looks into the table as it is now.
func (x *exchange) look() error {
	t := x.h.router.Table()
	if x.inner != nil {
		return x.lookInside(t)
	}
	pool := t.Lookup(endpoint.Public, x.cc.scheme, x.host, x.cc.port)
	if pool == nil {
		if x.redirects(t) {
			x.redirect()
			return errDone
		}
		return x.offline()
	}
	if err := x.h.admits(pool.Members()[0].Account, x.cc.remote.Addr()); err != nil {
		return err
	}
	if mixed(pool.Members()) {
		return fault.New(fault.MixedPool, x.url())
	}
	visited := x.cc.visits.member(pool)
	if x.cc.scheme != endpoint.HTTPS {
		if x.ep = visited; visited == nil {
			x.ep = pool.Pick()
		}
		return nil
	}
	// The handshake was made under one set of TLS settings; only members with
	// the same ones may answer on this connection (decision 36, T11).
	if x.ep = visited; visited == nil {
		x.ep = x.pickTLS(pool)
	}
	if x.ep == nil || x.host != x.cc.sni && !x.cc.covers(x.host) {
		return fault.New(fault.Misdirected, x.cc.sni, x.host)
	}
	return nil
}

// pickTLS chooses a member that the handshake was made for, nil if there is
// none.
func (x *exchange) pickTLS(pool *route.Pool) *route.Endpoint {
	sameName := x.host == x.cc.sni
	e := pool.PickTLS(x.cc.tlsID)
	if e == nil || x.cc.admits(e, sameName) {
		return e
	}
	for _, m := range pool.Members() {
		if m.TLSID() == x.cc.tlsID && x.cc.admits(m, sameName) {
			return m
		}
	}
	return nil
}

// offline is the fault for a name that is not online. Agents cannot take names
// outside the base domains: there the remedy tells of some that they can.
func (x *exchange) offline() *fault.Error {
	f := fault.New(fault.EndpointOffline, x.url())
	domains := x.h.returning.domains
	if len(domains) == 0 || underAny(x.host, domains) {
		return f
	}
	example := endpoint.URL{Scheme: x.cc.scheme, Host: "app." + domains[0], Port: x.namedPort()}
	f.Remedy = "This server answers for names under " + strings.Join(domains, ", ") + ", such as " + example.String() +
		"; ask for the URL that the agent shows."
	return f
}

// mixed reports whether endpoints share a URL of which one may not
// (endpoints.md 9.1). Bindings with one ID are the same endpoint, on the way
// from a lost session to the next.
func mixed(members []*route.Endpoint) bool {
	for _, m := range members[1:] {
		if m.ID != members[0].ID && !(m.Pooled && members[0].Pooled) {
			return true
		}
	}
	return false
}

// mayWait reports whether an agent for the name may be back in a moment.
func (x *exchange) mayWait() bool {
	if x.inner != nil {
		return false
	}
	if x.cc.awaited && x.host == x.cc.sni {
		return false // the handshake has waited already
	}
	r := x.h.returning
	return r.expected(x.cc.scheme, x.host, x.cc.port) ||
		x.mayRedirect() && r.expected(endpoint.HTTPS, x.host, endpoint.HTTPS.DefaultPort())
}

// await looks again until something is found or there is no more waiting.
func (x *exchange) await() error {
	var last error
	err := x.h.returning.await(x.ctx, func() bool {
		last = x.look()
		return !fault.Has(last, fault.EndpointOffline)
	})
	switch {
	case err == nil:
		return last
	case x.ctx.Err() != nil:
		return errClientGone
	default:
		return x.offline()
	}
}

// mayRedirect reports whether the request would be sent to https if only https
// served its name.
func (x *exchange) mayRedirect() bool {
	return x.cc.scheme == endpoint.HTTP && x.cc.port == endpoint.HTTP.DefaultPort() && x.h.redirect != 0
}

// redirects reports whether a plain request is to be sent to https: only
// https serves the name (endpoints.md 4.3).
func (x *exchange) redirects(t *route.Table) bool {
	return x.mayRedirect() && t.Lookup(endpoint.Public, endpoint.HTTPS, x.host, endpoint.HTTPS.DefaultPort()) != nil
}

// redirect sends the client to the same address over https.
func (x *exchange) redirect() {
	var to strings.Builder
	to.WriteString("https://")
	to.WriteString(x.host)
	if p := x.h.httpsPort; p != 0 && p != 443 {
		to.WriteString(":" + strconv.Itoa(int(p)))
	}
	if x.target != "*" {
		to.WriteString(x.target)
	}
	h := x.w.Header()
	h["Location"] = []string{to.String()}
	h["Content-Length"] = []string{"0"}
	h["Date"] = nil
	x.endsConnection(h)
	x.wrote, x.status = true, x.h.redirect
	x.w.WriteHeader(x.h.redirect)
}

// url returns the address that the client asked for, to be shown. A port
// stands in it if the client named one: behind a balancer it may be another
// than the listener's.
func (x *exchange) url() string {
	if x.inner != nil {
		return x.inner.to.String()
	}
	return endpoint.URL{Scheme: x.cc.scheme, Host: x.host, Port: x.namedPort()}.String()
}

// namedPort returns the port that the client named, 0 if it named none.
func (x *exchange) namedPort() uint16 {
	if i := strings.LastIndexByte(x.r.Host, ':'); i >= 0 && validPort(x.r.Host[i+1:]) {
		port, _ := strconv.ParseUint(x.r.Host[i+1:], 10, 16) // valid
		return uint16(port)
	}
	return 0
}
