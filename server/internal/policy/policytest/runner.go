package policytest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

var update = flag.Bool("update", false, "write what comes out into the cases")

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

// Run runs the cases of all archives that match a pattern, each as a subtest.
// With the flag -update it writes what comes out into them.
func Run(t *testing.T, r *policy.Registry, pattern string) {
	t.Helper()
	Runner{Registry: r}.Run(t, pattern)
}

// Run is as the function of this name.
func (r Runner) Run(t *testing.T, pattern string) {
	t.Helper()
	archives, err := filepath.Glob(pattern)
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archive matches %s (%v)", pattern, err)
	}
	compiler, err := policy.NewCompiler(r.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			r.archive(t, compiler, file)
		})
	}
}

func (r Runner) archive(t *testing.T, compiler *policy.Compiler, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names, all := cases(a)
	for _, name := range names {
		run := func(t *testing.T) {
			got, err := r.Case(t.Context(), compiler, all[name])
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if *update {
				setWant(a, name, got)
			} else if want := all[name]["want"]; !bytes.Equal(got, want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		}
		if name == "" {
			run(t)
		} else {
			t.Run(name, run)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil { //nolint:gosec // a file of the sources
			t.Fatal(err)
		}
	}
}

// Case runs the case that these files make and returns what came out. It fails
// if the case itself is not well formed.
func (r Runner) Case(ctx context.Context, compiler *policy.Compiler, c map[string][]byte) ([]byte, error) {
	run := &caseRun{Runner: r, files: c}
	if err := run.setUp(compiler); err != nil || run.program == nil {
		return run.out.Bytes(), err
	}
	if refused, err := run.connect(ctx); err != nil || refused {
		return run.out.Bytes(), err
	}
	upstreams := run.files.numbered("upstream")
	for i, text := range run.files.numbered("request") {
		upstream := []byte("HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello\n")
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
	files   files
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
	if x.Request, err = readRequest(text); err != nil {
		return false, err
	}
	x.Received = r.Services.Now()
	u := x.Request.URL
	u.Scheme, u.Host = string(r.url.Scheme), x.Request.Host
	x.OriginalURL = u.String()
	defer r.left(x)
	defer x.UpstreamDone(0, nil)

	v, fail := r.program.Run(ctx, policy.OnHTTPRequest, x)
	origin := policy.FromUpstream
	switch {
	case fail != nil:
		origin = policy.FromErrorPage
	case v == policy.Close:
		fmt.Fprintln(&r.out, "closed without an answer")
		return true, nil
	case v == policy.Refuse:
		origin = policy.FromRefusal
	case v == policy.Answer:
		origin = policy.FromAnswer
	default:
		if err := r.sent(x); err != nil {
			return false, err
		}
		if x.Response, err = readResponse(upstream, x.Request); err != nil { //nolint:bodyclose // a text
			return false, err
		}
		x.UpstreamDone(x.Response.StatusCode, nil)
	}
	if policy.ResponsePhase(origin) && r.program.Has(policy.OnHTTPResponse) {
		v, fail = r.program.Run(ctx, policy.OnHTTPResponse, x)
		if fail != nil {
			origin = policy.FromErrorPage
		} else if v != policy.Continue {
			origin = policy.FromAnswer
		}
	}
	if origin == policy.FromErrorPage {
		f := fault.From(fail)
		fmt.Fprintf(&r.out, "error page: %d %s\n", f.Status, f)
		return false, nil
	}
	if isEvents(x) && r.program.Has(policy.OnEventStreamMessage) {
		return false, r.events(ctx, x)
	}
	return false, r.answered(origin, x.Response)
}

var originNames = map[policy.Origin]string{
	policy.FromUpstream: "answer of the upstream", policy.FromAnswer: "answer of the policy", policy.FromRefusal: "refusal",
}

func (r *caseRun) answered(origin policy.Origin, resp *http.Response) error {
	fmt.Fprintf(&r.out, "%s:\n%d\n", originNames[origin], resp.StatusCode)
	if resp.Request.Method == http.MethodHead {
		return r.message(resp.Header, 0, nil)
	}
	return r.message(resp.Header, resp.ContentLength, resp.Body)
}
