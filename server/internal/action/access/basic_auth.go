package access

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

type basicConfig struct {
	Credentials policy.Tree `field:"credentials,required" doc:"1 to 10 texts user:password, perhaps with ${…}; the password has 8 to 128 characters"`
	Realm       string      `field:"realm" length:"0,128" doc:"what browsers show when they ask for the password; ASCII"`
	Enforce     bool        `field:"enforce" doc:"false checks and never refuses"`
}

func basicDefinition(t *throttle) policy.Definition {
	return policy.Define(policy.Definition{
		Type:   "basic-auth",
		Doc:    "Asks for a user name and a password.",
		Phases: []policy.Phase{policy.OnHTTPRequest}, Protects: true,
		Results: []expr.Variable{
			{Name: "basic_auth.credentials.presented", Kind: expr.KindBool, Doc: "whether the request has credentials"},
			{Name: "basic_auth.credentials.username", Kind: expr.KindText, Doc: "the user name that it has"},
			{Name: "basic_auth.credentials.authorized", Kind: expr.KindBool, Doc: "whether they are right"},
		},
	}, basicConfig{Realm: "ngrok", Enforce: true}, func(c *basicConfig, b *policy.Build) policy.Action {
		return buildBasic(c, b, t)
	})
}

type basicAuth struct {
	credentials []credential
	challenge   string
	enforce     bool
	throttle    *throttle
}

func buildBasic(c *basicConfig, b *policy.Build, t *throttle) policy.Action {
	a := &basicAuth{enforce: c.Enforce, throttle: t}
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r < ' ' || r > '~' }) {
		b.Problem("realm", fault.PolicyValueInvalid, "a realm holds printable ASCII characters")
	}
	a.challenge = `Basic realm="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(c.Realm) + `"`
	names, list := c.Credentials.Entries()
	if names != nil || c.Credentials.Template() != nil {
		list = []policy.Tree{c.Credentials} // one stands for a list of one
	}
	switch {
	case len(list) == 0:
		b.Problem("credentials", fault.PolicyValueEmpty, "one user:password is needed at least")
	case len(list) > maxCredentials:
		b.Problem("credentials", fault.PolicyTooMany, "there are %d, and at most %d are allowed", len(list), maxCredentials)
	}
	for i := range list {
		a.credentials = append(a.credentials, buildCredential(fmt.Sprintf("credentials[%d]", i), &list[i], b))
	}
	return a
}

// Do implements policy.Action. The header still goes upstream.
func (a *basicAuth) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	user, password, presented := x.Request.BasicAuth()
	wait, throttled := time.Duration(0), false
	if presented {
		wait, throttled = a.throttle.check(x.Conn.Client)
	}
	authorized := presented && !throttled && a.match(x, digestOf(user, password))
	if presented && !throttled && !authorized {
		a.throttle.failed(x.Conn.Client)
	}
	x.SetResult("basic_auth", map[string]any{
		"credentials.presented": presented, "credentials.username": user, "credentials.authorized": authorized,
	})
	switch {
	case authorized || !a.enforce:
		return policy.Continue, nil
	case throttled:
		resp := x.Respond(http.StatusTooManyRequests, "") //nolint:bodyclose // it is the exchange's
		resp.Header.Set("Retry-After", strconv.Itoa(max(int((wait+time.Second-1)/time.Second), 1)))
	default:
		x.Respond(http.StatusUnauthorized, "").Header.Set("WWW-Authenticate", a.challenge) //nolint:bodyclose // it is the exchange's
	}
	return policy.Refuse, nil
}

// match compares with every credential, whichever is right.
func (a *basicAuth) match(x *policy.Exchange, given digest) bool {
	found := 0
	for i := range a.credentials {
		want, ok := a.credentials[i].digest(x)
		equal := subtle.ConstantTimeCompare(want[:], given[:])
		if ok {
			found |= equal
		}
	}
	return found == 1
}
