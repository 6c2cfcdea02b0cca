package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
)

func (p *Program) startCommand() *cobra.Command {
	f := &sessionFlags{}
	var all, none, keepGoing bool
	cmd := &cobra.Command{
		Use:     "start NAME...|--all|--none",
		Short:   "Start endpoints of the configuration file",
		GroupID: "run",

		ValidArgsFunction: p.endpointNames,
		Long: `Start the named endpoints of the configuration file, over one session. If one cannot be
started, none is, unless --keep-going is given.`,
		Example: "  culvert start web ssh\n  culvert start --all\n  culvert start --none",
		RunE: func(cmd *cobra.Command, args []string) error {
			p.jsonMode = f.json || f.logFormat == "json"
			chosen := 0
			for _, way := range []bool{len(args) > 0, all, none} {
				if way {
					chosen++
				}
			}
			if chosen > 1 {
				return usageError("Give names, --all or --none, and only one of them")
			}
			s, err := p.load(cmd, f)
			if err != nil {
				return err
			}
			if chosen == 0 {
				return usageError("Name the endpoints to start, or give --all; the configuration has: %s", s.config.NameList())
			}
			if none {
				return p.online(cmd.Context(), cmd, f, s, nil, keepGoing)
			}
			specs, err := s.config.Specs(slices.Clone(args)...)
			if err != nil {
				return err
			}
			if len(specs) == 0 {
				return usageError("The configuration has no endpoints to start; --none opens a session without any")
			}
			return p.online(cmd.Context(), cmd, f, s, specs, keepGoing)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&all, "all", false, "start every endpoint and every older tunnel")
	fl.BoolVar(&none, "none", false, "only hold the session")
	fl.BoolVar(&keepGoing, "keep-going", false, "go on when some endpoints cannot be started")
	fl.StringVar(&f.metadata, "metadata", "", "`TEXT` for programs, shown on the session")
	f.register(cmd)
	return cmd
}

// tunnelCommand is what is left of labelled tunnels: a hint.
func (p *Program) tunnelCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "tunnel",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fault.New(fault.LabelsNotSupported)
		},
	}
}
