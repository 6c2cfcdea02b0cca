package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/agent/diagnose"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/version"
)

func (p *Program) diagnoseCommand() *cobra.Command {
	f := &sessionFlags{}
	var ipv6 bool
	var file string
	cmd := &cobra.Command{
		Use:     "diagnose",
		Short:   "Find out what stands between this machine and the server",
		GroupID: "setup",
		Long: `Check name resolution, TCP, TLS, the agent protocol and the authtoken towards the server, the
proxy on the way if there is one, and the upstreams of the configuration. Nobody else is
contacted. Exit code 0 means that the server can be reached and takes the token.`,
		Example: "  culvert diagnose\n  culvert diagnose -6 -w report.json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := p.load(cmd, f)
			if err != nil {
				return err
			}
			if s.settings.Server == "" {
				return fault.New(fault.ServerNotSet)
			}
			v := version.Read().Version
			probe, err := agent.NewProbe(s.settings, s.proxy, v)
			if err != nil {
				return err
			}
			c := diagnose.Config{
				Server: s.settings.Server, Proxy: s.proxy, Fingerprint: s.settings.Fingerprint != "", IPv6: ipv6,
				Prober: probe, Dialer: probe.Dialer, Resolver: probe.Dialer.Resolver, Timeout: s.settings.ConnectTimeout, Version: v,
				Files: s.config.Files, Environment: diagnose.Environment(p.Env),
			}
			if s.settings.Authtoken != "" {
				c.Authenticate = probe.Authenticate
			}
			specs, err := s.config.Specs()
			if err != nil {
				p.warn("the endpoints of the configuration are not checked: " + describe(err).Lines[0])
			}
			for _, spec := range specs {
				c.Upstreams = append(c.Upstreams, diagnose.Upstream{Endpoint: spec.Name, Target: spec.Upstream})
			}
			r := diagnose.Run(cmd.Context(), c)
			r.WriteText(p.Stdout)
			if file != "" {
				if err := p.writeReport(r, file); err != nil {
					return err
				}
			}
			if r.Failed() {
				return errSilent
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.BoolVarP(&ipv6, "ipv6", "6", false, "check IPv6 too")
	fl.StringVarP(&file, "write-report", "w", "", "write a report as JSON, without secrets, to `FILE`")
	f.register(cmd)
	for _, name := range []string{"log", "log-level", "json"} {
		_ = fl.MarkHidden(name) // registered above; there is no log here
	}
	return cmd
}

func (p *Program) writeReport(r *diagnose.Report, file string) error {
	out, err := os.OpenFile(filepath.Clean(file), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.ValueInvalid, file, "--write-report", err.Error())
	}
	err = r.WriteJSON(out)
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Fprintf(p.Stdout, "\nReport written to %s.\n", file)
	return nil
}
