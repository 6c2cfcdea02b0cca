package ngrokv1_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"testing"
	"time"

	"golang.ngrok.com/ngrok"
	"golang.ngrok.com/ngrok/config"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// library adapts the SDK. It trusts an upstream only by the machine's own authorities.
func library() oracle.Library {
	return oracle.Library{
		Connect: connect,
		Code: func(err error) string {
			if e, ok := errors.AsType[ngrok.Error](err); ok {
				return e.ErrorCode()
			}
			return ""
		},
		Lacks: oracle.Lacks{AgentTLS: true, HalfClose: true, Heartbeats: oracle.Race, Trust: true},
	}
}

// connect opens sessions until one is whole.
func connect(t *testing.T, s oracle.Settings) (oracle.Session, error) {
	for {
		got, err := open(t, s)
		if err != nil {
			return nil, err
		}
		if whole(got.sess) {
			return got, nil
		}
		got.Close()
	}
}

// whole tells whether the SDK has kept what it learnt from the server. It races with itself: a session that came online
// sooner than expected loses its details, and its logger, which it will follow as a nil pointer when it closes.
func whole(s ngrok.Session) bool { return s.(interface{ Region() string }).Region() != "" }

// open returns the first refusal; by itself the SDK would try for ever.
func open(t *testing.T, s oracle.Settings) (*session, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	refused := make(chan error, 1)
	opts := []ngrok.ConnectOption{
		ngrok.WithAuthtoken(s.Token),
		ngrok.WithServer(s.Addr),
		ngrok.WithCA(pool),
		ngrok.WithDisconnectHandler(func(_ context.Context, _ ngrok.Session, err error) {
			if err == nil {
				return
			}
			select {
			case refused <- err:
			default:
			}
		}),
	}
	if oracle.Race {
		opts = append(opts, ngrok.WithHeartbeatInterval(time.Hour))
	}
	if s.Beats != nil {
		opts = append(opts, ngrok.WithHeartbeatInterval(time.Second), ngrok.WithHeartbeatTolerance(time.Second),
			ngrok.WithHeartbeatHandler(func(context.Context, ngrok.Session, time.Duration) {
				select {
				case s.Beats <- struct{}{}:
				default:
				}
			}))
	}
	if s.Commands != nil {
		send := func(verb string) ngrok.ServerCommandHandler {
			return func(context.Context, ngrok.Session) error { s.Commands <- verb; return nil }
		}
		opts = append(opts, ngrok.WithStopHandler(send("stop")), ngrok.WithRestartHandler(send("restart")))
	}
	ctx, cancel := context.WithCancel(context.Background()) // the session's life, not the call's
	t.Cleanup(cancel)
	type result struct {
		sess ngrok.Session
		err  error
	}
	done := make(chan result, 1)
	go func() { sess, err := ngrok.Connect(ctx, opts...); done <- result{sess, err} }()
	select {
	case r := <-done:
		return &session{ctx, r.sess}, r.err
	case err := <-refused:
		cancel()
		<-done
		return nil, err
	}
}

type session struct {
	ctx  context.Context //nolint:containedctx // the SDK ends tunnels with the context they were made with
	sess ngrok.Session
}

func (s *session) Close() error { return s.sess.Close() }

// both is what http, tls and tcp endpoints have in common.
type both interface {
	config.HTTPEndpointOption
	config.TLSEndpointOption
	config.TCPEndpointOption
}

func tunnel(e oracle.Endpoint) config.Tunnel {
	if e.Labels != nil {
		var opts []config.LabeledTunnelOption
		for k, v := range e.Labels {
			opts = append(opts, config.WithLabel(k, v))
		}
		return config.LabeledTunnel(opts...)
	}
	common := []both{config.WithMetadata("oracle"), config.WithPoolingEnabled(e.Pooling)}
	if e.PROXY != 0 {
		common = append(common, config.WithProxyProto([]config.ProxyProtoVersion{config.ProxyProtoV1, config.ProxyProtoV2}[e.PROXY-1]))
	}
	if e.URL != "" {
		common = append(common, config.WithURL(e.URL))
	}
	if e.Binding != "" {
		common = append(common, config.WithBindings(e.Binding))
	}
	if e.Policy != "" {
		common = append(common, config.WithTrafficPolicy(e.Policy))
	}
	switch e.Scheme {
	case "tcp":
		var opts []config.TCPEndpointOption
		for _, o := range common {
			opts = append(opts, o)
		}
		if e.Host != "" {
			opts = append(opts, config.WithRemoteAddr(e.Host))
		}
		return config.TCPEndpoint(opts...)
	case "tls":
		return config.TLSEndpoint(tlsOptions(e, common)...)
	}
	return config.HTTPEndpoint(httpOptions(e, common)...)
}

func tlsOptions(e oracle.Endpoint, common []both) []config.TLSEndpointOption {
	var opts []config.TLSEndpointOption
	for _, o := range common {
		opts = append(opts, o)
	}
	if e.Host != "" {
		opts = append(opts, config.WithDomain(e.Host))
	}
	if e.EdgeTLS {
		opts = append(opts, config.WithTLSTermination())
	}
	if e.EdgeCert != nil {
		opts = append(opts, config.WithTLSTermination(config.WithTLSTerminationKeyPair(e.EdgeCert.Cert, e.EdgeCert.Key)))
	}
	if e.ClientCAs != nil {
		opts = append(opts, config.WithMutualTLSCA(certificate(e.ClientCAs)))
	}
	return opts
}

func httpOptions(e oracle.Endpoint, common []both) []config.HTTPEndpointOption {
	opts := []config.HTTPEndpointOption{config.WithScheme(config.Scheme(e.Scheme))}
	for _, o := range common {
		opts = append(opts, o)
	}
	if e.Host != "" {
		opts = append(opts, config.WithDomain(e.Host))
	}
	if e.ClientCAs != nil {
		opts = append(opts, config.WithMutualTLSCA(certificate(e.ClientCAs)))
	}
	if e.HTTP2 {
		opts = append(opts, config.WithAppProtocol("http2"))
	}
	return opts
}

func certificate(text []byte) *x509.Certificate {
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err) // made by the oracle
	}
	return c
}

func (s *session) Listen(_ context.Context, e oracle.Endpoint, app oracle.App) (oracle.Online, error) {
	tun, err := s.sess.Listen(s.ctx, tunnel(e))
	if err != nil {
		return nil, err
	}
	go oracle.Serve(tun, app)
	return tun, nil
}

func (s *session) Forward(_ context.Context, e oracle.Endpoint, upstream string) (oracle.Online, error) {
	u, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	return s.sess.ListenAndForward(s.ctx, u, tunnel(e))
}

func TestOracle(t *testing.T) { oracle.Run(t, library()) }
