package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/action/standard"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

// policyName is the command under which the others about policies stand. Its
// exit codes differ (decision 41): 0 sound, 1 refused, 2 anything else.
const policyName = "policy"

const (
	exitRefused = 1
	exitFailed  = 2
)

// errRefused ends a command that has said itself what is wrong.
var errRefused = errors.New("refused")

// agentName is the agent, which runs "culvert policy" by this program under its
// own name.
const agentName = "culvert"

// underPolicy reports whether a command is about policies.
func underPolicy(cmd *cobra.Command) bool {
	for ; cmd != nil; cmd = cmd.Parent() {
		if cmd.Name() == policyName {
			return true
		}
	}
	return false
}

func (p *program) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   policyName,
		Short: "Check, try and test Traffic Policies, without a server",
		Long: `Check, try and test Traffic Policies. Nothing here needs a server or the network.

Exit codes: 0 the policies are sound (there may be warnings), or the tests passed;
1 a policy was refused, or a test failed; 2 the command could not do its work.`,
		Example: `  culvert policy check policy.yml
  culvert policy run policy.yml --curl 'curl https://app.example.com/login'
  culvert policy test policies/
  culvert policy schema > policy.schema.json`,
		Args: commandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.policyCheck(), p.policyRun(), p.policyTest(), p.policySchema())
	return cmd
}

// bench returns a workbench with the actions of the server.
func bench() (*workbench.Bench, error) {
	r, err := policy.NewRegistry(standard.Definitions(standard.Services{Forwarder: policycase.Forwarder{}})...)
	if err != nil {
		return nil, err
	}
	return workbench.New(r)
}

// policyFlags are flags that several commands have.
type policyFlags struct {
	output, scheme, kind, binding string
}

func (f *policyFlags) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text for people, or json (default text)")
	placeholder(cmd.Flags(), "output", "FORM")
	completeWith(cmd, "output", "text", "json")
}

func (f *policyFlags) targetFlags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.kind, "type", "agent", "agent, or cloud: an endpoint without anything behind it, whose policy has to answer (default agent)")
	fl.StringVar(&f.binding, "binding", "public", "public or internal (default public)")
	placeholder(fl, "type", "TYPE")
	placeholder(fl, "binding", "BINDING")
	completeWith(cmd, "type", "agent", "cloud")
	completeWith(cmd, "binding", "public", "internal")
}

// completeWith completes a flag that takes one of a few words.
func completeWith(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // it was just made
}

// oneOf refuses a flag's value that is none of a few words.
func oneOf(flag, got string, words ...string) error {
	if slices.Contains(words, got) {
		return nil
	}
	return usage(fmt.Errorf("%q is no value of --%s; it takes %s", got, flag, strings.Join(words, ", ")))
}

func (f *policyFlags) target() (policy.Target, error) {
	t := policy.Target{Scheme: endpoint.Scheme(f.scheme), Binding: endpoint.Public, Cloud: f.kind == "cloud"}
	if f.binding == "internal" {
		t.Binding = endpoint.Internal
	}
	if f.scheme != "" && !t.Scheme.Known() {
		return t, oneOf("scheme", f.scheme, "http", "https", "tcp", "tls")
	}
	return t, errors.Join(oneOf("type", f.kind, "agent", "cloud"), oneOf("binding", f.binding, "public", "internal"))
}

func (p *program) out(f *policyFlags) (workbench.Output, error) {
	o := workbench.Output{W: p.stdout, JSON: f.output == "json"}
	o.Colours = !o.JSON && p.colours(p.stdout)
	return o, oneOf("output", f.output, "text", "json")
}

// maxInput is the largest file that these commands read, in bytes.
const maxInput = 16 << 20

// read reads a file, or standard input for "-".
func (p *program) read(name string) (workbench.File, error) {
	in, shown := p.stdin, "stdin"
	if name != "-" {
		f, err := os.Open(filepath.Clean(name))
		if err != nil {
			return workbench.File{}, fault.Wrap(err, fault.PolicyFileUnreadable, err)
		}
		defer f.Close() //nolint:errcheck // it was only read
		in, shown = f, name
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("%s has more than %d bytes", shown, maxInput)
	}
	if err != nil {
		return workbench.File{}, fault.Wrap(err, fault.PolicyFileUnreadable, err)
	}
	return workbench.File{Name: shown, Text: text}, nil
}

// atLeastOne is the Args of a command that takes files.
func atLeastOne(what string, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 || len(args) > most {
			return usage(fmt.Errorf("%q takes %s, and got %d words", cmd.CommandPath(), what, len(args)))
		}
		return nil
	}
}

const maxFiles = 10_000

func (p *program) policyCheck() *cobra.Command {
	f := &policyFlags{}
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Judge policies, naming every mistake with its place",
		Long: `Judge policies, naming every mistake with its place. Files hold YAML or JSON; - is standard input.

The document alone is judged: what a server knows, such as the endpoints it names, is not asked.
Without --scheme it may be for any kind of endpoint.`,
		Example: `  culvert policy check policy.yml
  culvert policy check --scheme tcp --output json policies/*.yml
  culvert policy check --type cloud - < policy.yml`,
		Args: atLeastOne("files", maxFiles),
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := p.out(f)
			if err != nil {
				return err
			}
			t, err := f.target()
			if err != nil {
				return err
			}
			var files []workbench.File
			for _, name := range args {
				file, err := p.read(name)
				if err != nil {
					return err
				}
				files = append(files, file)
			}
			b, err := bench()
			if err != nil {
				return err
			}
			return refused(b.Check(o, files, t))
		},
	}
	cmd.Flags().StringVar(&f.scheme, "scheme", "", "judge for endpoints of this scheme: http, https, tcp or tls")
	placeholder(cmd.Flags(), "scheme", "SCHEME")
	completeWith(cmd, "scheme", "http", "https", "tcp", "tls")
	f.targetFlags(cmd)
	f.outputFlag(cmd)
	return cmd
}

// refused is the error of a command whose result may be bad.
func refused(good bool, err error) error {
	if err == nil && !good {
		return errRefused
	}
	return err
}

func (p *program) policyTest() *cobra.Command {
	f := &policyFlags{}
	var only string
	var update bool
	cmd := &cobra.Command{
		Use:   "test DIR|FILE...",
		Short: "Run cases: a policy, requests, and what has to come out",
		Long: `Run cases: a policy, requests, and what has to come out. Every file that ends in .txtar in DIR and
below is an archive of cases; the manual's page about the workbench describes their form. Cases
run without the network and with a clock that stands still.`,
		Example: `  culvert policy test policies/
  culvert policy test --run 'login' policies/
  culvert policy test --update policies/login.txtar`,
		Args: atLeastOne("folders or archives", maxFiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.out(f)
			if err != nil {
				return err
			}
			s := workbench.Suite{Paths: args, Update: update}
			if only != "" {
				if s.Only, err = regexp.Compile(only); err != nil {
					return usage(fmt.Errorf("--run: %w", err))
				}
			}
			b, err := bench()
			if err != nil {
				return err
			}
			return refused(unreadable(b.Test(cmd.Context(), o, s)))
		},
	}
	cmd.Flags().StringVar(&only, "run", "", "only the cases whose names match")
	cmd.Flags().BoolVar(&update, "update", false, "write what comes out into the cases, for you to look at")
	placeholder(cmd.Flags(), "run", "REGEXP")
	f.outputFlag(cmd)
	return cmd
}

// unreadable makes a fault of what kept a command from its work.
func unreadable(good bool, err error) (bool, error) {
	if err != nil {
		err = fault.Wrap(err, fault.PolicyFileUnreadable, err)
	}
	return good, err
}

func (p *program) policySchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policies, for editors",
		Long: `Print the JSON Schema (2020-12) of policies. Editors complete and explain documents with it: write
"# yaml-language-server: $schema=policy.schema.json" on top of a policy in YAML.`,
		Example: "  culvert policy schema > policy.schema.json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := bench()
			if err != nil {
				return err
			}
			return b.Schema(p.stdout)
		},
	}
}
