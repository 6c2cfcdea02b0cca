package policycase

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Outcome is what became of a request.
type Outcome struct {
	// Origin is where the response comes from, which the exchange has.
	Origin policy.Origin
	// Closed says that the connection was closed without an answer.
	Closed bool
	// Fault, if not nil, is answered with an error page.
	Fault *fault.Error
}

// Receive completes an exchange whose request has arrived, as the edge does.
func Receive(x *policy.Exchange, at time.Time) {
	x.Received = at
	u := x.Request.URL
	u.Scheme, u.Host = string(x.Endpoint.URL.Scheme), x.Request.Host
	x.OriginalURL = u.String()
}

// Pass takes an exchange through the phases of its request and response, as
// the edge does. It asks upstream for the response unless the policy answers,
// and fails only if upstream does.
func Pass(ctx context.Context, p *policy.Program, x *policy.Exchange, upstream func() (*http.Response, error)) (Outcome, error) {
	asked := x.Request.URL.RequestURI()
	v, err := p.Run(ctx, policy.OnHTTPRequest, x)
	out := Outcome{Origin: policy.FromUpstream}
	switch {
	case err != nil:
		return Outcome{Origin: policy.FromErrorPage, Fault: fault.From(err)}, nil
	case v == policy.Close:
		return Outcome{Closed: true}, nil
	case v == policy.Refuse:
		out.Origin = policy.FromRefusal
	case v == policy.Answer:
		out.Origin = policy.FromAnswer
	default:
		seen(p, x.Request.URL, asked)
		if x.Response, err = upstream(); err != nil { //nolint:bodyclose // the exchange has it
			return out, err
		}
		x.UpstreamDone(x.Response.StatusCode, nil)
	}
	if !policy.ResponsePhase(out.Origin) || !p.Has(policy.OnHTTPResponse) {
		return out, nil
	}
	switch v, err := p.Run(ctx, policy.OnHTTPResponse, x); {
	case err != nil:
		return Outcome{Origin: policy.FromErrorPage, Fault: fault.From(err)}, nil
	case v == policy.Close:
		return Outcome{Closed: true}, nil
	case v != policy.Continue:
		out.Origin = policy.FromAnswer
	}
	return out, nil
}

// seen gives a path that no action has changed the form in which the policy has
// judged it, as the edge does.
func seen(p *policy.Program, u *url.URL, asked string) {
	if u.RequestURI() != asked {
		return
	}
	if to, err := url.ParseRequestURI(p.Seen(asked)); err == nil {
		u.Path, u.RawPath = to.Path, to.RawPath
	}
}

var originNames = map[policy.Origin]string{
	policy.FromUpstream: "answer of the upstream", policy.FromAnswer: "answer of the policy",
	policy.FromRefusal: "refusal", policy.FromErrorPage: "error page",
}

// OriginName returns the words for an origin, such as "answer of the policy".
func OriginName(o policy.Origin) string { return originNames[o] }
