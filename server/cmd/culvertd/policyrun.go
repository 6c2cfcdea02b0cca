package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/intel"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/workbench"
)

// runFlags are the flags of culvert policy run.
type runFlags struct {
	policyFlags

	request, curl, response string
	url, client, sni        string
	tlsVersion, clientCert  string
	geoIP                   []string
	categories              string
	secrets                 []string
	now                     string
}

func (p *program) policyRun() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Show what a policy does with one request",
		Long: `Show what a policy does with one request: each rule, whether it matched and why, with the values of
the parts of its expressions, what its actions changed, and the answer.

The request is text (--request) or a command line of curl (--curl), which is read and not run.
The upstream, and every internal endpoint, answers with --response, or with a small 200.
Endpoints of tcp and tls get a connection in place of a request: --endpoint tcp://HOST:PORT.
Actions that would have to ask somebody over the network fail.`,
		Example: `  culvert policy run policy.yml --curl 'curl -H "Authorization: Bearer x" https://app.example.com/a?b=c'
  culvert policy run policy.yml --request request.http --response response.http --client 198.51.100.9
  printf 'GET / HTTP/1.1\nHost: app.example.com\n\n' | culvert policy run policy.yml --request -
  culvert policy run policy.yml --endpoint tcp://app.example.com:22 --client 10.1.2.3`,
		Args: atLeastOne("one file", 1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runPolicy(cmd, f, args[0]) },
	}
	f.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	for _, d := range []struct {
		to               *string
		name, arg, usage string
	}{
		{&f.request, "request", "FILE", "the request as text: request line, fields, an empty line, body; - is standard input"},
		{&f.curl, "curl", "LINE", "the request as a command line of curl"},
		{&f.response, "response", "FILE", "the answer of the upstream as text: status line, fields, an empty line, body"},
		{&f.url, "endpoint", "URL", "URL of the endpoint (default https and the host of the request, or where curl would go)"},
		{&f.client, "client", "ADDR[:PORT]", "address of the client (default 203.0.113.7:4711)"},
		{&f.sni, "sni", "NAME", "server name that the client asks for with TLS (default the endpoint's host)"},
		{&f.tlsVersion, "tls-version", "VERSION", "version of TLS, 1.2 or 1.3 (default 1.3)"},
		{&f.clientCert, "client-cert", "FILE", "certificate of the client, in PEM"},
		{&f.categories, "ip-categories", "DIR", "folder of address lists; a file's name is the category"},
		{&f.now, "now", "TIME", "what the clock says, such as 2026-01-02T15:04:05Z (default the time)"},
	} {
		fl.StringVar(d.to, d.name, "", d.usage)
		placeholder(fl, d.name, d.arg)
	}
	fl.StringArrayVar(&f.geoIP, "geoip-db", nil, "database of places or networks in MaxMind's format; repeatable")
	fl.StringArrayVar(&f.secrets, "secret", nil, "a secret, as VAULT/NAME=VALUE; repeatable")
	placeholder(fl, "geoip-db", "FILE")
	placeholder(fl, "secret", "SECRET")
	completeWith(cmd, "tls-version", "1.2", "1.3")
	_ = cmd.MarkFlagFilename("geoip-db", "mmdb") // it was just made
	_ = cmd.MarkFlagDirname("ip-categories")     // as above
	f.targetFlags(cmd)
	f.outputFlag(cmd)
}

func (p *program) runPolicy(cmd *cobra.Command, f *runFlags, file string) error {
	o, err := p.out(&f.policyFlags)
	if err != nil {
		return err
	}
	target, err := f.target()
	if err != nil {
		return err
	}
	t := workbench.Try{Binding: target.Binding, Cloud: target.Cloud, SNI: f.sni}
	if file == "-" && f.request == "-" {
		return usage(errors.New("standard input cannot be the policy and the request"))
	}
	if t.Policy, err = p.read(file); err != nil {
		return err
	}
	for _, step := range []func(*runFlags, *workbench.Try) error{p.message, (*runFlags).address, p.tlsState, (*runFlags).services} {
		if err := step(f, &t); err != nil {
			return err
		}
	}
	b, err := bench()
	if err != nil {
		return err
	}
	sound, err := b.Run(cmd.Context(), o, t)
	if err != nil {
		return usage(err)
	}
	return refused(sound, nil)
}

// message reads the request and the response.
func (p *program) message(f *runFlags, t *workbench.Try) error {
	switch {
	case f.request != "" && f.curl != "":
		return usage(errors.New("--request and --curl are two requests, and one is made"))
	case f.request != "":
		file, err := p.read(f.request)
		if err != nil {
			return err
		}
		t.Request = file.Text
	case f.curl != "":
		var err error
		t.Request, t.Endpoint, err = workbench.Curl(f.curl, func(name string) ([]byte, error) {
			file, err := p.read(name)
			return file.Text, err
		})
		if err != nil {
			return usage(fmt.Errorf("--curl: %w", err))
		}
	case f.url == "":
		return usage(errors.New("there is no request: give --request or --curl, or --endpoint tcp://HOST:PORT for a connection"))
	}
	if f.response == "" {
		return nil
	}
	file, err := p.read(f.response)
	t.Response = file.Text
	return err
}

// address reads the endpoint and the client.
func (f *runFlags) address(t *workbench.Try) error {
	if f.url != "" {
		u, err := endpoint.ParseURL(f.url, endpoint.HTTPS)
		if err != nil {
			return err
		}
		t.Endpoint = u
	}
	if f.client == "" {
		return nil
	}
	a, err := netip.ParseAddrPort(f.client)
	if err != nil {
		addr, errAddr := netip.ParseAddr(f.client)
		if errAddr != nil {
			return usage(fmt.Errorf("--client: %q is no IP address, with or without a port", f.client))
		}
		a = netip.AddrPortFrom(addr, workbench.DefaultClient.Port())
	}
	t.Client = a
	return nil
}

// tlsState makes the state after the handshake, for endpoints of https.
func (p *program) tlsState(f *runFlags, t *workbench.Try) error {
	if t.Endpoint.Scheme != "" && t.Endpoint.Scheme != endpoint.HTTPS {
		if f.tlsVersion+f.clientCert != "" {
			return usage(fmt.Errorf("--tls-version and --client-cert are for https endpoints, and this one is %s", t.Endpoint.Scheme))
		}
		return nil
	}
	state := &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, HandshakeComplete: true}
	switch f.tlsVersion {
	case "", "1.3":
	case "1.2":
		state.Version, state.CipherSuite = tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	default:
		return oneOf("tls-version", f.tlsVersion, "1.2", "1.3")
	}
	t.TLS = state
	if f.clientCert == "" {
		return nil
	}
	file, err := p.read(f.clientCert)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(file.Text)
	if block == nil {
		return usage(fmt.Errorf("--client-cert: %s holds no PEM", f.clientCert))
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return usage(fmt.Errorf("--client-cert: %w", err))
	}
	state.PeerCertificates = []*x509.Certificate{cert}
	return nil
}

// services answers what expressions ask of the world outside.
func (f *runFlags) services(t *workbench.Try) error {
	if len(f.geoIP) > 0 || f.categories != "" {
		facts, err := intel.New(intel.Config{Databases: f.geoIP, Categories: f.categories})
		if err != nil {
			return fault.Wrap(err, fault.AddressFilesUnusable, err)
		}
		t.Services.Address = facts.Fact
	}
	if f.now != "" {
		now, err := time.Parse(time.RFC3339, f.now)
		if err != nil {
			return usage(fmt.Errorf("--now: %w", err))
		}
		t.Services.Now = func() time.Time { return now }
	}
	return f.keep(&t.Services)
}

// keep answers for secrets.
func (f *runFlags) keep(s *policy.Services) error {
	secrets := make(map[string]string)
	for _, line := range f.secrets {
		path, value, ok := strings.Cut(line, "=")
		vault, name, slash := strings.Cut(path, "/")
		if !ok || !slash || vault == "" || name == "" {
			return usage(errors.New("--secret: a secret is written VAULT/NAME=VALUE"))
		}
		secrets[path] = value
	}
	s.Secret = func(_, vault, name string) (string, error) {
		if v, ok := secrets[vault+"/"+name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("there is no secret %s in the vault %s; --secret gives one", name, vault)
	}
	return nil
}
