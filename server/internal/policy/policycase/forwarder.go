package policycase

import (
	"context"
	"net/http"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Forwarder is a policy.Forwarder without a network. A request is answered by
// what WithInternal has put into the context; connections go where they are
// sent.
type Forwarder struct{}

type internalKey struct{}

// WithInternal returns a context in which internal endpoints answer with what f
// returns.
func WithInternal(ctx context.Context, f func(to endpoint.URL) (*http.Response, error)) context.Context {
	return context.WithValue(ctx, internalKey{}, f)
}

// Forward implements policy.Forwarder.
func (Forwarder) Forward(ctx context.Context, x *policy.Exchange, to endpoint.URL) error {
	if x.Request == nil {
		x.Conn.Target = to
		return nil
	}
	f, ok := ctx.Value(internalKey{}).(func(endpoint.URL) (*http.Response, error))
	if !ok {
		return fault.New(fault.EndpointOffline, to.String())
	}
	var err error
	x.Response, err = f(to) //nolint:bodyclose // the exchange has it
	return err
}
