package cli

import (
	"github.com/spf13/cobra"
)

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
