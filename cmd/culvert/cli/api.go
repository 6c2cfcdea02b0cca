package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/report"
	"github.com/culvert-project/culvert/internal/version"
)

// localAPI is where a server of this machine has its API.
const localAPI = "http://127.0.0.1:9400"

// apiFlags are the flags of all commands of culvert api.
type apiFlags struct {
	url, key, cas, output string
	quiet                 bool
}

func (p *Program) apiCommand() *cobra.Command {
	f := &apiFlags{}
	cmd := &cobra.Command{
		Use:     "api RESOURCE VERB [ID]",
		Short:   "Look at and change what a server has, by its REST API",
		GroupID: "setup",
		Long: `Look at and change what a server has, by its REST API. The answer is JSON on standard
output, its status on standard error; the exit code is 1 when the API refuses.

The API key comes from CULVERT_API_KEY, or agent.api_key in the configuration file; the API's
address from CULVERT_API_URL or agent.api_url. Without one it is that of a server on this machine.
A server with a CA of its own is recognised by the file that --api-cas, CULVERT_API_CAS or
agent.api_cas names, else by agent.connect_cas.`,
		Example: `  culvert api vaults create --name shop
  culvert api vault-secrets create --vault-name shop --name db --value-file password.txt
  culvert api endpoints list --filter 'obj.type == "cloud"' --output table
  culvert api endpoints update ep_2b8xW... --traffic-policy-file policy.yml
  culvert api endpoints delete ep_2b8xW...`,
		Args: apiResource,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	fl := cmd.PersistentFlags()
	fl.StringVar(&f.url, "api-url", "", "`URL` of the API, like https://api.example.com (default "+localAPI+")")
	fl.StringVar(&f.key, "api-key", "", "API `KEY`; other users of this machine can see it here, unlike CULVERT_API_KEY")
	fl.StringVar(&f.cas, "api-cas", "", "`FILE` with the CA of the API, or host for the CAs of this machine")
	fl.StringVar(&f.output, "output", "json", "`FORM` of the answer: json, yaml or table")
	fl.BoolVar(&f.quiet, "quiet", false, "do not show the status of the answer")
	values(cmd, "output", "json", "yaml", "table")
	tables := api.All()
	for _, r := range tables {
		if r.SpellingOf == "" {
			cmd.AddCommand(p.resourceCommand(f, r, tables))
		}
	}
	cmd.AddCommand(p.apiRootCommand(f), p.usageCommand(f))
	return cmd
}

// retiredResources are those of the reference that have no successor of their own.
var retiredResources = []string{"edges", "edge-modules", "backends", "pointcfg-module", "endpoint-configurations"}

// apiResource is the Args of culvert api.
func apiResource(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && slices.Contains(retiredResources, args[0]) {
		return fault.New(fault.ResourceRetired, args[0])
	}
	return subcommandOnly(cmd, args)
}

// resourceCommand is the command of a resource, with one below it for each verb and action.
func (p *Program) resourceCommand(f *apiFlags, r *api.Resource, tables []*api.Resource) *cobra.Command {
	cmd := &cobra.Command{
		Use:     r.Command() + " VERB [ID]",
		Aliases: slices.Clone(r.Aliases),
		Short:   strings.TrimSuffix(r.Doc, "."),
		Long:    r.Doc,
		Args:    subcommandOnly,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, other := range tables {
		if other.SpellingOf == r.Path {
			cmd.Aliases = append(cmd.Aliases, other.Command())
		}
	}
	for _, route := range r.Routes() {
		cmd.AddCommand(p.routeCommand(f, route, tables))
	}
	return cmd
}

// routeCommand is the command of one kind of request.
func (p *Program) routeCommand(f *apiFlags, route api.Route, tables []*api.Resource) *cobra.Command {
	r := route.Resource
	name, doc := string(route.Verb), r.Summary(route.Verb)
	var fields []api.Field
	create := route.Verb == api.Create || route.Action != nil
	switch {
	case route.Action != nil:
		name, doc, fields = route.Action.Name, route.Action.Doc, route.Action.Fields
	case route.Verb == api.Create, route.Verb == api.Update:
		fields = r.Fields
	}
	cmd := &cobra.Command{Use: name, Short: strings.ToUpper(doc[:1]) + doc[1:], Args: arguments(0, 0, "no arguments")}
	if route.Action != nil {
		cmd.Aliases = route.Action.Aliases
	}
	if route.HasID() {
		cmd.Use += " ID"
		cmd.Args = arguments(1, 1, "the id of one "+r.Name)
	}
	cmd.Example = "  " + example(route, fields, create)
	body := newBodyFlags(cmd, fields, create)
	listed := r
	if route.Action != nil && route.Action.Lists != "" {
		listed = api.ByPath(tables, route.Action.Lists)
	}
	var pages *pageFlags
	if route.Lists() {
		pages = newPageFlags(cmd, listed)
	}
	force := false
	if r.Force && (route.Verb == api.Create || route.Verb == api.Update) {
		cmd.Flags().BoolVar(&force, "force", false, "do it although the server warns")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := route.Path
		if len(args) == 1 {
			if strings.Trim(args[0], idLetters) != "" {
				return usageError("%q is no id", args[0])
			}
			path = strings.Replace(path, api.IDSegment, args[0], 1)
		}
		if pages != nil {
			return p.listPages(cmd, f, listed, path, pages)
		}
		sent, err := body.read(p.Stdin)
		if err != nil {
			return err
		}
		query := url.Values{}
		if force {
			query.Set("force", "true")
		}
		return p.call(cmd, f, func(ctx context.Context, c *api.Client) (*api.Answer, error) {
			return c.Do(ctx, route.Method, path, query, sent)
		}, r)
	}
	return cmd
}

// example is a call of the command of a route.
func example(route api.Route, fields []api.Field, create bool) string {
	r := route.Resource
	words := []string{"culvert api", r.Command(), string(route.Verb)}
	if route.Action != nil {
		words[2] = route.Action.Name
	}
	if route.HasID() {
		words = append(words, r.Prefix+"_2b8xW...")
	}
	if route.Verb == api.List && len(r.Filter) > 0 {
		words = append(words, "--all-pages --output table")
	}
	given := false
	for i := range fields {
		f := &fields[i]
		if f.Usable(create) && (f.Create == api.Required && create || !create && !given) {
			words = append(words, "--"+api.Hyphens(f.Name), strings.ToUpper(f.Name))
			given = true
		}
	}
	return strings.Join(words, " ")
}

// idLetters are what ids are made of.
const idLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// apiRootCommand is the command of the paths that belong to no resource.
func (p *Program) apiRootCommand(f *apiFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "root VERB", Short: "The collections of the API, and who you are to it", Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range []struct{ name, path, doc string }{
		{"get", "/", "List the collections"}, {"self", "/self", "Show who the caller is"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: c.name, Short: c.doc, Args: arguments(0, 0, "no arguments"),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return p.call(cmd, f, func(ctx context.Context, client *api.Client) (*api.Answer, error) {
					return client.Do(ctx, http.MethodGet, c.path, nil, nil)
				}, nil)
			},
		})
	}
	return cmd
}

// pageFlags are the flags of lists.
type pageFlags struct {
	limit          int
	before, filter string
	all            bool
}

func newPageFlags(cmd *cobra.Command, r *api.Resource) *pageFlags {
	f := &pageFlags{}
	fl := cmd.Flags()
	fl.IntVar(&f.limit, "limit", 0, "greatest `NUMBER` of objects on a page, 1 to 100 (default 100)")
	fl.StringVar(&f.before, "before-id", "", "begin behind the object with this `ID`")
	fl.BoolVar(&f.all, "all-pages", false, "go through all pages")
	if len(r.Filter) > 0 {
		field := "id"
		if slices.Contains(r.Filter, "description") {
			field = "description"
		}
		fl.StringVar(&f.filter, "filter", "", "`EXPRESSION` that objects have to meet, like 'obj."+field+" == \"x\"'")
	}
	return f
}

// query is the query of the first page.
func (f *pageFlags) query(cmd *cobra.Command) url.Values {
	q := url.Values{}
	if cmd.Flags().Changed("limit") {
		q.Set("limit", strconv.Itoa(f.limit))
	}
	for name, value := range map[string]string{"before_id": f.before, "filter": f.filter} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// listPages shows a page of a list, or all of them as one.
func (p *Program) listPages(cmd *cobra.Command, f *apiFlags, r *api.Resource, path string, pages *pageFlags) error {
	return p.call(cmd, f, func(ctx context.Context, c *api.Client) (*api.Answer, error) {
		first, err := c.Do(ctx, http.MethodGet, path, pages.query(cmd), nil)
		if err != nil || !pages.all {
			return first, err
		}
		return c.Rest(ctx, first, r.ListKey)
	}, r)
}

// client returns a client of the API that flags, environment and configuration name.
func (p *Program) client(cmd *cobra.Command, f *apiFlags) (*api.Client, error) {
	if !slices.Contains([]string{"json", "yaml", "table"}, f.output) {
		return nil, usageError("--output is json, yaml or table, and not %q", f.output)
	}
	paths, err := cmd.Flags().GetStringArray("config")
	if err != nil {
		return nil, fmt.Errorf("read --config: %w", err)
	}
	selected, err := p.place().Select(paths, p.reference())
	if err != nil {
		return nil, err
	}
	c, err := config.Load(selected.Paths, p.lookup)
	if err != nil {
		return nil, err
	}
	if err := c.SetFromEnviron(p.lookup); err != nil {
		return nil, err
	}
	key := cmp.Or(f.key, c.Agent.APIKey)
	if key == "" {
		return nil, fault.New(fault.APIKeyUnset)
	}
	base := cmp.Or(f.url, c.Agent.APIURL, localAPI)
	transport := http.DefaultTransport
	if strings.HasPrefix(base, "https://") {
		if f.cas != "" {
			c.Set("api_cas", f.cas, "--api-cas")
		}
		cas, err := c.APICAs()
		if err != nil {
			return nil, err
		}
		if cas != nil {
			transport = trusting(cas)
		}
	}
	client, err := api.NewClient(base, key, "culvert/"+version.Read().Version, transport)
	if err == nil && exposes(base) {
		p.warn("The API key goes to " + base + " unencrypted: who is on the way can read it. Use an https:// address.")
	}
	return client, err
}

// trusting returns a transport that recognises servers by these CAs.
func trusting(cas *x509.CertPool) http.RoundTripper {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: handshakePatience}
	t.TLSClientConfig = &tls.Config{RootCAs: cas, MinVersion: tls.VersionTLS12}
	return t
}

// handshakePatience bounds the handshake with the API.
const handshakePatience = 10 * time.Second

// exposes reports whether a key sent to a URL crosses a network in the clear.
func exposes(base string) bool {
	u, err := api.ParseBase(base)
	if err != nil || u.Scheme != "http" {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err != nil || !addr.Unmap().IsLoopback()
}

// call asks the API something and shows the answer. r is whose objects it has, nil for none.
func (p *Program) call(cmd *cobra.Command, f *apiFlags, ask func(context.Context, *api.Client) (*api.Answer, error), r *api.Resource) error {
	client, err := p.client(cmd, f)
	if err != nil {
		return err
	}
	a, err := ask(cmd.Context(), client)
	refused, isRefused := errors.AsType[*api.AnswerError](err)
	switch {
	case isRefused:
		a = &refused.Answer
	case err != nil:
		return err
	}
	if !f.quiet {
		fmt.Fprintf(p.Stderr, "%d %s\n", a.Status, http.StatusText(a.Status))
	}
	if isRefused {
		if f.output != "table" {
			if err := p.show(a.Body, f.output, nil); err != nil {
				return err
			}
		}
		told(refused.Told).Write(p.Stderr)
		return errSilent
	}
	return p.show(a.Body, f.output, r)
}

// told is the report of what the API has refused.
func told(e api.Error) report.Report {
	message, remedy, _ := strings.Cut(e.Msg, "\n\n")
	return report.Report{Lines: strings.Split(message, "\n"), Remedy: remedy, Code: e.ErrorCode}
}
