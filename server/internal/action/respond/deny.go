package respond

import (
	"context"
	"net/http"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// deny is deny.
type deny struct {
	Status int    `field:"status_code" range:"400,599" doc:"status of the answer to a request; default 403"`
	Code   string `field:"error_code" enum:"ERR_NGROK_3211" doc:"answer with this code and its page, in place of a status; it stands for a User-Agent that is not allowed"`
	Body   string `field:"body" doc:"accepted, and without effect"`
}

func newDeny(c *deny, b *policy.Build) policy.Action {
	if c.Code != "" && (c.Status != 0 || b.Phase == policy.OnTCPConnect) {
		b.Problem("error_code", fault.ActionConfigInvalid, "a code brings its own status, and is for requests")
		return nil
	}
	if c.Status != 0 && b.Phase == policy.OnTCPConnect {
		b.Problem("status_code", fault.ActionConfigInvalid, "a connection that is denied is closed and has no status")
		return nil
	}
	if c.Body != "" {
		b.Warn("body", fault.ActionConfigInvalid, "deny answers without a body; custom-response has one")
	}
	if c.Status == 0 {
		c.Status = http.StatusForbidden
	}
	return c
}

// Do implements policy.Action.
func (c *deny) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	if x.Request == nil {
		return policy.Close, nil
	}
	if c.Code != "" {
		return policy.Refuse, fault.New(fault.Code(c.Code))
	}
	_ = x.Respond(c.Status, "") //nolint:bodyclose // a text
	return policy.Refuse, nil
}

// Ends implements policy.Ender.
func (c *deny) Ends() bool { return true }
