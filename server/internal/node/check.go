package node

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
)

// check returns every problem of a configuration that has its defaults. What is
// wrong with one value alone is said with the name of its setting.
func (c Config) check() error {
	var errs []error
	bad := func(value any, setting, why string) {
		errs = append(errs, fault.New(fault.SettingInvalid, fmt.Sprint(value), setting, why))
	}
	if c.DataDir == "" {
		bad("", "--data-dir", "there is none")
	}
	for _, a := range []struct{ addr, set string }{
		{c.HTTPAddr, "--http-addr"},
		{c.HTTPSAddr, "--https-addr"},
		{c.AgentAddr, "--agent-addr"},
		{c.APIAddr, "--api-addr"},
		{c.AdvertiseAgent, "--advertise-agent"},
	} {
		if a.addr == "" {
			continue // only --advertise-agent has no default
		}
		if err := checkAddr(a.addr); err != nil {
			errs = append(errs, fault.Wrap(err, fault.AddressInvalid, a.addr, a.set, err))
		}
	}
	for _, d := range c.Domains {
		if _, err := endpoint.ParseHost(d); err != nil {
			errs = append(errs, fault.Wrap(err, fault.DomainInvalid, d, fault.From(err).Message))
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, fault.New(fault.ServerCertificate, cmp.Or(c.TLSCert, "(none)"), cmp.Or(c.TLSKey, "(none)"), "only one of the two is given"))
	}
	if c.BootstrapAuthtoken != "" {
		errs = append(errs, identity.CheckBootstrap(c.BootstrapAuthtoken)) // nil is no error
	}
	if c.TCPPorts.First > c.TCPPorts.Last {
		errs = append(errs, fault.New(fault.PortRangeInvalid, c.TCPPorts, "it ends before it begins"))
	}
	switch c.RedirectHTTP {
	case 307, 308, -1:
	default:
		bad(c.RedirectHTTP, "redirect_http", "it is not one of 307, 308, off")
	}
	switch c.ForwardedHeaders {
	case "append", "replace", "off":
	default:
		bad(c.ForwardedHeaders, "forwarded_headers", "it is not one of append, replace, off")
	}
	seen := map[uint16]bool{}
	for _, x := range c.ExtraListeners {
		at := fmt.Sprintf("%s:%d", x.Scheme, x.Port)
		switch {
		case !x.Scheme.Known() || x.Scheme == endpoint.TCP:
			bad(at, "extra_listeners", "its scheme is not one of http, https, tls")
		case seen[x.Port]:
			bad(at, "extra_listeners", "the port is listed twice")
		case x.Port == 80 || x.Port == 443:
			bad(at, "extra_listeners", "80 and 443 are the ports of --http-addr and --https-addr")
		}
		seen[x.Port] = true
	}
	return errors.Join(errs...)
}

// String returns the range as it is written in settings.
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("it is not of the form host:port")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("its port is not a number up to 65535")
	}
	return nil
}
