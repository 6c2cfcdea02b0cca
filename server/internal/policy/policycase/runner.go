package policycase

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Epoch is where the clock of a case stands.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Runner runs cases.
type Runner struct {
	// Registry holds the actions that the policies may use.
	Registry *policy.Registry
	// Services are those of each exchange. Without a clock they get Epoch.
	Services policy.Services
	// Prepare, if not nil, is called with each new exchange.
	Prepare func(x *policy.Exchange)
}

// Case runs the case that these files make and returns what came out. It fails
// if the case itself is not well formed.
func (r Runner) Case(ctx context.Context, compiler *policy.Compiler, c Files) ([]byte, error) {
	run := &caseRun{Runner: r, files: c}
	if err := run.setUp(compiler); err != nil || run.program == nil {
		return run.out.Bytes(), err
	}
	if refused, err := run.connect(ctx); err != nil || refused {
		return run.out.Bytes(), err
	}
	upstreams := run.files.numbered("upstream")
	for i, text := range run.files.numbered("request") {
		upstream := []byte(Hello)
		if len(upstreams) > 0 {
			upstream = upstreams[min(i, len(upstreams)-1)]
		}
		closed, err := run.exchange(ctx, text, upstream)
		if err != nil || closed {
			return run.out.Bytes(), err
		}
	}
	return run.out.Bytes(), nil
}

// caseRun is one run of a case.
type caseRun struct {
	Runner
	files   Files
	url     endpoint.URL
	conn    *policy.Conn
	program *policy.Program
	out     bytes.Buffer
}

func (r *caseRun) setUp(compiler *policy.Compiler) error {
	words := strings.Fields(r.files.line("endpoint", "https://h.example"))
	target := policy.Target{Binding: endpoint.Public}
	var err error
	if r.url, err = endpoint.ParseURL(words[0], endpoint.HTTPS); err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	target.Scheme = r.url.Scheme
	for _, w := range words[1:] {
		switch w {
		case "cloud":
			target.Cloud = true
		case "internal":
			target.Binding = endpoint.Internal
		default:
			return fmt.Errorf("endpoint: unknown word %s", w)
		}
	}
	client, err := netip.ParseAddrPort(r.files.line("client", "203.0.113.7:4711"))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if r.Services.Now == nil {
		r.Services.Now = func() time.Time { return Epoch }
	}
	r.conn = &policy.Conn{
		ID: "conn_1", Client: client, Server: netip.MustParseAddrPort("192.0.2.1:443"),
		Start: r.Services.Now(), Region: "here", SNI: r.url.Host,
	}
	doc, found := policy.Parse(r.files.policy())
	if !found.Failed() {
		var more policy.Diagnostics
		r.program, more = compiler.Compile(doc, target)
		found = append(found, more...)
	}
	for _, d := range found {
		fmt.Fprintln(&r.out, d)
	}
	return nil
}

func (r *caseRun) newExchange() *policy.Exchange {
	x := policy.NewExchange(r.program.Env(), r.conn)
	x.Endpoint = policy.Endpoint{ID: "ep_1", Account: "ac_1", URL: r.url, Name: "ep_1"}
	x.Services = r.Services
	if r.Prepare != nil {
		r.Prepare(x)
	}
	return x
}

// connect runs the connect phase.
func (r *caseRun) connect(ctx context.Context) (refused bool, err error) {
	if !r.program.Has(policy.OnTCPConnect) {
		return false, nil
	}
	x := r.newExchange()
	v, err := r.program.Run(ctx, policy.OnTCPConnect, x)
	switch {
	case err != nil:
		fmt.Fprintf(&r.out, "connection closed: %s\n", err)
	case v == policy.Refuse || v == policy.Close:
		fmt.Fprintln(&r.out, "connection closed")
	case v == policy.Answer:
		fmt.Fprintf(&r.out, "connection goes to %v\n", r.conn.Target)
	default:
		fmt.Fprintln(&r.out, "connection accepted")
	}
	r.left(x)
	return err != nil || v != policy.Continue, nil
}

// exchange runs the phases of a request as the edge does.
func (r *caseRun) exchange(ctx context.Context, text, upstream []byte) (closed bool, err error) {
	x := r.newExchange()
	if x.Request, err = ReadRequest(text); err != nil {
		return false, err
	}
	Receive(x, r.Services.Now())
	defer r.left(x)
	defer x.UpstreamDone(0, nil)

	ctx = WithInternal(ctx, func(to endpoint.URL) (*http.Response, error) {
		fmt.Fprintf(&r.out, "%s gets:\n", to)
		if err := WriteRequest(&r.out, x); err != nil {
			return nil, err
		}
		return ReadResponse(upstream, x.Request)
	})
	out, err := Pass(ctx, r.program, x, func() (*http.Response, error) {
		fmt.Fprintln(&r.out, "upstream gets:")
		if err := WriteRequest(&r.out, x); err != nil {
			return nil, err
		}
		return ReadResponse(upstream, x.Request)
	})
	switch {
	case err != nil:
		return false, err
	case out.Closed:
		fmt.Fprintln(&r.out, "closed without an answer")
		return true, nil
	case out.Fault != nil:
		fmt.Fprintf(&r.out, "error page: %d %s\n", out.Fault.Status, out.Fault)
		return false, nil
	}
	events, err := Events(ctx, r.program, x, func(fail error) {
		if fail != nil {
			fmt.Fprintf(&r.out, "stream ends: %s\n", fail)
			return
		}
		fmt.Fprintf(&r.out, "event: data %s retry %s\n", inJSON(x.Message.Data), inJSON(x.Message.Retry))
		r.left(x)
	})
	if err != nil || events {
		return false, err
	}
	return false, r.answered(out.Origin, x.Response)
}

func (r *caseRun) answered(origin policy.Origin, resp *http.Response) error {
	fmt.Fprintf(&r.out, "%s:\n", OriginName(origin))
	return WriteResponse(&r.out, resp)
}
