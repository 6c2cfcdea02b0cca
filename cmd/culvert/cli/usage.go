package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert/internal/fault"
)

// usageError is a mistake in how a command is called.
func usageError(format string, args ...any) error {
	return fault.New(fault.Usage, fmt.Sprintf(format, args...))
}

// usage makes a fault of what cobra says about a command line: an unknown
// command gets its nearest match, and flags that exclude each other are named.
func usage(err error) error {
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "if any flags in the group ["); ok {
		flags, _, _ := strings.Cut(rest, "]")
		if one, other, ok := strings.Cut(flags, " "); ok {
			return fault.Wrap(err, fault.OptionConflict, "--"+one, "--"+other)
		}
	}
	if !strings.HasPrefix(text, "unknown command ") {
		return err
	}
	first, _, _ := strings.Cut(text, "\n")
	what := "Unknown" + strings.TrimPrefix(first, "unknown")
	if _, rest, ok := strings.Cut(text, "Did you mean this?"); ok {
		if names := strings.Fields(rest); len(names) > 0 {
			what += fmt.Sprintf("; the nearest one is %q", names[0])
		}
	}
	return usageError("%s", what)
}

// flagError makes a fault of what pflag says, with the nearest flag where one
// is unknown, and without the words of a parser where a value is no number.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if cmd.HasAvailableSubCommands() && cmd.Args != nil {
		// The word before the flag is no command: that is the mistake.
		if wrong := cmd.Args(cmd, cmd.Flags().Args()); wrong != nil {
			return wrong
		}
	}
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		if near := nearestFlag(cmd, name); near != "" {
			return usageError("Unknown flag --%s; the nearest one is --%s", name, near)
		}
		return usageError("Unknown flag --%s", name)
	}
	var bad *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &bad) && errors.As(err, &number) {
		what := "a whole number"
		if bad.GetFlag().Value.Type() == "bool" {
			what = "true or false"
		}
		return usageError("--%s takes %s, and not %q", bad.GetFlag().Name, what, bad.GetValue())
	}
	return usageError("%s", text)
}

// nearestFlag returns the visible flag whose name is most like the given one,
// or "" when none is near.
func nearestFlag(cmd *cobra.Command, name string) string {
	best, distance := "", max(2, len(name)/3)+1
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		d := editDistance(name, f.Name)
		if strings.HasPrefix(f.Name, name) || strings.HasPrefix(name, f.Name) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = f.Name, d
		}
	})
	return best
}

// editDistance counts the insertions, deletions and replacements between two
// words.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// checkHyphens refuses a long flag with one hyphen, naming the right form,
// before it is taken for a row of short flags (reference: agent, 1.1).
func (p *Program) checkHyphens(root *cobra.Command) error {
	args := p.Args[min(1, len(p.Args)):]
	cmd, _, err := root.Find(args)
	if err != nil || cmd == nil {
		cmd = root
	}
	if cmd.DisableFlagParsing {
		return nil // the flags are those of another program
	}
	cmd.InitDefaultHelpFlag()
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return nil
		}
		if long, ok := strings.CutPrefix(a, "--"); ok {
			if f := findFlag(cmd, long); f != nil && f.NoOptDefVal == "" && !strings.Contains(long, "=") {
				i++ // its value may look like anything
			}
			continue
		}
		name, ok := strings.CutPrefix(a, "-")
		if !ok || len(name) < 2 {
			if short := shortFlag(cmd, name); ok && short != nil && short.NoOptDefVal == "" {
				i++
			}
			continue
		}
		bare, value, hasValue := strings.Cut(name, "=")
		if len(bare) == 1 {
			continue
		}
		right := "--" + bare
		if f := findFlag(cmd, bare); f == nil {
			if near := nearestFlag(cmd, bare); near != "" {
				right = "--" + near
			}
		}
		if hasValue {
			right += "=" + value
		}
		return usageError("The flag %s needs two hyphens: %s", a, right)
	}
	return nil
}

func findFlag(cmd *cobra.Command, text string) *pflag.Flag {
	name, _, _ := strings.Cut(text, "=")
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if f := set.Lookup(name); f != nil {
			return f
		}
	}
	return nil
}

func shortFlag(cmd *cobra.Command, name string) *pflag.Flag {
	if len(name) != 1 {
		return nil
	}
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if f := set.ShorthandLookup(name); f != nil {
			return f
		}
	}
	return nil
}

// subcommandOnly is the Args of a command that only groups others.
func subcommandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near, distance := "", max(2, len(args[0])/3)+1
	for _, c := range cmd.Commands() { // by name: of equals it is the first
		if d := editDistance(args[0], c.Name()); c.IsAvailableCommand() && d < distance {
			near, distance = c.Name(), d
		}
	}
	if near != "" {
		return usageError("Unknown command %q for %q; the nearest one is %q", args[0], cmd.CommandPath(), near)
	}
	return usageError("Unknown command %q for %q", args[0], cmd.CommandPath())
}

// arguments is an Args that wants from least to most words.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError("%q needs %s", cmd.CommandPath(), what)
		case len(args) > most:
			return usageError("%q takes %s, and got %q", cmd.CommandPath(), what, strings.Join(args, " "))
		}
		return nil
	}
}
