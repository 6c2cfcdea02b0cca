package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/fault"
)

func (p *Program) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config COMMAND",
		Short:   "Look at and change the configuration file",
		GroupID: "setup",
		Args:    subcommandOnly,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.checkCommand(), p.editCommand(), p.addAuthtokenCommand(), p.addConnectURLCommand(), p.addAPIKeyCommand(), p.addAPIURLCommand())
	return cmd
}

func (p *Program) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "Check the configuration file",
		Example: "  culvert config check\n  culvert config check --config ./culvert.yml",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			flag, err := cmd.Flags().GetStringArray("config")
			if err != nil {
				return fmt.Errorf("read --config: %w", err)
			}
			s, err := p.place().Select(flag, p.reference())
			if err != nil {
				return err
			}
			if len(s.Paths) == 0 {
				s.Paths = []string{s.Default}
			}
			c, err := config.Load(s.Paths, p.lookup)
			if err != nil {
				return checked(err)
			}
			for _, n := range slices.Concat(s.Notices, c.Notices, c.Idle()) {
				p.warn(n)
			}
			if err := c.Check(); err != nil {
				return checked(err)
			}
			for _, path := range c.Files {
				fmt.Fprintf(p.Stdout, "Valid configuration file at %s\n", path)
			}
			return nil
		},
	}
}

// checked is the error of a check: its remedy is not to check.
func checked(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != fault.ConfigInvalid {
		return err
	}
	again := *f
	again.Remedy = "Correct the lines named above; \"culvert config edit\" opens the file."
	return &again
}

// file returns the one file that a command changes: the one that --config
// names, else the default one.
func (p *Program) file(cmd *cobra.Command) (string, error) {
	flag, err := cmd.Flags().GetStringArray("config")
	if err != nil {
		return "", fmt.Errorf("read --config: %w", err)
	}
	s, err := p.place().Select(flag, p.reference())
	if err != nil {
		return "", err
	}
	explicit := len(flag) > 0 || p.env["CULVERT_CONFIG"] != ""
	switch {
	case explicit && len(s.Paths) > 1:
		return "", usageError("%q changes one file; --config names %d", cmd.CommandPath(), len(s.Paths))
	case explicit && len(s.Paths) == 1:
		return s.Paths[0], nil
	case s.Default == "":
		return "", usageError("There is no home directory; name the file with --config")
	}
	return s.Default, nil
}

func (p *Program) editCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Open the configuration file in an editor",
		Long: `Open the configuration file in the editor that the variable EDITOR names, and check it
afterwards. The file may be invalid, or not exist yet.`,
		Example: "  culvert config edit\n  EDITOR=vim culvert config edit",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := p.file(cmd)
			if err != nil {
				return err
			}
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				if err := config.SetKeys(path); err != nil {
					return err
				}
			}
			if err := p.edit(cmd.Context(), path); err != nil {
				return err
			}
			c, err := config.Load([]string{path}, p.lookup)
			if err == nil {
				err = c.Check()
			}
			if err == nil {
				fmt.Fprintf(p.Stdout, "Valid configuration file at %s\n", path)
			}
			return err
		},
	}
}

// edit runs the user's editor on a file.
func (p *Program) edit(ctx context.Context, path string) error {
	words := strings.Fields(p.env["EDITOR"])
	if len(words) == 0 {
		words = []string{"nano"}
		if runtime.GOOS == "windows" {
			words = []string{"notepad"}
		}
	}
	editor := exec.CommandContext(ctx, words[0], append(words[1:], path)...) //nolint:gosec // the user's own editor
	editor.Stdin, editor.Stdout, editor.Stderr, editor.Env = p.Stdin, p.Stdout, p.Stderr, p.Env
	if err := editor.Run(); err != nil {
		return fault.Wrap(err, fault.EditorFailed, words[0], err)
	}
	return nil
}

func (p *Program) addAuthtokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "add-authtoken TOKEN",
		Short:   "Write the token for the server into the configuration file",
		Long:    "Write the token for the server into the configuration file. - reads it from standard input.",
		Example: "  culvert config add-authtoken YOUR_TOKEN\n  culvert config add-authtoken - < token.txt",
		Args:    arguments(1, 1, "one token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := p.file(cmd)
			if err != nil {
				return err
			}
			token := strings.TrimSpace(args[0])
			if token == "-" {
				if token, err = readLine(p.Stdin); err != nil {
					return fault.Wrap(err, fault.ValueInvalid, "-", "the token", "standard input holds none")
				}
			}
			if err := config.CheckAuthtoken(token); err != nil {
				return err
			}
			if err := config.SetKeys(path, [2]string{"authtoken", token}); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "Authtoken saved to configuration file: %s\n", path)
			return nil
		},
	}
}

func (p *Program) addConnectURLCommand() *cobra.Command {
	var fingerprint, cas string
	cmd := &cobra.Command{
		Use:     "add-connect-url HOST:PORT",
		Aliases: []string{"add-server", "add-server-addr"},
		Short:   "Write the server's address, and what to recognise it by, into the configuration file",
		Example: `  culvert config add-connect-url tunnel.example.com:9444 --ca-fingerprint sha256:...
  culvert config add-connect-url tunnel.example.com:9444 --connect-cas ca.pem
  culvert config add-connect-url tunnel.example.com:443 --connect-cas host`,
		Args: arguments(1, 1, "one address, host:port"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := p.file(cmd)
			if err != nil {
				return err
			}
			address, err := config.ParseServer(args[0])
			if err != nil {
				return err
			}
			pairs := [][2]string{{"connect_url", address}}
			switch {
			case fingerprint != "" && cas != "":
				return fault.New(fault.OptionConflict, "--ca-fingerprint", "--connect-cas")
			case fingerprint != "":
				canonical, err := config.ParseFingerprint(fingerprint)
				if err != nil {
					return err
				}
				pairs = append(pairs, [2]string{"connect_ca_fingerprint", canonical}, [2]string{"connect_cas", ""})
			case cas != "":
				stored, err := storedCAs(cas)
				if err != nil {
					return err
				}
				pairs = append(pairs, [2]string{"connect_cas", stored}, [2]string{"connect_ca_fingerprint", ""})
			}
			if err := config.SetKeys(path, pairs...); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "Server address saved to configuration file: %s\n", path)
			p.warnWithoutPort(args[0])
			if fingerprint == "" && cas == "" {
				fmt.Fprintln(p.Stderr, "The server is recognised as before, or else by the CAs of this machine. For a server with a CA of its own add "+
					"--ca-fingerprint or --connect-cas.")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&fingerprint, "ca-fingerprint", "", "`FINGERPRINT` of the server's CA, sha256:...")
	cmd.Flags().StringVar(&cas, "connect-cas", "", "`FILE` with the server's CA, or host for the CAs of this machine")
	return cmd
}

// warnWithoutPort says which port an address without one has: seldom the one
// that is meant.
func (p *Program) warnWithoutPort(address string) {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		rest = address
	}
	if _, _, err := net.SplitHostPort(strings.TrimSuffix(rest, "/")); err != nil {
		p.warn(fmt.Sprintf("%s names no port, so 443 is used; the agent address of culvertd has 9444 unless changed.", address))
	}
}

// storedCAs checks a CA file and returns it as it is written into the
// configuration: absolute, because paths there start from the file's folder.
func storedCAs(cas string) (string, error) {
	if cas == "host" || cas == "trusted" {
		return cas, nil
	}
	if _, _, err := config.LoadCAs("", cas); err != nil {
		return "", err
	}
	path, err := filepath.Abs(cas)
	if err != nil {
		return "", fault.Wrap(err, fault.CAFileInvalid, cas, err)
	}
	return path, nil
}
