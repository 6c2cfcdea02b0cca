package own_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/rpc"
	"github.com/culvert-project/culvert/server/compat/oracle"
)

// library adapts the SDK. It asks for edge termination and client certificates by traffic policy only.
func library() oracle.Library {
	return oracle.Library{
		Connect: connect,
		Code:    code,
		Lacks:   oracle.Lacks{EdgeTLS: true, MutualTLS: true, Labels: true},
	}
}

func code(err error) string {
	if e, ok := errors.AsType[culvert.Error](err); ok {
		return e.Code()
	}
	return ""
}

func connect(t *testing.T, s oracle.Settings) (oracle.Session, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	opts := []culvert.AgentOption{
		culvert.WithAuthtoken(s.Token),
		culvert.WithAgentConnectURL(s.Addr),
		culvert.WithAgentConnectCAs(pool),
		culvert.WithLogger(slog.New(slog.DiscardHandler)),
	}
	if s.Beats != nil {
		opts = append(opts, culvert.WithHeartbeatInterval(time.Second), culvert.WithHeartbeatTolerance(time.Second),
			culvert.WithEventHandler(func(e culvert.Event) {
				if _, ok := e.(*culvert.EventAgentHeartbeatReceived); ok {
					select {
					case s.Beats <- struct{}{}:
					default:
					}
				}
			}))
	}
	if s.Commands != nil {
		opts = append(opts, culvert.WithRPCHandler(func(_ context.Context, _ culvert.AgentSession, r rpc.Request) ([]byte, error) {
			switch r.Method() {
			case rpc.StopAgentMethod:
				s.Commands <- "stop"
			case rpc.RestartAgentMethod:
				s.Commands <- "restart"
			}
			return nil, nil
		}))
	}
	agent, err := culvert.NewAgent(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background()) // the session's life, not the call's
	t.Cleanup(cancel)
	return &session{ctx, agent}, agent.Connect(ctx)
}

type session struct {
	ctx   context.Context //nolint:containedctx // the SDK ends endpoints with the context they were made with
	agent culvert.Agent
}

func (s *session) Close() error { return s.agent.Disconnect() }

func options(e oracle.Endpoint) []culvert.EndpointOption {
	u := e.URL
	if u == "" {
		u = e.Scheme + "://" + e.Host
	}
	opts := []culvert.EndpointOption{culvert.WithURL(u), culvert.WithMetadata("oracle")}
	if e.Pooling {
		opts = append(opts, culvert.WithPoolingEnabled(true))
	}
	if e.AgentTLS != nil {
		opts = append(opts, culvert.WithAgentTLSTermination(e.AgentTLS))
	}
	if e.Binding != "" {
		opts = append(opts, culvert.WithBindings(e.Binding))
	}
	if e.Policy != "" {
		opts = append(opts, culvert.WithTrafficPolicy(e.Policy))
	}
	return opts
}

func (s *session) Listen(_ context.Context, e oracle.Endpoint, app oracle.App) (oracle.Online, error) {
	ln, err := s.agent.Listen(s.ctx, options(e)...)
	if err != nil {
		return nil, err
	}
	go oracle.Serve(ln, app)
	return online{ln}, nil
}

func (s *session) Forward(_ context.Context, e oracle.Endpoint, upstream string) (oracle.Online, error) {
	up := []culvert.UpstreamOption{culvert.WithUpstreamTLSClientConfig(&tls.Config{InsecureSkipVerify: true})}
	switch e.PROXY {
	case 1:
		up = append(up, culvert.WithUpstreamProxyProto(culvert.ProxyProtoV1))
	case 2:
		up = append(up, culvert.WithUpstreamProxyProto(culvert.ProxyProtoV2))
	}
	if e.HTTP2 {
		up = append(up, culvert.WithUpstreamProtocol("http2"))
	}
	fwd, err := s.agent.Forward(s.ctx, culvert.WithUpstream(upstream, up...), options(e)...)
	if err != nil {
		return nil, err
	}
	return online{fwd}, nil
}

type online struct{ culvert.Endpoint }

func (o online) URL() string { return o.Endpoint.URL().String() }

func (o online) Close() error { return o.Endpoint.Close() }

func TestOracle(t *testing.T) { oracle.Run(t, library()) }
