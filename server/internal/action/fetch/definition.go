package fetch

import (
	"context"
	"net/http"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Services are what the action reaches others through.
type Services struct {
	// Internal reaches the internal endpoints of an account; nil: none.
	Internal Internal
	// Outside reaches hosts elsewhere and judges where it connects to; nil: it
	// may not. It follows no redirects.
	Outside http.RoundTripper
	// Version is the server's, for User-Agent.
	Version string
	// NewID names a request. Default: at random.
	NewID func() string
}

// Internal reaches internal endpoints. The edge implements it.
type Internal interface {
	// Call has the internal endpoint at the request's URL answer it, with its
	// policy, in the account of x. The body of the answer has to be closed. It
	// fails with a fault, fault.CallLoop if calls lead to each other.
	Call(ctx context.Context, x *policy.Exchange, r *http.Request) (*http.Response, error)
}

// Bounds of the action (traffic-policy.md 1.7, reliability-security.md 9).
const (
	maxBody      = 256 << 10 // of an answer, decoded
	maxRetries   = 3
	maxRedirects = 10 // that are followed
	oddRedirects = 5  // above it there is a warning
	firstWait    = 100 * time.Millisecond
	// maxCalls is how many requests of one account are under way at once.
	maxCalls = 256
)

// namespace of the action's results.
const namespace = "http_request"

// config is the configuration of http-request.
type config struct {
	URL       *expr.Template `field:"url,required" doc:"whom to ask: an http or https URL"`
	Method    string         `field:"method" enum:"GET,PUT,POST,PATCH,DELETE,OPTIONS" doc:"method; default GET"`
	Query     []pair         `field:"query_params" count:"0,32" doc:"parameters that are added to the URL's query"`
	Headers   policy.Fields  `field:"headers" count:"0,10" doc:"headers of the request"`
	Body      *expr.Template `field:"body" doc:"body; sent with POST, PUT and PATCH"`
	Redirects int            `field:"max_redirects" range:"0,100" doc:"how many redirects are followed, 10 at most; default 0: a redirect is the answer"`
	Timeout   time.Duration  `field:"timeout" range:"1s,30s" doc:"how long all attempts and redirects may take together; default 3s"`
	Retry     string         `field:"retry_condition" expression:"retry" doc:"an expression, without ${}, of attempts, last_attempt.req, last_attempt.res and last_attempt.error: whether to try once more, three times at most"`
}

type pair struct {
	Key   *expr.Template `field:"key,required" doc:"name of the parameter"`
	Value *expr.Template `field:"value,required" doc:"its value"`
}

// Definitions returns the action of this package.
func Definitions(s Services) []policy.Definition {
	if s.NewID == nil {
		s.NewID = func() string { return id.New("req") }
	}
	shared := &flights{count: make(map[string]int)}
	return []policy.Definition{policy.Define(policy.Definition{
		Type: "http-request", Doc: "Makes a request of its own, and keeps the answer for the rest of the policy.",
		Phases:  []policy.Phase{policy.OnHTTPRequest, policy.OnHTTPResponse},
		OnError: policy.ContinueOn,
		Results: results(),
	}, config{Method: http.MethodGet, Timeout: 3 * time.Second}, func(c *config, b *policy.Build) policy.Action {
		return build(s, shared, c, b)
	})}
}

func results() []expr.Variable {
	return []expr.Variable{
		{Name: "http_request.error.code", Kind: expr.KindText, Doc: "code of the fault; empty if there was none"},
		{Name: "http_request.error.message", Kind: expr.KindText, Doc: "what went wrong; empty if nothing did"},
		{Name: "http_request.attempts", Kind: expr.KindList, Doc: "the attempts, each with `resolved_ip`, `response_header`, `response_status_code`, `response_time_ms`"},
		{Name: "http_request.req.method", Kind: expr.KindText, Doc: "method of the last request"},
		{Name: "http_request.req.header", Kind: expr.KindHeaderMap, Doc: "its headers"},
		{Name: "http_request.req.url", Kind: expr.KindText, Doc: "its URL"},
		{Name: "http_request.req.body", Kind: expr.KindText, Doc: "its body"},
		{Name: "http_request.res.resolved_ip", Kind: expr.KindText, Doc: "address that answered; empty for internal endpoints"},
		{Name: "http_request.res.header", Kind: expr.KindHeaderMap, Doc: "headers of the last answer"},
		{Name: "http_request.res.status_code", Kind: expr.KindInt, Doc: "its status; 0 if there was none"},
		{Name: "http_request.res.time_ms", Kind: expr.KindText, Doc: "how long it took, in milliseconds"},
		{Name: "http_request.res.body", Kind: expr.KindText, Doc: "its body, decoded"},
	}
}

func build(s Services, shared *flights, c *config, b *policy.Build) policy.Action {
	b.CheckHeaders("headers", c.Headers, "Host")
	if text, ok := c.URL.Static(); ok {
		if _, err := parse(text); err != nil {
			b.Problem("url", fault.ActionConfigInvalid, "%s", err)
		}
	}
	if c.Redirects > oddRedirects {
		b.Warn("max_redirects", fault.NumberOutOfRange, "%d redirects are many, and no more than %d are followed", c.Redirects, maxRedirects)
	}
	a := &httpRequest{Services: s, config: c, flights: shared}
	a.Redirects = min(c.Redirects, maxRedirects)
	if c.Retry != "" {
		a.retry = b.Condition("retry_condition", c.Retry, expr.Retry)
	}
	return a
}
