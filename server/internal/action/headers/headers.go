package headers

import (
	"net/http"
	"strings"

	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Definitions returns the actions of this family.
func Definitions() []policy.Definition {
	both := []policy.Phase{policy.OnHTTPRequest, policy.OnHTTPResponse}
	return []policy.Definition{
		policy.Define(policy.Definition{
			Type: "add-headers", Doc: "Adds headers to the request or to the response.", Phases: both,
			Results: []expr.Variable{{Name: "add_headers.headers_added", Kind: expr.KindTextMap, Doc: "the headers that were added"}},
		}, addHeaders{}, newAddHeaders),
		policy.Define(policy.Definition{
			Type: "remove-headers", Doc: "Removes headers from the request or from the response.", Phases: both,
			Results: []expr.Variable{{Name: "remove_headers.headers_removed", Kind: expr.KindTextList, Doc: "the headers that were there and are removed"}},
		}, removeHeaders{}, newRemoveHeaders),
	}
}

// header returns what the phase is about.
func header(x *policy.Exchange) http.Header {
	if x.Response != nil {
		return x.Response.Header
	}
	return x.Request.Header
}

// dropSpellings removes the fields of a request that an application may take
// for this one, because it reads _ as - (T22).
func dropSpellings(h http.Header, name string) (dropped bool) {
	for other := range h {
		if len(other) == len(name) && strings.IndexByte(other, '_') >= 0 && other != name &&
			strings.EqualFold(strings.ReplaceAll(other, "_", "-"), strings.ReplaceAll(name, "_", "-")) {
			delete(h, other)
			dropped = true
		}
	}
	return dropped
}
