package control

import (
	"context"
	"slices"
	"strconv"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/store"
)

// endpointDoc is an endpoint as it is stored. What requests bring is as they brought it.
type endpointDoc struct {
	URL            string   `json:"url"`
	Bindings       []string `json:"bindings,omitempty"`
	TrafficPolicy  string   `json:"traffic_policy"`
	PoolingEnabled bool     `json:"pooling_enabled,omitempty"`
	api.Texts
	Principal string `json:"principal"`
	// Scheme, Host and Port are where it is found.
	Scheme endpoint.Scheme `json:"scheme"`
	Host   string          `json:"host"`
	Port   uint16          `json:"port"`

	warnings []string // of the write that is under way
}

// at returns the endpoint's URL with its stored port.
func (d *endpointDoc) at() endpoint.URL {
	return endpoint.URL{Scheme: d.Scheme, Host: d.Host, Port: d.Port}
}

func endpointCollection() store.Collection[endpointDoc] {
	return store.Collection[endpointDoc]{Kind: EndpointKind}
}

// endpoints are stored endpoints, and views of those that agents have online.
type endpoints struct {
	resource[endpointDoc]
	binder *claims.Binder
	agents AgentEndpoints
}

// NewEndpoints returns the rules of endpoints. The binder gives them their places.
func NewEndpoints(s *Shared, b *claims.Binder, agents AgentEndpoints) Resource {
	e := &endpoints{binder: b, agents: agents}
	e.resource = resource[endpointDoc]{
		Shared: s, spec: api.Endpoints(), docs: endpointCollection(), noun: "endpoint",
		check: e.judge, prepare: e.prepare, render: e.show,
		remove: func(c *change, o *store.Object[endpointDoc]) error {
			c.done = append(c.done, func() { b.Forget(o.ID) })
			return nil
		},
	}
	return e
}

// judge judges a new or changed endpoint and claims its place.
func (e *endpoints) judge(c *change, old, o *store.Object[endpointDoc]) error {
	d := &o.Doc
	if old == nil {
		d.Principal = c.caller.Principal
	}
	u, err := e.place(c, old, d)
	if err != nil {
		return err
	}
	if old != nil && old.Doc.Scheme != u.Scheme {
		return fault.New(fault.EndpointSchemeFixed, string(old.Doc.Scheme), string(u.Scheme))
	}
	d.Scheme, d.Host, d.Port = u.Scheme, u.Host, u.Port
	if text := d.TrafficPolicy; needsProgram(old, text, u) {
		judged, ok := c.ready.(*judgedPolicy)
		if !ok || judged.text != text || judged.scheme != u.Scheme || judged.binding != claims.BindingOf(u) {
			judged = e.judgePolicy(c.caller, text, u) // somebody else has changed the endpoint meanwhile
		}
		if judged.err != nil {
			return judged.err
		}
		d.warnings = judged.warnings
	}
	want := standingOf(o)
	if err := e.binder.Stand(c.ctx, want); err != nil {
		return err
	}
	c.undo = append(c.undo, func() { e.binder.Settle(want, 0) })
	c.done = append(c.done, func() { e.binder.Settle(want, c.revision) })
	return nil
}

// place returns the URL of an endpoint with its stored port, if its account may have it. What it has already, it keeps:
// names may have other rules by now.
func (e *endpoints) place(c *change, old *store.Object[endpointDoc], d *endpointDoc) (endpoint.URL, error) {
	if old != nil && old.Doc.URL == d.URL && slices.Equal(old.Doc.Bindings, d.Bindings) {
		return d.at(), nil
	}
	u, err := e.binder.StoredURL(d.URL, d.Bindings)
	if err == nil {
		err = e.binder.OwnsIn(c.tx, c.caller.Account, d.URL, u)
	}
	return u, err
}

// judgedPolicy is what was found about the text of a policy for a kind of endpoint.
type judgedPolicy struct {
	text     string
	scheme   endpoint.Scheme
	binding  endpoint.Binding
	warnings []string
	err      error
}

// needsProgram reports whether the policy of an endpoint at u has to be compiled to be judged.
func needsProgram(old *store.Object[endpointDoc], text string, u endpoint.URL) bool {
	return old == nil || old.Doc.TrafficPolicy != text || claims.BindingOf(old.Doc.at()) != claims.BindingOf(u)
}

// prepare compiles the policy of a new or changed endpoint, for judge.
func (e *endpoints) prepare(caller *Caller, old, o *store.Object[endpointDoc]) any {
	u, err := e.binder.StoredURL(o.Doc.URL, o.Doc.Bindings)
	if err != nil || !needsProgram(old, o.Doc.TrafficPolicy, u) {
		return nil // judge tells what is wrong
	}
	return e.judgePolicy(caller, o.Doc.TrafficPolicy, u)
}

func (e *endpoints) judgePolicy(caller *Caller, text string, u endpoint.URL) *judgedPolicy {
	warnings, err := e.binder.JudgePolicy(caller.Account, text, u)
	return &judgedPolicy{text: text, scheme: u.Scheme, binding: claims.BindingOf(u), warnings: warnings, err: err}
}

// show returns an endpoint as callers see it.
func (e *endpoints) show(_ store.Tx, caller *Caller, o *store.Object[endpointDoc]) (any, error) {
	d := &o.Doc
	owner := principal(d.Principal)
	a := &api.Endpoint{
		Meta: meta(caller, "/endpoints", o), UpdatedAt: seconds(o.UpdatedAt), Type: api.CloudEndpoint, URL: d.URL,
		Texts: d.Texts, PoolingEnabled: d.PoolingEnabled, TrafficPolicy: d.TrafficPolicy, Principal: &owner,
		Warnings: d.warnings,
	}
	e.derive(caller, a, d.at())
	return a, nil
}

// derive fills in what follows from an endpoint's stored URL.
func (e *endpoints) derive(caller *Caller, a *api.Endpoint, u endpoint.URL) {
	a.PublicURL, a.Bindings = e.binder.Show(u), []string{string(claims.BindingOf(u))}
	a.Proto, a.Scheme, a.Host, a.Port = string(u.Scheme), string(u.Scheme), u.Host, e.binder.Port(u)
	a.Hostport = a.Host + ":" + strconv.Itoa(int(a.Port))
	a.Domain = caller.ref("/reserved_domains", e.binder.Reserved(caller.Account, u))
	a.TCPAddr = caller.ref("/reserved_addrs", e.binder.ReservedAddress(caller.Account, u))
}

// Get returns an endpoint, whoever it belongs to.
func (e *endpoints) Get(ctx context.Context, caller *Caller, id string) (any, error) {
	if a, ok := e.ofAgent(caller, id); ok {
		return a, nil
	}
	return e.resource.Get(ctx, caller, id)
}

// ofAgent returns the view of an agent's endpoint.
func (e *endpoints) ofAgent(caller *Caller, id string) (*api.Endpoint, bool) {
	a, ok := e.agents.Endpoint(id)
	if !ok || a.Bound.Account != caller.Account {
		return nil, false
	}
	return e.showOnline(caller, a), true
}

// Update changes an endpoint that does not belong to an agent.
func (e *endpoints) Update(ctx context.Context, caller *Caller, id string, body []byte) (any, error) {
	if _, ok := e.ofAgent(caller, id); ok {
		return nil, fault.New(fault.EndpointOfAgent, id)
	}
	return e.resource.Update(ctx, caller, id, body)
}

// Delete removes an endpoint that does not belong to an agent.
func (e *endpoints) Delete(ctx context.Context, caller *Caller, id string) error {
	if _, ok := e.ofAgent(caller, id); ok {
		return fault.New(fault.EndpointOfAgent, id)
	}
	return e.resource.Delete(ctx, caller, id)
}

// List returns a page of stored endpoints and those of agents, newest first.
func (e *endpoints) List(ctx context.Context, caller *Caller, p Page) (items []any, more bool, err error) {
	online := e.agents.Endpoints(caller.Account, p.Before)
	page := pageOf{Page: p}
	err = e.view(ctx, func(tx store.Tx) error {
		q := store.Query{Account: caller.Account, Before: p.Before}
		if p.Match == nil {
			q.Limit = p.Limit + 1
		}
		for o, err := range e.docs.List(tx, q) {
			if e.skips(err) {
				continue
			}
			if err == nil {
				err = context.Cause(ctx)
			}
			for err == nil && len(online) > 0 && online[0].Bound.TunnelID > o.ID {
				err = page.add(e.showOnline(caller, online[0]))
				online = online[1:]
			}
			if err == nil {
				var a any
				if a, err = e.show(tx, caller, o); err == nil {
					err = page.add(a)
				}
			}
			if err != nil {
				return err
			}
		}
		for _, a := range online {
			if err := page.add(e.showOnline(caller, a)); err != nil {
				return err
			}
		}
		return nil
	})
	return page.end(err)
}
