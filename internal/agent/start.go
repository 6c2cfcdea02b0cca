package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	culvert "github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/agent/target"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/rpc"
)

// agentOptions turns settings into options of the SDK.
func (r *run) agentOptions() []culvert.AgentOption {
	s := &r.cfg.Settings
	opts := []culvert.AgentOption{
		culvert.WithAuthtoken(s.Authtoken),
		culvert.WithAutoConnect(false),
		culvert.WithAgentConnectURL(s.Server),
		culvert.WithAgentMetadata(s.Metadata),
		culvert.WithHeartbeatInterval(s.HeartbeatInterval),
		culvert.WithHeartbeatTolerance(s.HeartbeatTolerance),
		culvert.WithDrainTimeout(drainTime),
		culvert.WithClientInfo("culvert", r.cfg.Version),
		culvert.WithEventHandler(r.monitor.queue.put),
		culvert.WithHTTPRequestEvents(r.monitor.showsRequests()),
		culvert.WithDialer(localDialer{newDialer(s)}),
		culvert.WithTLSConfig(func(c *tls.Config) { c.MinVersion, c.MaxVersion = s.TLSMin, s.TLSMax }),
	}
	if s.Fingerprint != "" {
		opts = append(opts, culvert.WithCAFingerprint(s.Fingerprint))
	}
	if s.CAs != nil {
		opts = append(opts, culvert.WithAgentConnectCAs(s.CAs))
	}
	if r.cfg.Proxy != "" {
		opts = append(opts, culvert.WithProxyURL(r.cfg.Proxy))
	}
	if s.RemoteManagement {
		opts = append(opts, culvert.WithRPCHandler(r.command))
	}
	return opts
}

// command answers an order of the server. What it orders happens after the
// answer has been sent.
func (r *run) command(_ context.Context, _ culvert.AgentSession, req rpc.Request) ([]byte, error) {
	switch req.Method() {
	case rpc.StopAgentMethod:
		r.cfg.Logger.Info("stopping by order of the server", "obj", "csess")
		r.ordered(Stopped)
		return nil, nil
	case rpc.RestartAgentMethod:
		if r.cfg.CheckRestart == nil {
			return nil, fault.New(fault.CommandUnsupported, "restart", "this agent cannot start itself again")
		}
		if err := r.cfg.CheckRestart(); err != nil {
			r.cfg.Logger.Error("a restart was ordered and refused", "obj", "csess", "err", err)
			return nil, fault.Wrap(err, fault.CommandFailed, "restart", err)
		}
		r.cfg.Logger.Info("restarting by order of the server", "obj", "csess")
		r.ordered(Restart)
		return nil, nil
	}
	return nil, fault.New(fault.CommandUnsupported, "update", "this agent does not replace itself; update it with what installed it")
}

func (r *run) ordered(o Outcome) {
	select {
	case r.order <- o:
	default: // one order is enough
	}
}

// start brings one endpoint online.
func (r *run) start(ctx context.Context, s config.Spec) error {
	s, err := withPolicy(ctx, s)
	if err != nil {
		return err
	}
	// The endpoint lives as long as the session, but waiting for it does not.
	binding, cancel := context.WithCancelCause(r.session)
	stop := context.AfterFunc(ctx, func() { cancel(errStopping) })
	if s.Upstream.Scheme == target.File {
		defer cancel(nil)
		defer stop()
		return fromPolicy(r.serveFiles(binding, s), s) //nolint:contextcheck // the endpoint outlives ctx, to drain
	}
	e, err := r.agent.Forward(binding, upstream(s), endpointOptions(s)...) //nolint:contextcheck // as above
	if !stop() || err != nil {
		cancel(errStopping)
	}
	if err != nil {
		return fromPolicy(err, s)
	}
	r.keep(s.Name, e)
	return nil
}

func (r *run) keep(name string, e culvert.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = append(r.started, starting{name, e})
}

// endpointOptions turns what is asked of the server into options of the SDK.
func endpointOptions(s config.Spec) []culvert.EndpointOption {
	opts := []culvert.EndpointOption{
		culvert.WithURL(s.URL.String()),
		culvert.WithName(s.Name),
		culvert.WithDescription(s.Description),
		culvert.WithMetadata(s.Metadata),
		culvert.WithPoolingEnabled(s.Pooling),
		culvert.WithBindings(s.Bindings...),
		culvert.WithTrafficPolicy(s.Policy),
		culvert.WithModules(s.Modules),
	}
	if s.Subdomain != "" {
		opts = append(opts, culvert.WithSubdomain(s.Subdomain))
	}
	if s.AgentTLS != nil {
		opts = append(opts, culvert.WithAgentTLSTermination(s.AgentTLS))
	}
	if e := s.EdgeTLS; e != nil {
		if s.URL.Scheme == endpoint.TLS {
			opts = append(opts, culvert.WithServerTLSTermination(e.Certificate, e.Key))
		}
		opts = append(opts, culvert.WithServerMutualTLS(e.ClientCAs))
	}
	return opts
}

// upstream turns where to forward to into an upstream of the SDK.
func upstream(s config.Spec) *culvert.Upstream {
	var opts []culvert.UpstreamOption
	text := s.Upstream.String()
	if s.URL.Scheme == endpoint.TLS && s.UpstreamTLS == nil && s.Upstream.Secure() {
		text = "tcp://" + s.Upstream.Address // the client's TLS goes through as it is
	}
	if s.UpstreamTLS != nil {
		opts = append(opts, culvert.WithUpstreamTLSClientConfig(s.UpstreamTLS))
	}
	if s.HTTP2 {
		opts = append(opts, culvert.WithUpstreamProtocol("http2"))
	}
	switch s.ProxyProtocol {
	case 1:
		opts = append(opts, culvert.WithUpstreamProxyProto(culvert.ProxyProtoV1))
	case 2:
		opts = append(opts, culvert.WithUpstreamProxyProto(culvert.ProxyProtoV2))
	}
	if s.HostHeader != "" {
		opts = append(opts, culvert.WithUpstreamHostHeader(s.HostHeader))
	}
	return culvert.WithUpstream(text, opts...)
}

// Probe tries the server that a run with the same settings would connect to.
type Probe struct {
	culvert.Diagnoser
	// Dialer opens connections to the server as a run would, without its proxy.
	Dialer *net.Dialer
}

// Authenticate opens a session with the server and closes it again. It is
// nothing but a question: no endpoint goes online.
func (p *Probe) Authenticate(ctx context.Context) error {
	if err := p.Connect(ctx); err != nil {
		return err
	}
	return p.Disconnect()
}

// NewProbe returns a probe. It opens nothing.
func NewProbe(s config.Settings, proxy, version string) (*Probe, error) {
	cfg := &Config{Settings: s, Proxy: proxy, Version: version, Logger: slog.New(slog.DiscardHandler)}
	r := &run{cfg: cfg, monitor: newMonitor(cfg)}
	a, err := culvert.NewAgent(r.agentOptions()...)
	if err != nil {
		return nil, err
	}
	d, ok := a.(culvert.Diagnoser)
	if !ok { // every agent of the SDK is one
		return nil, errors.ErrUnsupported
	}
	return &Probe{Diagnoser: d, Dialer: newDialer(&s)}, nil
}
