package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/store"
)

// localhost is the name that resolves everywhere, in contrast to names under it (decisions.md 19).
const localhost = "localhost"

func isLocalhost(domain string) bool { return endpoint.Under(domain, localhost) }

// wanted returns the URL that a first bind asks for, with its stored port; the Host is empty if the server
// shall choose.
func (b *Binder) wanted(r request) (endpoint.URL, error) {
	address := r.address
	if r.subdomain != "" {
		address = r.subdomain + "." + b.cfg.Domains[0]
	}
	u, err := endpoint.ParseURL(address, r.scheme)
	if err != nil {
		return endpoint.URL{}, err
	}
	switch {
	case u.Scheme == r.scheme:
	case u.Scheme.IsHTTP() && r.scheme.IsHTTP():
		u.Scheme = r.scheme // the protocol decides between the two (agent-protocol.md 7)
	default:
		return endpoint.URL{}, fault.New(fault.SchemeMismatch, string(r.scheme), u)
	}
	return b.stored(u, r.bindings)
}

// stored returns a URL as it is stored, if the server has it to give with these bindings.
func (b *Binder) stored(u endpoint.URL, bindings []string) (endpoint.URL, error) {
	binding, err := endpoint.ParseBindings(bindings, u.Host)
	if err != nil {
		return endpoint.URL{}, err
	}
	if err := u.Check(binding); err != nil {
		return endpoint.URL{}, err
	}
	switch {
	case binding == endpoint.Kubernetes:
		return endpoint.URL{}, fault.New(fault.BindingNotBuilt, string(binding))
	case binding == endpoint.Internal:
		return u.WithDefaults(), nil // nothing is advertised or reserved there (decisions.md 48)
	case u.Host == "":
		return u, nil
	}
	if u.Scheme != endpoint.TCP {
		u.Port = b.storedPort(u)
	} else if b.isTCPHost(u.Host) {
		u.Host = b.tcpHost
	}
	return u, b.checkPublic(u)
}

// storedPort turns a port as clients use it into the one under which endpoints are stored: none and the
// advertised one mean the scheme's own.
func (b *Binder) storedPort(u endpoint.URL) uint16 {
	if u.Port == 0 || u.Port == b.advertised(u.Scheme) {
		return u.Scheme.DefaultPort()
	}
	return u.Port
}

// advertised returns the port that clients use for endpoints on the scheme's own port.
func (b *Binder) advertised(s endpoint.Scheme) uint16 {
	switch s {
	case endpoint.HTTP:
		return b.cfg.HTTPPort
	case endpoint.HTTPS, endpoint.TLS:
		return b.cfg.HTTPSPort
	case endpoint.TCP:
	}
	return 0
}

// Port returns the port of a stored URL as clients use it.
func (b *Binder) Port(u endpoint.URL) uint16 {
	if u.Port == u.Scheme.DefaultPort() && u.Scheme != endpoint.TCP && BindingOf(u) == endpoint.Public {
		return b.advertised(u.Scheme)
	}
	return u.Port
}

// Show returns a stored URL as people see it.
func (b *Binder) Show(u endpoint.URL) string {
	if u.Scheme != endpoint.TCP && BindingOf(u) == endpoint.Public && u.Port == u.Scheme.DefaultPort() {
		if u.Port = b.advertised(u.Scheme); u.Port == u.Scheme.DefaultPort() {
			u.Port = 0
		}
	}
	return u.String()
}

// checkPublic judges whether the server has the place of a stored URL to give. Internal ones are the account's
// own to give.
func (b *Binder) checkPublic(u endpoint.URL) error {
	if BindingOf(u) == endpoint.Internal {
		return nil
	}
	if u.Scheme == endpoint.TCP {
		return b.checkTCP(u)
	}
	if u.Port != u.Scheme.DefaultPort() && !slices.Contains(b.cfg.Extra, Listener{u.Scheme, u.Port}) {
		return fault.New(fault.PortRefused, int(u.Port), u, string(u.Scheme), b.allowedPorts(u.Scheme))
	}
	if slices.Contains(b.kept, u.Host) {
		return fault.New(fault.NameKept, u.Host)
	}
	if b.cfg.Names == nil && BaseOf(b.cfg.Domains, u.Host) == "" {
		return fault.New(fault.NameNotReserved, u.Host, strings.Join(b.cfg.Domains, ", "), "app."+b.cfg.Domains[0])
	}
	return nil
}

// owns judges whether an account may have a stored URL that the server has to give: public names have owners.
func (b *Binder) owns(ctx context.Context, account string, u endpoint.URL) error {
	if b.cfg.Names == nil || u.Host == "" || u.Scheme == endpoint.TCP || BindingOf(u) == endpoint.Internal {
		return nil
	}
	return b.cfg.Names.Judge(ctx, account, u.Host)
}

// OwnsIn judges, by what a transaction sees, whether an account may have the stored URL of an endpoint that the API
// makes or changes. text is the URL as its owner wrote it.
func (b *Binder) OwnsIn(tx store.Tx, account, text string, u endpoint.URL) error {
	if b.cfg.Names == nil || u.Scheme == endpoint.TCP || BindingOf(u) == endpoint.Internal {
		return nil
	}
	err := b.cfg.Names.JudgeIn(tx, account, u.Host)
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return b.urlRefusal(f, text, u)
	}
	return err
}

// Reserved returns the id of the reserved name of an account that covers a stored URL, "" if none does.
func (b *Binder) Reserved(account string, u endpoint.URL) string {
	if b.cfg.Names == nil || u.Scheme == endpoint.TCP || BindingOf(u) != endpoint.Public {
		return ""
	}
	return b.cfg.Names.Reserved(account, u.Host)
}

// checkTCP judges a TCP address: the server's name for such addresses and a port of its range, or one that is reserved
// since it was in it.
func (b *Binder) checkTCP(u endpoint.URL) error {
	if b.isTCPHost(u.Host) && (b.inRange(u.Port) || b.reserved(u.Port) || slices.Contains(b.cfg.Extra, Listener{endpoint.TCP, u.Port})) {
		return nil
	}
	return b.unknownAddress(u)
}

func (b *Binder) unknownAddress(u endpoint.URL) error {
	return fault.New(fault.TCPAddressUnknown, u, fmt.Sprintf("tcp://%s:%d", b.tcpHost, b.cfg.TCPFirst)+" (ports "+rangeText(b.cfg)+")")
}

// isTCPHost reports whether a TCP address may have this host: the one that is shown, or any base domain.
func (b *Binder) isTCPHost(host string) bool {
	return host == b.tcpHost || slices.Contains(b.cfg.Domains, host) ||
		host == localhost && slices.ContainsFunc(b.cfg.Domains, isLocalhost)
}

// allowedPorts lists the ports that endpoints of a scheme may have, as clients use them.
func (b *Binder) allowedPorts(s endpoint.Scheme) string {
	list := []string{strconv.Itoa(int(b.advertised(s)))}
	for _, x := range b.cfg.Extra {
		if x.Scheme == s {
			list = append(list, strconv.Itoa(int(x.Port)))
		}
	}
	return strings.Join(list, ", ")
}

func rangeText(cfg Config) string {
	return fmt.Sprintf("%d-%d", cfg.TCPFirst, cfg.TCPLast)
}
