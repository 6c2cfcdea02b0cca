package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert/internal/agent/config"
)

// plainUsage takes the marks of placeholders out of the texts of all flags, for
// shells, which show the texts as they are.
func plainUsage(cmd *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	cmd.Flags().VisitAll(plain)
	cmd.PersistentFlags().VisitAll(plain)
	for _, c := range cmd.Commands() {
		plainUsage(c)
	}
}

// values completes a flag that takes one of a few words.
func values(cmd *cobra.Command, flag string, words ...string) {
	// It fails for flags that do not exist or are registered twice.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// endpointNames completes the names of the configuration's endpoints.
func (p *Program) endpointNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	paths, err := cmd.Flags().GetStringArray("config")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	s, err := p.place().Select(paths, p.reference())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	c, err := config.Load(s.Paths, p.lookup)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, d := range c.Definitions {
		if !slices.Contains(args, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *Program) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "completion bash|zsh|fish|powershell",
		Short:   "Print a completion script for a shell",
		GroupID: "setup",
		Example: `  source <(culvert completion bash)
  culvert completion zsh > "${fpath[1]}/_culvert"
  culvert completion fish > ~/.config/fish/completions/culvert.fish
  culvert completion powershell | Out-String | Invoke-Expression`,
		Args:      arguments(1, 1, "one shell: bash, zsh, fish or powershell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(p.Stdout)
			case "fish":
				return root.GenFishCompletion(p.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.Stdout)
			}
			return usageError("There is no completion for the shell %q; there is one for bash, zsh, fish and powershell", args[0])
		},
	}
}
