package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/report"
)

// policyName is the command about policies. The server's program does its work:
// it has the language of policies, which would make this one heavy.
const policyName = "policy"

// exitPolicyFailed is the exit code when culvert policy could not do its work;
// 1 means that a policy was refused.
const exitPolicyFailed = 2

func (p *Program) policyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     policyName,
		Short:   "Check, try and test Traffic Policies, without a server",
		GroupID: "setup",
		Long: `Check, try and test Traffic Policies, without a server: "check" names the mistakes of a policy,
"run" shows what it does with one request, "test" runs cases, "schema" is for editors.
The program culvertd does the work; it has to be installed beside this one or in PATH.`,
		Example: `  culvert policy check policy.yml
  culvert policy run policy.yml --curl 'curl https://app.example.com/login'
  culvert policy test policies/
  culvert policy schema > policy.schema.json`,
		DisableFlagParsing: true,
		RunE:               func(cmd *cobra.Command, args []string) error { return p.policy(cmd.Context(), args) },
		ValidArgsFunction:  p.completePolicy,
	}
}

// policy runs culvertd with the words behind culvert policy.
func (p *Program) policy(ctx context.Context, args []string) error {
	path, err := p.serverProgram()
	if err != nil {
		report.Of(err).Write(p.Stderr)
		return errExit(exitPolicyFailed)
	}
	err = p.server(ctx, path, p.Stdout, append([]string{policyName}, args...)).Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() > 0 {
		return errExit(ended.ExitCode())
	}
	if err != nil {
		report.Of(err).Write(p.Stderr)
		return errExit(exitPolicyFailed)
	}
	return nil
}

// server prepares a run of culvertd, which speaks of itself as it is called: by
// this program's name.
func (p *Program) server(ctx context.Context, path string, out io.Writer, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = append([]string{"culvert"}, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Env, p.Stdin, out, p.Stderr
	return cmd
}

// serverProgram finds culvertd beside this program, or in PATH.
func (p *Program) serverProgram() (string, error) {
	name := "culvertd"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	here := "its folder"
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		here = filepath.Dir(self)
		if path := filepath.Join(here, name); runs(path) {
			return path, nil
		}
	}
	list, _ := p.lookup("PATH")
	for _, dir := range filepath.SplitList(list) {
		if path := filepath.Join(dir, name); filepath.IsAbs(dir) && runs(path) {
			return path, nil
		}
	}
	return "", fault.New(fault.ServerProgramMissing, "culvert "+policyName, here)
}

// runs reports whether a path is a program.
func runs(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// completePolicy asks culvertd for what a shell may complete.
func (p *Program) completePolicy(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	path, err := p.serverProgram()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out bytes.Buffer
	words := append([]string{cobra.ShellCompRequestCmd, policyName}, args...)
	run := p.server(cmd.Context(), path, &out, append(words, word))
	run.Stderr = io.Discard
	if err := run.Run(); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	directive, err := strconv.Atoi(strings.TrimPrefix(last, ":"))
	if err != nil || !strings.HasPrefix(last, ":") {
		return nil, cobra.ShellCompDirectiveError
	}
	return lines[:len(lines)-1], cobra.ShellCompDirective(directive)
}
