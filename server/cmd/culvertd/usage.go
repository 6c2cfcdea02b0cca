package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert/internal/fault"
)

// near is how many letters a name may be off to be offered instead.
const near = 2

// usage is the fault for a wrong command line.
func usage(err error) error {
	text := strings.TrimSuffix(err.Error(), ".")
	return fault.Wrap(err, fault.ServerUsage, strings.ToUpper(text[:1])+text[1:])
}

// flagError says what is wrong with a flag, with the nearest one where there is
// none of that name.
func flagError(cmd *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return usage(err)
	}
	// Cobra finds the nearest command; so each flag becomes one.
	flags := &cobra.Command{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	return usage(fmt.Errorf("unknown flag --%s%s", name, nearest(flags, name, "--")))
}

// nearest offers the command of cmd whose name is most like the given one.
func nearest(cmd *cobra.Command, name, prefix string) string {
	cmd.SuggestionsMinimumDistance = near
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		return fmt.Sprintf("; the nearest one is %s%s", prefix, like[0])
	}
	return ""
}

// commandOnly is the Args of a command that only groups others.
func commandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), nearest(cmd, args[0], "")))
}

// noArgs is the Args of a command that takes flags alone.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Errorf("%q takes flags alone, and got %s", cmd.CommandPath(), strings.Join(args, " ")))
}

// atMostTwo is the Args of culvertd dev.
func atMostTwo(cmd *cobra.Command, args []string) error {
	if len(args) <= 2 {
		return nil
	}
	return usage(fmt.Errorf("%q takes a kind of endpoint and an upstream, and got %d words: %s",
		cmd.CommandPath(), len(args), strings.Join(args, " ")))
}
