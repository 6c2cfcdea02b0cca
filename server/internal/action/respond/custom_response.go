package respond

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// customResponse is custom-response.
type customResponse struct {
	Status  int            `field:"status_code" range:"200,599" doc:"status of the answer; default 200"`
	Body    *expr.Template `field:"body" alias:"content" doc:"body of the answer; default empty"`
	Headers policy.Fields  `field:"headers" count:"0,10" doc:"headers of the answer"`
}

func newCustomResponse(c *customResponse, b *policy.Build) policy.Action {
	var had bool
	if c.Headers, had = without(c.Headers, "Content-Length"); had {
		b.Warn("headers", fault.HeaderReserved, "content-length is worked out from the body, and this value is not used")
	}
	b.CheckHeaders("headers", c.Headers, "Host")
	if c.Body == nil || policy.BodyAllowed(c.Status) {
		return c
	}
	if s, ok := c.Body.Static(); ok && s != "" {
		b.Problem("body", fault.BodyNotAllowed, "an answer with status %d has no body", c.Status)
		return nil
	}
	return c
}

// Do implements policy.Action.
func (c *customResponse) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	body, err := x.Text(c.Body)
	if err != nil {
		return 0, err
	}
	headers, err := evaluate(x, c.Headers)
	if err != nil {
		return 0, err
	}
	if body != "" && !policy.BodyAllowed(c.Status) {
		return 0, fault.New(fault.BodyNotAllowed, strconv.Itoa(c.Status))
	}
	resp := x.Respond(c.Status, body) //nolint:bodyclose // a text
	if body != "" {
		resp.Header.Set("Content-Type", contentType(body))
	}
	set(resp.Header, headers)
	return policy.Answer, nil
}

// Ends implements policy.Ender.
func (c *customResponse) Ends() bool { return true }

// contentType guesses the type of a body (traffic-policy.md 6.7).
func contentType(body string) string {
	if t := strings.TrimLeft(body, " \t\r\n"); t != "" && (t[0] == '{' || t[0] == '[') && json.Valid([]byte(body)) {
		return "application/json"
	}
	return http.DetectContentType([]byte(body[:min(len(body), 512)]))
}
