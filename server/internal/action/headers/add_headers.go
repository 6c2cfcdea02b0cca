package headers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// addHeaders is add-headers.
type addHeaders struct {
	Headers policy.Fields `field:"headers,required" count:"1,10" fault:"header" doc:"headers to add, each as a line of its own"`
}

func newAddHeaders(c *addHeaders, b *policy.Build) policy.Action {
	refused := []string{"User-Agent"}
	if b.Phase == policy.OnHTTPRequest {
		refused = append(refused, "Ngrok-Skip-Browser-Warning")
	}
	b.CheckHeaders("headers", c.Headers, refused...)
	return c
}

// Do implements policy.Action.
func (c *addHeaders) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	values := make([]string, len(c.Headers))
	for i, f := range c.Headers {
		var err error
		if values[i], err = x.HeaderText(f.Value); err != nil {
			return 0, err
		}
	}
	h := header(x)
	for i, f := range c.Headers {
		if f.Name == "Host" && x.Response == nil {
			if err := setHost(x.Request, values[i]); err != nil {
				return 0, err
			}
			continue
		}
		if x.Response == nil {
			dropSpellings(h, f.Name)
		}
		h[f.Name] = append(h[f.Name], values[i])
		x.Removed = slices.DeleteFunc(x.Removed, func(name string) bool { return name == f.Name })
	}
	x.SetResultLater("add_headers", func() map[string]any {
		added := make(map[string]any, len(values))
		for i, f := range c.Headers {
			added[strings.ToLower(f.Name)] = values[i]
		}
		return map[string]any{"headers_added": added}
	})
	return policy.Continue, nil
}

// setHost replaces the Host that goes upstream.
func setHost(r *http.Request, host string) error {
	if host == "" || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`/\?#@<>"`, c) }) {
		return fault.New(fault.InterpolationFailed, fmt.Sprintf("%q is no host for the header host", host))
	}
	r.Host = host
	return nil
}
