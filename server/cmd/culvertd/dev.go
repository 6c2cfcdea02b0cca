package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/fileserver"
	"github.com/culvert-project/culvert/internal/agent/target"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/version"
	"github.com/culvert-project/culvert/server/internal/node"
)

const (
	// devName is the first label of the endpoints of culvertd dev.
	devName = "dev"
	// devBind bounds how long the built-in agent may take to come online.
	devBind = 20 * time.Second
)

// devRun is one run of culvertd dev: what is put online, and how.
type devRun struct {
	p        *program
	o        *options
	verb     string // http, tcp or tls
	upstream string // "" for the built-in page
	name     string
	token    string

	goesTo string // upstream in full

	mu     sync.Mutex
	serves sync.WaitGroup
	agent  culvert.Agent // guarded by mu
	moved  []string      // what became of defaults that were taken; guarded by mu
}

func (p *program) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev [http|tcp|tls] [UPSTREAM]",
		Short: "Run a server and an agent in one process, to try it",
		Long: `Run a server and an agent in one process, joined by a real agent session.

It listens on loopback and stops with Ctrl+C. A default port that is taken gives
way to a free one, and so does the directory when another culvertd dev runs; what
you give yourself does not.`,
		Example: `  culvertd dev                        a page that echoes its request
  culvertd dev http 8080              whatever serves on localhost:8080
  culvertd dev http https://10.0.0.7  another machine's web server
  culvertd dev http file:///srv/site  a folder of files
  culvertd dev tcp 22                 a TCP port
  culvertd dev tls 8443               TLS, passed through as it is`,
		Args: atMostTwo,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 { // the upstream
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return verbs(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	serverFlags(cmd)
	name := cmd.Flags().String("name", devName, "name of the endpoints, under the base domain or whole (default "+devName+")")
	placeholder(cmd.Flags(), "name", "NAME")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := &devRun{p: p, name: *name, token: "dev_" + rand.Text() + rand.Text()}
		if err := d.arguments(args); err != nil {
			return err
		}
		var err error
		if d.o, err = p.settings(cmd, d.freeDir); err != nil {
			return err
		}
		if !d.o.logLevelSet {
			d.o.logLevel = slog.LevelWarn
		}
		return d.run(cmd.Context())
	}
	return cmd
}

// verbs are the kinds of endpoint.
func verbs() []string { return []string{"http", "tcp", "tls"} }

// arguments reads the kind of endpoint and the upstream. The kind may be left
// out: what follows is then for http.
func (d *devRun) arguments(args []string) error {
	d.verb = "http"
	given := len(args) > 0 && slices.Contains(verbs(), args[0])
	if given {
		d.verb, args = args[0], args[1:]
	}
	if len(args) > 1 {
		return usage(fmt.Errorf("%q is not a kind of endpoint: want one of %s", args[0], strings.Join(verbs(), ", ")))
	}
	if len(args) == 1 {
		if !given && !upstreamLike(args[0]) {
			return usage(fmt.Errorf("%q is neither a kind of endpoint (%s) nor an upstream such as 8080, host:8080 or https://host",
				args[0], strings.Join(verbs(), ", ")))
		}
		d.upstream = args[0]
		kind := target.Web
		if d.verb != "http" {
			kind = target.Stream
		}
		t, err := target.Parse(d.upstream, kind)
		d.goesTo = t.String()
		return err
	}
	if d.verb != "http" {
		return usage(fmt.Errorf("%s needs an upstream, such as culvertd dev %s 8443", d.verb, d.verb))
	}
	return nil
}

// upstreamLike reports whether a word is meant as an upstream though no kind of
// endpoint stands before it: a name alone is rather a kind that there is not.
func upstreamLike(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil || strings.Contains(s, ":")
}

// run runs server and agent until a signal stops them. The agent lives until the
// server has ended, so that open exchanges can finish.
func (d *devRun) run(ctx context.Context) error {
	d.o.node.BootstrapAuthtoken = d.token
	if d.o.node.BootstrapAPIKey == "" {
		d.o.node.BootstrapAPIKey = "dev_" + rand.Text() + rand.Text()
	}
	d.o.node.Listen = d.freePorts(d.o.node.Listen)
	n, closeLogs, err := d.p.newNode(d.o)
	if err != nil {
		return err
	}
	defer closeLogs()
	defer d.stop()
	return d.p.runNode(ctx, n, func(ctx context.Context) error { return d.online(ctx, n.Info()) }, nil)
}

// online starts the agent, puts the endpoints online and says so.
func (d *devRun) online(ctx context.Context, i node.Info) error {
	opts := []culvert.AgentOption{
		culvert.WithAuthtoken(d.token),
		culvert.WithAgentConnectURL(localAddr(i.Agent)),
		culvert.WithClientInfo("culvertd-dev", version.Read().Version),
		culvert.WithLogger(slog.New(until{d.o.node.Logger.Handler(), ctx.Done()})),
	}
	if i.CAFingerprint != "" {
		opts = append(opts, culvert.WithCAFingerprint(i.CAFingerprint))
	} else {
		// The operator's own certificate names the outside, not loopback. The
		// token never leaves the machine.
		opts = append(opts, culvert.WithTLSConfig(func(c *tls.Config) { c.InsecureSkipVerify = true }))
	}
	agent, err := culvert.NewAgent(opts...)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.agent = agent
	d.mu.Unlock()
	// The context of the first call is that of the whole session, which has to
	// outlive the signal that ends ctx.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	late := time.AfterFunc(devBind, func() { end(errors.New("the built-in agent did not come online in time")) })
	urls, err := d.bind(life, agent, i.Domains[0])
	if !late.Stop() && err == nil {
		err = context.Cause(life)
	}
	if err != nil {
		end(err)
		return err
	}
	d.announce(urls, i)
	return nil
}

// localAddr is where this process reaches a listener of its own: one for every
// address of the machine is reached on loopback.
func localAddr(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// bind puts the endpoints online and returns their URLs.
func (d *devRun) bind(ctx context.Context, agent culvert.Agent, domain string) ([]string, error) {
	var wanted []string
	switch host := d.host(domain); d.verb {
	case "tcp":
		wanted = []string{"tcp://"}
	case "tls":
		wanted = []string{"tls://" + host}
	default:
		wanted = []string{"http://" + host, "https://" + host}
	}
	handler, err := d.handler()
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, u := range wanted {
		if handler != nil {
			ln, err := agent.Listen(ctx, culvert.WithURL(u))
			if err != nil {
				return nil, err
			}
			urls = append(urls, ln.URL().String())
			d.serve(ln, handler)
			continue
		}
		// As with the agent's commands, an upstream's certificate is not
		// checked: on a machine of one's own it is self-signed.
		up := culvert.WithUpstream(d.upstream, culvert.WithUpstreamTLSClientConfig(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec // see above
		fwd, err := agent.Forward(ctx, up, culvert.WithURL(u))
		if err != nil {
			return nil, err
		}
		urls = append(urls, fwd.URL().String())
	}
	return urls, nil
}

// handler is what serves requests in this process: the built-in page, a folder,
// or nothing if they are forwarded.
func (d *devRun) handler() (http.Handler, error) {
	if d.upstream == "" {
		return newEchoPage(), nil
	}
	if d.verb != "http" {
		return nil, nil
	}
	t, err := target.Parse(d.upstream, target.Web)
	if err != nil || t.Scheme != target.File {
		return nil, err
	}
	return fileserver.Open(t.Path)
}

func (d *devRun) serve(ln net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(d.o.node.Logger.Handler(), slog.LevelDebug),
	}
	d.serves.Go(func() { _ = srv.Serve(ln) }) // ends with the listener
}

// host is the name of the endpoints.
func (d *devRun) host(domain string) string {
	if d.name == domain || endpoint.Under(d.name, domain) {
		return d.name
	}
	return d.name + "." + domain
}

// announce prints the URLs, first and alone on their lines, and what they are.
func (d *devRun) announce(urls []string, i node.Info) {
	var b strings.Builder
	bold, plain := "", ""
	if d.p.colours(d.p.stdout) {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	for _, u := range urls {
		fmt.Fprintf(&b, "%s%s%s\n", bold, u, plain)
	}
	b.WriteString("\n")
	if d.upstream == "" {
		fmt.Fprintf(&b, "They show a page that echoes its request. To put a service of your own there:\n\n  %s dev http 8080\n\n", d.p.called)
	} else {
		fmt.Fprintf(&b, "Traffic goes to %s.\n", d.goesTo)
	}
	if d.verb == "http" && i.CAFile != "" {
		fmt.Fprintf(&b, "Clients trust the https URL by the CA's certificate:\n\n  curl --cacert %s %s\n\n", shellWord(i.CAFile), urls[len(urls)-1])
	}
	d.mu.Lock()
	moved := d.moved
	d.mu.Unlock()
	for _, m := range moved {
		b.WriteString(m + "\n")
	}
	b.WriteString("Ctrl+C stops.\n")
	fmt.Fprint(d.p.stdout, b.String())
}

// stop ends the agent and waits for what it served.
func (d *devRun) stop() {
	d.mu.Lock()
	agent := d.agent
	d.mu.Unlock()
	if agent != nil {
		_ = agent.Disconnect() // the server is gone already
	}
	d.serves.Wait()
}
