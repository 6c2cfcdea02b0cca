package forward

import (
	"context"
	"net"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// namespace of the action's results.
const namespace = "forward_internal"

// Definitions returns the actions of this package, which reach internal
// endpoints through f.
func Definitions(f policy.Forwarder) []policy.Definition {
	return []policy.Definition{policy.Define(policy.Definition{
		Type: "forward-internal", Doc: "Hands the request or connection on to an internal endpoint of the same account.",
		Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest},
		Schemes: []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS},
		OnError: policy.Halt,
		Results: []expr.Variable{
			{Name: "forward_internal.url", Kind: expr.KindText, Doc: "the endpoint that failed; empty if none did"},
			{Name: "forward_internal.error.code", Kind: expr.KindText, Doc: "code of the fault; empty if there was none"},
			{Name: "forward_internal.error.message", Kind: expr.KindText, Doc: "what went wrong; empty if nothing did"},
		},
	}, config{}, func(c *config, b *policy.Build) policy.Action { return build(f, c, b) })}
}

// config is the configuration of forward-internal.
type config struct {
	URL     *expr.Template `field:"url,required" doc:"the internal endpoint: scheme, host and perhaps port"`
	Binding string         `field:"binding" doc:"accepted, and without effect"`
}

type forwardInternal struct {
	to    policy.Forwarder
	url   *expr.Template
	halts bool
}

func build(f policy.Forwarder, c *config, b *policy.Build) policy.Action {
	if b.Phase == policy.OnTCPConnect && b.Scheme.IsHTTP() {
		b.Problem("", fault.ActionConfigInvalid, "on %s endpoints forward-internal stands in on_http_request", b.Scheme)
		return nil
	}
	if text, ok := c.URL.Static(); ok {
		if strings.Contains(text, "*") {
			b.Problem("url", fault.ActionConfigInvalid, "traffic goes to one endpoint, and %s names many", text)
			return nil
		}
		u, err := endpoint.ParseURL(text, b.Scheme)
		if err == nil {
			err = check(u)
		}
		if err != nil {
			b.Problem("url", fault.ActionConfigInvalid, "%s", strings.TrimSuffix(fault.From(err).Message, "."))
			return nil
		}
		if b.Scheme != "" && b.Scheme.IsHTTP() != u.Scheme.IsHTTP() {
			b.Problem("url", fault.ActionConfigInvalid, "traffic of %s cannot go on to %s", b.Scheme, u.Scheme)
			return nil
		}
	}
	return &forwardInternal{to: f, url: c.URL, halts: b.OnError != policy.ContinueOn}
}

// check reports whether u may be an internal endpoint that somebody asks for.
func check(u endpoint.URL) error {
	if err := u.WithDefaults().Check(endpoint.Internal); err != nil {
		return err
	}
	if u.Host == "" || u.IsWildcard() {
		return fault.New(fault.EndpointOffline, u.String())
	}
	return nil
}

// Do implements policy.Action.
func (f *forwardInternal) Do(ctx context.Context, x *policy.Exchange) (policy.Verdict, error) {
	text, err := x.Text(f.url)
	if err != nil {
		return 0, err
	}
	to, err := target(text, x.Endpoint.URL.Scheme)
	if err != nil {
		x.SetResult(namespace, map[string]any{"url": text})
		return 0, fault.Wrap(err, fault.EndpointOffline, text)
	}
	if err := f.to.Forward(ctx, x, to); err != nil {
		x.SetResult(namespace, map[string]any{"url": withPort(to)})
		return 0, err
	}
	return policy.Answer, nil
}

// Ends implements policy.Ender.
func (f *forwardInternal) Ends() bool { return f.halts }

// target reads an address that was worked out. A path or query in it is not
// used (traffic-policy.md 6.9).
func target(text string, scheme endpoint.Scheme) (endpoint.URL, error) {
	text = strings.TrimSpace(text)
	from := 0
	if i := strings.Index(text, "://"); i >= 0 {
		from = i + len("://")
	}
	if i := strings.IndexAny(text[from:], "/?#"); i >= 0 {
		text = text[:from+i]
	}
	u, err := endpoint.ParseURL(text, scheme)
	if err != nil {
		return u, err
	}
	return u, check(u)
}

// withPort is scheme, host and port.
func withPort(u endpoint.URL) string {
	u = u.WithDefaults()
	return string(u.Scheme) + "://" + net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port)))
}
