package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// unreleased is the version of a program that was built from a working copy.
const unreleased = "0.1.0-dev"

// build says what the program was built from.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// version reads what the compiler has noted in the program.
func (p *Program) version() build {
	b := build{Version: unreleased, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; len(v) > 1 && v[0] == 'v' {
		b.Version = v[1:]
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		}
	}
	return b
}

// versionText is the one line that programs look for.
func (p *Program) versionText() string {
	name := "culvert"
	if p.reference() {
		name = "ngrok"
	}
	return name + " version " + p.version().Version
}

func (p *Program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		GroupID: "setup",
		Example: "  culvert version\n  culvert version --json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if !asJSON {
				fmt.Fprintln(p.Stdout, p.versionText())
				return nil
			}
			b, err := json.Marshal(p.version())
			if err != nil {
				return fmt.Errorf("print the version: %w", err)
			}
			fmt.Fprintln(p.Stdout, string(b))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with commit, date, Go version and platform")
	return cmd
}
