package node

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
)

// check returns every problem of a configuration that has its defaults, as far
// as they lie in how values fit together. What one value alone may be is for
// whoever read it to judge, who knows where it stands.
func (c Config) check() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, fault.New(fault.SettingInvalid, "", "--data-dir", "there is none"))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, fault.New(fault.ServerCertificate, cmp.Or(c.TLSCert, "(none)"), cmp.Or(c.TLSKey, "(none)"), "only one of the two is given"))
	}
	if c.BootstrapAuthtoken != "" {
		errs = append(errs, identity.CheckBootstrap(c.BootstrapAuthtoken)) // nil is no error
	}
	if c.BootstrapAPIKey != "" {
		errs = append(errs, identity.CheckBootstrapKey(c.BootstrapAPIKey))
	}
	seen := map[uint16]bool{}
	for _, x := range c.ExtraListeners {
		bad := func(why string) {
			errs = append(errs, fault.New(fault.SettingInvalid, fmt.Sprintf("%s:%d", x.Scheme, x.Port), "extra_listeners", why))
		}
		switch {
		case seen[x.Port]:
			bad("the port is listed twice")
		case x.Port == 80 || x.Port == 443:
			bad("80 and 443 are the ports of --http-addr and --https-addr")
		}
		seen[x.Port] = true
	}
	return errors.Join(errs...)
}

// String returns the range as it is written in settings.
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }
