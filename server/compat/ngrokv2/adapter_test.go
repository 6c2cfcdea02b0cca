package ngrokv2_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"testing"
	"time"

	ngrok "golang.ngrok.com/ngrok/v2"
	"golang.ngrok.com/ngrok/v2/rpc"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// library adapts the SDK. It asks for edge termination and client certificates by traffic policy only.
func library() oracle.Library {
	return oracle.Library{
		Connect: connect,
		Code:    code,
		// HTTP/2 it speaks only to upstreams with TLS, and never asks the server for it.
		Lacks: oracle.Lacks{EdgeTLS: true, MutualTLS: true, Labels: true, HalfClose: true, Heartbeats: oracle.Race, HTTP2: true},
	}
}

// code finds the code of an error: of what calls return, and of what events carry, which the SDK does not wrap.
func code(err error) string {
	if e, ok := errors.AsType[ngrok.Error](err); ok {
		return e.Code()
	}
	var inner interface{ ErrorCode() string }
	if errors.As(err, &inner) {
		return inner.ErrorCode()
	}
	return ""
}

// connect returns the first refusal; by itself the SDK would try for ever.
func connect(t *testing.T, s oracle.Settings) (oracle.Session, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	refused := make(chan error, 1)
	opts := []ngrok.AgentOption{
		ngrok.WithAuthtoken(s.Token),
		ngrok.WithAgentConnectURL(s.Addr),
		ngrok.WithAgentConnectCAs(pool),
		ngrok.WithLogger(slog.New(slog.DiscardHandler)),
		ngrok.WithEventHandler(func(e ngrok.Event) {
			switch e := e.(type) {
			case *ngrok.EventAgentDisconnected:
				if e.Error != nil {
					select {
					case refused <- e.Error:
					default:
					}
				}
			case *ngrok.EventAgentHeartbeatReceived:
				select {
				case s.Beats <- struct{}{}:
				default:
				}
			}
		}),
	}
	if oracle.Race {
		opts = append(opts, ngrok.WithHeartbeatInterval(time.Hour))
	}
	if s.Beats != nil {
		opts = append(opts, ngrok.WithHeartbeatInterval(time.Second), ngrok.WithHeartbeatTolerance(time.Second))
	}
	if s.Commands != nil {
		opts = append(opts, ngrok.WithRPCHandler(func(_ context.Context, _ ngrok.AgentSession, r rpc.Request) ([]byte, error) {
			switch r.Method() {
			case rpc.StopAgentMethod:
				s.Commands <- "stop"
			case rpc.RestartAgentMethod:
				s.Commands <- "restart"
			}
			return nil, nil
		}))
	}
	agent, err := ngrok.NewAgent(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background()) // the session's life, not the call's
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- agent.Connect(ctx) }()
	select {
	case err := <-done:
		return &session{t, ctx, agent}, err
	case err := <-refused:
		cancel()
		<-done
		return nil, err
	}
}

type session struct {
	t     *testing.T
	ctx   context.Context //nolint:containedctx // the SDK ends endpoints with the context they were made with
	agent ngrok.Agent
}

func (s *session) Close() error { return s.agent.Disconnect() }

func options(e oracle.Endpoint) []ngrok.EndpointOption {
	u := e.URL
	if u == "" {
		u = e.Scheme + "://" + e.Host
	}
	opts := []ngrok.EndpointOption{ngrok.WithURL(u), ngrok.WithMetadata("oracle")}
	if e.Pooling {
		opts = append(opts, ngrok.WithPoolingEnabled(true))
	}
	if e.AgentTLS != nil {
		opts = append(opts, ngrok.WithAgentTLSTermination(e.AgentTLS))
	}
	if e.Binding != "" {
		opts = append(opts, ngrok.WithBindings(e.Binding))
	}
	if e.Policy != "" {
		opts = append(opts, ngrok.WithTrafficPolicy(e.Policy))
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
	up := []ngrok.UpstreamOption{ngrok.WithUpstreamTLSClientConfig(&tls.Config{InsecureSkipVerify: true})}
	switch e.PROXY {
	case 1:
		up = append(up, ngrok.WithUpstreamProxyProto(ngrok.ProxyProtoV1))
	case 2:
		up = append(up, ngrok.WithUpstreamProxyProto(ngrok.ProxyProtoV2))
	}
	if e.HTTP2 {
		up = append(up, ngrok.WithUpstreamProtocol("http2"))
	}
	fwd, err := s.agent.Forward(s.ctx, ngrok.WithUpstream(upstream, up...), options(e)...)
	if err != nil {
		return nil, err
	}
	return online{fwd}, nil
}

type online struct{ ngrok.Endpoint }

func (o online) URL() string { return o.Endpoint.URL().String() }

func (o online) Close() error { return o.Endpoint.Close() }

func TestOracle(t *testing.T) { oracle.Run(t, library()) }
