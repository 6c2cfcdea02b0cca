package standard

import (
	"fmt"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/access"
	"github.com/culvert-project/culvert/server/internal/action/compress"
	"github.com/culvert-project/culvert/server/internal/action/fetch"
	"github.com/culvert-project/culvert/server/internal/action/forward"
	"github.com/culvert-project/culvert/server/internal/action/headers"
	"github.com/culvert-project/culvert/server/internal/action/limit"
	"github.com/culvert-project/culvert/server/internal/action/note"
	"github.com/culvert-project/culvert/server/internal/action/respond"
	"github.com/culvert-project/culvert/server/internal/action/rewrite"
	"github.com/culvert-project/culvert/server/internal/action/terminate"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Services are what actions need of the server. The zero value compiles
// documents; actions that need what it lacks do not run.
type Services struct {
	// Forwarder reaches internal endpoints.
	Forwarder policy.Forwarder
	// Fetch is whom http-request may ask.
	Fetch fetch.Services
	// Rewrite has the bound of bodies that are changed.
	Rewrite rewrite.Options
}

// built returns the definitions of all families.
func built(s Services) []policy.Definition {
	var all []policy.Definition
	for _, family := range [...][]policy.Definition{
		access.Definitions(),
		compress.Definitions(),
		fetch.Definitions(s.Fetch),
		forward.Definitions(s.Forwarder),
		headers.Definitions(),
		limit.Definitions(limit.Config{}),
		note.Definitions(),
		respond.Definitions(),
		rewrite.Definitions(s.Rewrite),
		terminate.Definitions(),
	} {
		all = append(all, family...)
	}
	return all
}

// Definitions returns all actions in the order of the manual.
func Definitions(s Services) []policy.Definition {
	byType := make(map[string]policy.Definition)
	for _, d := range built(s) {
		byType[d.Type] = d
	}
	all := make([]policy.Definition, len(manual))
	for i, known := range manual {
		d, ok := byType[known.name]
		if !ok {
			d = policy.NotBuilt(policy.Definition{Type: known.name, Aliases: known.aliases, Phases: known.phases, Schemes: known.schemes})
		}
		delete(byType, known.name)
		all[i] = d
	}
	for name := range byType {
		panic(fmt.Sprintf("the action %s is not in the manual's list", name))
	}
	return all
}

const (
	connect  = policy.OnTCPConnect
	request  = policy.OnHTTPRequest
	response = policy.OnHTTPResponse
	event    = policy.OnEventStreamMessage
)

func in(phases ...policy.Phase) []policy.Phase { return phases }

var (
	every   = []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}
	withTLS = []endpoint.Scheme{endpoint.HTTPS, endpoint.TLS, endpoint.TCP}
)

// manual lists the actions, with the phases, schemes and other names that stand
// for one as long as it is not built (traffic-policy.md 4, 1.6). No scheme means http and
// https.
var manual = [...]struct {
	name    string
	phases  []policy.Phase
	schemes []endpoint.Scheme
	aliases []string
}{
	{name: "add-headers", phases: in(request, response)},
	{name: "ai-gateway", phases: in(request)},
	{name: "basic-auth", phases: in(request)},
	{name: "circuit-breaker", phases: in(request)},
	{name: "close-connection", phases: in(connect, request), schemes: every},
	{name: "compress-response", phases: in(response)},
	{name: "custom-response", phases: in(request, response)},
	{name: "deny", phases: in(connect, request), schemes: every},
	{name: "forward-internal", phases: in(connect, request), schemes: every},
	{name: "http-request", phases: in(request, response)},
	{name: "jwt-validation", phases: in(request)},
	{name: "log", phases: in(connect, request, response), schemes: every},
	{name: "oauth", phases: in(request)},
	{name: "openid-connect", phases: in(request), aliases: []string{"oidc"}},
	{name: "owasp-crs-request", phases: in(request)},
	{name: "owasp-crs-response", phases: in(response)},
	{name: "rate-limit", phases: in(request)},
	{name: "redirect", phases: in(request)},
	{name: "remove-headers", phases: in(request, response)},
	{name: "request-body-find-replace", phases: in(request)},
	{name: "response-body-find-replace", phases: in(response)},
	{name: "restrict-ips", phases: in(connect, request, response), schemes: every},
	{name: "saml", phases: in(request)},
	{name: "set-vars", phases: in(connect, request, response), schemes: every},
	{name: "sse-find-replace", phases: in(event)},
	{name: "terminate-tls", phases: in(connect), schemes: withTLS},
	{name: "url-rewrite", phases: in(request)},
	{name: "verify-webhook", phases: in(request), aliases: []string{"webhook-validation"}},
}
