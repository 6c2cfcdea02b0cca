package sshd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// maxCommand bounds the text of a command, in bytes.
const maxCommand = 16 << 10

// command is what a client wants its forwards to be.
type command struct {
	verb string
	help bool

	wanted, wantedBy, subdomain string // an address, and the flag that names it
	scheme                      endpoint.Scheme
	name, description, metadata string
	pooling, terminate          bool
	proxy                       int
	protocol, policyURL, policy string
	modules                     wire.Modules
}

// defaultName is the name of an endpoint of the command line, as agents have it.
const defaultName = "command_line"

// parse reads a command. Errors are *fault.Error.
func parse(text string) (*command, error) {
	if len(text) > maxCommand {
		return nil, fault.New(fault.SSHCommandInvalid, "it is longer than 16 KiB", httpVerb)
	}
	list, err := words(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.SSHCommandInvalid, err, httpVerb)
	}
	if len(list) == 0 {
		return nil, fault.New(fault.SSHCommandMissing)
	}
	c := &command{verb: list[0], name: defaultName}
	if !slices.Contains([]string{httpVerb, tcpVerb, tlsVerb}, c.verb) {
		return nil, fault.New(fault.SSHCommandUnknown, c.verb)
	}
	for rest := list[1:]; len(rest) > 0; {
		if rest, err = c.take(rest); err != nil {
			return nil, err
		}
	}
	if c.subdomain != "" && c.wanted != "" {
		return nil, fault.New(fault.SSHFlagsTwice, c.wantedBy)
	}
	return c, nil
}

// take reads the flag at the beginning of list and returns what follows.
func (c *command) take(list []string) (rest []string, err error) {
	invalid := func(cause error, format string, args ...any) error {
		return fault.Wrap(cause, fault.SSHCommandInvalid, fmt.Sprintf(format, args...), c.verb)
	}
	word, rest := list[0], list[1:]
	if word == "-h" || word == "--help" {
		c.help = true
		return nil, nil
	}
	name, ok := strings.CutPrefix(word, "--")
	if !ok || name == "" {
		return nil, invalid(nil, "%q is no flag; flags begin with two hyphens", word)
	}
	name, value, given := strings.Cut(name, "=")
	all := flags()
	i := slices.IndexFunc(all, func(f flag) bool { return f.name == name && f.has(c.verb) })
	if i < 0 {
		return nil, fault.New(fault.SSHFlagUnsupported, "--"+name, c.verb)
	}
	switch {
	case given:
	case all[i].arg == "":
		value = "true"
	case len(rest) == 0:
		return nil, invalid(nil, "--%s has no value", name)
	default:
		value, rest = rest[0], rest[1:]
	}
	if all[i].arg != "" && value == "" { // a variable that is not set, in a script
		return nil, invalid(nil, "the value of --%s is empty", name)
	}
	err = all[i].set(c, value)
	if _, coded := errors.AsType[*fault.Error](err); err != nil && !coded {
		err = invalid(err, "--%s: %v", name, err)
	}
	return rest, err
}

// usage is what --help says.
func (c *command) usage() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: ssh -R [NAME:]PORT:HOST:PORT v2@SERVER %s [flags]\n\n", c.verb)
	all := flags()
	for i := range all {
		if f := &all[i]; f.has(c.verb) {
			fmt.Fprintf(&b, "  --%-40s %s\n", strings.TrimSpace(f.name+" "+f.arg), f.usage)
		}
	}
	return b.String()
}

// remote is the remote side of a forward, as -R names it. The host is "" where it names none.
type remote struct {
	host string
	port uint32
}

// anyHosts are what clients send where -R names no host.
var anyHosts = []string{"", "*", "localhost", "0.0.0.0", "::", "127.0.0.1", "::1"}

// remoteOf reads the remote side of a forward.
func remoteOf(host string, port uint32) remote {
	if slices.Contains(anyHosts, host) {
		host = ""
	}
	return remote{host, port}
}

func (r remote) String() string {
	return net.JoinHostPort(r.host, strconv.FormatUint(uint64(r.port), 10))
}

// bind returns the bind of a forward; tcpHost is the host of TCP endpoints. Errors are *fault.Error.
func (c *command) bind(r remote, tcpHost string) (wire.Bind, error) {
	b := wire.Bind{
		Proto: c.verb, ForwardsProto: c.protocol,
		Extra: wire.BindExtra{Name: c.name, Description: c.description, Metadata: c.metadata, PoolingEnabled: c.pooling},
	}
	var opts any
	var err error
	switch c.verb {
	case httpVerb:
		b.Proto = string(c.webScheme(r.port))
		var host, subdomain string
		host, subdomain, err = c.host(r, 80, 443)
		if c.scheme != "" && r.port != 0 && r.port != uint32(c.scheme.DefaultPort()) {
			err = fault.New(fault.SSHPortRefused, r.port, "http --scheme "+string(c.scheme), c.scheme.DefaultPort())
		}
		opts = wire.HTTPOptions{URL: host, Subdomain: subdomain, ProxyProto: c.proxy, TrafficPolicy: c.policy, Modules: c.modules}
	case tlsVerb:
		var host, subdomain string
		host, subdomain, err = c.host(r, 443)
		o := wire.TLSOptions{URL: host, Subdomain: subdomain, ProxyProto: c.proxy, TrafficPolicy: c.policy, IPRestriction: c.modules.IPRestriction}
		if c.terminate {
			o.TLSTermination = new(wire.TLSTermination)
		}
		opts = o
	default:
		var addr string
		addr, err = c.tcpAddress(r, tcpHost)
		opts = wire.TCPOptions{URL: addr, ProxyProto: c.proxy, TrafficPolicy: c.policy, IPRestriction: c.modules.IPRestriction}
	}
	if err != nil {
		return b, err
	}
	b.Opts, err = json.Marshal(opts)
	return b, err
}

// webScheme is the scheme of the endpoint of the command http.
func (c *command) webScheme(port uint32) endpoint.Scheme {
	switch {
	case c.scheme != "":
		return c.scheme
	case port == uint32(endpoint.HTTP.DefaultPort()), strings.HasPrefix(c.wanted, string(endpoint.HTTP)+"://"):
		return endpoint.HTTP
	}
	return endpoint.HTTPS
}

// host returns the name that a forward of http or tls asks for, or the label below the server's domain. Its
// port, if it has one, is one of ports.
func (c *command) host(r remote, ports ...uint32) (host, subdomain string, err error) {
	switch {
	case r.port != 0 && !slices.Contains(ports, r.port):
		return "", "", fault.New(fault.SSHPortRefused, r.port, c.verb, strings.Trim(fmt.Sprint(append([]uint32{0}, ports...)), "[]"))
	case r.host == "":
		return c.wanted, c.subdomain, nil
	case c.wanted != "":
		return "", "", fault.New(fault.SSHNameTwice, r.host, c.wantedBy)
	case c.subdomain != "":
		return "", "", fault.New(fault.SSHSubdomainTwice, r.host)
	}
	return r.host, "", nil
}

// tcpAddress returns the address that a forward of tcp asks for, "" for one of the server's choice. A port alone
// is one of the server's own host.
func (c *command) tcpAddress(r remote, tcpHost string) (string, error) {
	switch {
	case r.host == "" && r.port == 0:
		return c.wanted, nil
	case r.port == 0:
		return "", fault.New(fault.SSHPortMissing, r.host)
	case c.wanted == "":
		return remote{cmp.Or(r.host, tcpHost), r.port}.String(), nil
	case r.host == "":
		return "", fault.New(fault.SSHPortTwice, r.port, c.wantedBy)
	}
	return "", fault.New(fault.SSHAddressTwice, r, c.wantedBy)
}
