package respond

import (
	"net/http"
	"slices"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Definitions returns the actions of this family.
func Definitions() []policy.Definition {
	anywhere := []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest}
	every := []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}
	return []policy.Definition{
		policy.Define(policy.Definition{
			Type: "close-connection", Doc: "Closes the connection with no answer.", Phases: anywhere, Schemes: every, Protects: true,
		}, closeConnection{}, newCloseConnection),
		policy.Define(policy.Definition{
			Type: "custom-response", Doc: "Answers with a status, headers and a body of its own.",
			Phases: []policy.Phase{policy.OnHTTPRequest, policy.OnHTTPResponse},
		}, customResponse{Status: http.StatusOK}, newCustomResponse),
		policy.Define(policy.Definition{
			Type: "deny", Doc: "Refuses a request with a status, or a connection by closing it.", Phases: anywhere, Schemes: every, Protects: true,
		}, deny{}, newDeny),
		policy.Define(policy.Definition{
			Type: "redirect", Doc: "Sends the client to another URL.",
			Phases: []policy.Phase{policy.OnHTTPRequest},
			Results: []expr.Variable{
				{Name: "redirect.matches", Kind: expr.KindTextList, Doc: "what `from` has matched"},
				{Name: "redirect.url", Kind: expr.KindText, Doc: "where the client was sent"},
				{Name: "redirect.error.code", Kind: expr.KindText, Doc: "code of the fault; empty if there was none"},
				{Name: "redirect.error.message", Kind: expr.KindText, Doc: "what went wrong; empty if nothing did"},
			},
		}, redirect{Status: http.StatusFound}, newRedirect),
	}
}

// header is an evaluated header.
type header struct{ name, value string }

// evaluate evaluates headers. It does so before there is a response, since
// their expressions may read the one that it replaces.
func evaluate(x *policy.Exchange, list policy.Fields) ([]header, error) {
	all := make([]header, 0, len(list))
	for _, f := range list {
		v, err := x.HeaderText(f.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, header{f.Name, v})
	}
	return all, nil
}

func set(h http.Header, all []header) {
	for _, f := range all {
		h[f.name] = []string{f.value}
	}
}

// without removes a header from a list and reports whether it was there.
func without(list policy.Fields, name string) (policy.Fields, bool) {
	i := slices.IndexFunc(list, func(f policy.Field) bool { return http.CanonicalHeaderKey(f.Name) == name })
	if i < 0 {
		return list, false
	}
	return slices.Delete(slices.Clone(list), i, i+1), true
}
