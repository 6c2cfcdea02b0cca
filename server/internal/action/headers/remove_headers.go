package headers

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// removeHeaders is remove-headers.
type removeHeaders struct {
	Headers []string `field:"headers,required" count:"1,10" doc:"names of the headers to remove"`
}

func newRemoveHeaders(c *removeHeaders, b *policy.Build) policy.Action {
	names := c.Headers
	c.Headers = nil
	for i, name := range names {
		field := fmt.Sprintf("headers[%d]", i)
		if !b.CheckHeaderName(field, name) {
			continue
		}
		switch canonical := http.CanonicalHeaderKey(name); {
		case canonical == "User-Agent", canonical == "Host":
			b.Problem(field, fault.HeaderReserved, "the header %s may not be removed", strings.ToLower(name))
		case policy.Reserved(canonical):
			b.Warn(field, fault.HeaderReserved, "the header %s belongs to the connection, and is not removed by a policy", strings.ToLower(name))
		default:
			c.Headers = append(c.Headers, canonical)
		}
	}
	return c
}

// Do implements policy.Action.
func (c *removeHeaders) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	h, removed := header(x), []string{}
	for _, name := range c.Headers {
		_, ok := h[name]
		delete(h, name)
		if x.Response == nil && dropSpellings(h, name) || ok {
			removed = append(removed, strings.ToLower(name))
		}
	}
	if x.Response == nil {
		x.Removed = append(x.Removed, c.Headers...)
	}
	x.SetResult("remove_headers", map[string]any{"headers_removed": removed})
	return policy.Continue, nil
}
