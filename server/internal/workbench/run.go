package workbench

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
)

// Try is one request, or connection, and the policy that it meets.
type Try struct {
	Policy File
	// Endpoint is the URL of the endpoint. Without a scheme it is https, and
	// without a host that of the request.
	Endpoint endpoint.URL
	// Binding and Cloud are as in policy.Target.
	Binding endpoint.Binding
	Cloud   bool
	// Request is a request as text, with lines that end in LF or CR LF. Nil
	// for tcp and tls.
	Request []byte
	// Response is the answer of the upstream, and of internal endpoints, as
	// text; default policycase.Hello.
	Response []byte
	// Client is the client's address; default 203.0.113.7:4711.
	Client netip.AddrPort
	// SNI is the server name of the ClientHello; default the endpoint's host.
	SNI string
	// TLS is the state after the handshake; nil for plain connections and
	// before policies of tcp and tls.
	TLS *tls.ConnectionState
	// Services answer what expressions ask of the world outside.
	Services policy.Services
}

// DefaultClient is the address of a client that nothing is known of.
var DefaultClient = netip.MustParseAddrPort("203.0.113.7:4711") //nolint:gochecknoglobals // a constant of a type that has none

// Report is what a policy did.
type Report struct {
	Diagnostics []Diagnostic `json:"diagnostics"`
	// Phases are in the order in which they ran.
	Phases []Phase `json:"phases"`
	// Sent is the request as the upstream, or To, gets it.
	Sent string `json:"sent,omitempty"`
	// To is the internal endpoint to which a request or connection went on.
	To string `json:"to,omitempty"`
	// Outcome is "answer of the upstream", "answer of the policy", "refusal",
	// "error page", "stream ends", "closed", "accepted" or "forwarded"; empty
	// if the policy was refused.
	Outcome string `json:"outcome"`
	// Status and Answer are those of the answer; Answer has its fields and
	// body.
	Status int    `json:"status,omitempty"`
	Answer string `json:"answer,omitempty"`
	// Code and Error are those of the error page.
	Code  fault.Code `json:"code,omitempty"`
	Error string     `json:"error,omitempty"`
}

// Run shows what a policy does with one request. It reports whether the policy
// is sound; whatever it then does is a result.
func (b *Bench) Run(ctx context.Context, o Output, t Try) (sound bool, err error) {
	r := &rehearsal{Try: t, bench: b}
	if err := r.prepare(); err != nil {
		return false, err
	}
	program, found := b.judge(t.Policy, policy.Target{Scheme: r.Endpoint.Scheme, Binding: t.Binding, Cloud: t.Cloud})
	r.report.Diagnostics = diagnosticsOf(found)
	if !found.Failed() {
		if err := r.run(ctx, program); err != nil {
			return false, err
		}
	}
	if o.JSON {
		return !found.Failed(), o.json(r.report)
	}
	var text strings.Builder
	for _, d := range found {
		o.diagnostic(&text, t.Policy, d)
	}
	if !found.Failed() {
		o.tell(&text, &r.report)
	}
	return !found.Failed(), o.write(text.String())
}

// rehearsal is one run.
type rehearsal struct {
	Try
	bench    *Bench
	request  *http.Request
	conn     *policy.Conn
	recorder *recorder
	report   Report
}

// prepare reads the request and fills in defaults.
func (r *rehearsal) prepare() error {
	if r.Endpoint.Scheme == "" {
		r.Endpoint.Scheme = endpoint.HTTPS
	}
	if http := r.Endpoint.Scheme.IsHTTP(); http != (r.Request != nil) {
		if http {
			return fmt.Errorf("an %s endpoint gets a request, and there is none", r.Endpoint.Scheme)
		}
		return fmt.Errorf("a %s endpoint gets connections and no request", r.Endpoint.Scheme)
	}
	if r.Request != nil {
		var err error
		if r.request, err = policycase.ReadRequest(plainHead(r.Request)); err != nil {
			return err
		}
		if r.Endpoint.Host == "" {
			u, err := endpoint.ParseURL(r.request.Host, r.Endpoint.Scheme)
			if err != nil {
				return err
			}
			r.Endpoint = u
		}
	}
	if r.Response == nil {
		r.Response = []byte(policycase.Hello)
	}
	r.Response = plainHead(r.Response)
	if !r.Client.IsValid() {
		r.Client = DefaultClient
	}
	if r.SNI == "" && r.Endpoint.Scheme != endpoint.HTTP && r.Endpoint.Scheme != endpoint.TCP {
		r.SNI = r.Endpoint.Host
	}
	return nil
}

// plainHead ends the lines of a message's head with LF, and drops a line end
// behind its body.
func plainHead(text []byte) []byte {
	head, body, found := bytes.Cut(text, []byte("\r\n\r\n"))
	if lf := bytes.Index(text, []byte("\n\n")); !found || lf >= 0 && lf < len(head) {
		return text
	}
	return slices.Concat(bytes.ReplaceAll(head, []byte("\r\n"), []byte("\n")), []byte("\n\n"), bytes.TrimSuffix(body, []byte("\r\n")))
}

func (r *rehearsal) now() time.Time {
	if r.Services.Now != nil {
		return r.Services.Now()
	}
	return time.Now()
}

func (r *rehearsal) run(ctx context.Context, p *policy.Program) error {
	if p == nil { // it is empty or switched off
		return r.untouched()
	}
	port := r.Endpoint.WithDefaults().Port
	r.conn = &policy.Conn{
		ID: "conn_1", Client: r.Client, Server: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port),
		Start: r.now(), SNI: r.SNI,
	}
	r.recorder = &recorder{registry: r.bench.registry, program: p}
	defer func() { r.report.Phases = r.recorder.phases }()
	if open := r.connect(ctx, p); !open || r.request == nil {
		return nil
	}
	r.conn.TLS = r.TLS
	return r.exchange(ctx, p)
}

// untouched is what becomes of traffic without a policy.
func (r *rehearsal) untouched() error {
	if r.request == nil {
		r.report.Outcome = "accepted"
		return nil
	}
	resp, err := policycase.ReadResponse(r.Response, r.request)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // a text
	var answer strings.Builder
	r.report.Outcome, r.report.Status = policycase.OriginName(policy.FromUpstream), resp.StatusCode
	err = policycase.WriteResponse(&answer, resp)
	r.report.Answer = answer.String()
	return err
}

func (r *rehearsal) newExchange(p *policy.Program) *policy.Exchange {
	x := policy.NewExchange(p.Env(), r.conn)
	x.Endpoint = policy.Endpoint{ID: "ep_1", Account: "ac_1", URL: r.Endpoint, Name: "ep_1"}
	x.Services = r.Services
	r.recorder.attach(x)
	return x
}

// connect runs the connect phase and reports whether the connection goes on to
// requests.
func (r *rehearsal) connect(ctx context.Context, p *policy.Program) (open bool) {
	x := r.newExchange(p)
	v, err := p.Run(ctx, policy.OnTCPConnect, x)
	switch {
	case err != nil:
		r.fault("closed", fault.From(err))
		r.report.Status = 0 // nothing is sent
	case v == policy.Refuse || v == policy.Close:
		r.report.Outcome = "closed"
	case v == policy.Answer:
		r.report.Outcome, r.report.To = "forwarded", fmt.Sprint(r.conn.Target)
	default:
		r.report.Outcome = "accepted"
		return true
	}
	return false
}

func (r *rehearsal) fault(outcome string, f *fault.Error) {
	r.report.Outcome, r.report.Status, r.report.Code, r.report.Error = outcome, f.Status, f.Code, f.Message
}

// exchange takes the request through its phases.
func (r *rehearsal) exchange(ctx context.Context, p *policy.Program) error {
	x := r.newExchange(p)
	x.Request = r.request
	policycase.Receive(x, r.now())
	defer x.UpstreamDone(0, nil)
	upstream := func() (*http.Response, error) {
		var sent strings.Builder
		if err := policycase.WriteRequest(&sent, x); err != nil {
			return nil, err
		}
		r.report.Sent = sent.String()
		return policycase.ReadResponse(r.Response, x.Request)
	}
	ctx = policycase.WithInternal(ctx, func(to endpoint.URL) (*http.Response, error) {
		r.report.To = to.String()
		return upstream()
	})
	out, err := policycase.Pass(ctx, p, x, upstream)
	switch {
	case err != nil:
		return err
	case out.Closed:
		r.report.Outcome = "closed"
		return nil
	case out.Fault != nil:
		r.fault(policycase.OriginName(policy.FromErrorPage), out.Fault)
		return nil
	}
	r.report.Outcome, r.report.Status = policycase.OriginName(out.Origin), x.Response.StatusCode
	return r.answer(ctx, p, x)
}

// answer takes down the answer, after the event phase if it is a stream.
func (r *rehearsal) answer(ctx context.Context, p *policy.Program, x *policy.Exchange) error {
	var answer strings.Builder
	fmt.Fprintf(&answer, "%d\nContent-Type: %s\n\n", x.Response.StatusCode, x.Response.Header.Get("Content-Type"))
	events, err := policycase.Events(ctx, p, x, func(fail error) {
		if fail != nil {
			r.fault("stream ends", fault.From(fail))
			return
		}
		if x.Message.Retry != "" {
			fmt.Fprintf(&answer, "retry: %s\n", x.Message.Retry)
		}
		fmt.Fprintf(&answer, "data: %s\n\n", strings.ReplaceAll(x.Message.Data, "\n", "\ndata: "))
	})
	if err != nil {
		return err
	}
	if !events {
		answer.Reset()
		err = policycase.WriteResponse(&answer, x.Response)
	}
	r.report.Answer = answer.String()
	return err
}
