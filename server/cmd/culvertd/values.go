package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/server/internal/node"
)

// Errors of this file complete the sentence "the value … is not valid: …".

func text(field func(*node.Config) *string) func(*options, string) error {
	return func(o *options, v string) error {
		*field(&o.node) = v
		return nil
	}
}

func address(field func(*node.Config) *string) func(*options, string) error {
	return func(o *options, v string) error {
		if err := checkAddress(v); err != nil {
			return err
		}
		*field(&o.node) = v
		return nil
	}
}

func checkAddress(v string) error {
	_, p, err := net.SplitHostPort(v)
	if err != nil {
		if _, err := strconv.ParseUint(v, 10, 16); err == nil {
			return fmt.Errorf("it has no host; write 127.0.0.1:%s, or :%s for every interface", v, v)
		}
		return errors.New("it is not of the form HOST:PORT, such as 127.0.0.1:9443")
	}
	if _, err := strconv.ParseUint(p, 10, 16); err != nil {
		return errors.New("its port is not a number up to 65535")
	}
	return nil
}

func port(field func(*node.Config) *uint16) func(*options, string) error {
	return func(o *options, v string) error {
		n, err := parsePort(v)
		*field(&o.node) = n
		return err
	}
}

func parsePort(v string) (uint16, error) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", v)
	}
	return uint16(n), nil
}

func (o *options) setDataDir(v string) error {
	if v == "" {
		return errors.New("it is empty")
	}
	o.node.DataDir = v
	return nil
}

func (o *options) setAPITLS(v string) error {
	switch s := node.Switch(v); s {
	case node.TLSAuto, node.TLSOn, node.TLSOff:
		o.node.APITLS = s
		return nil
	}
	return errors.New("it is not one of auto, on, off")
}

func (o *options) setAPIOnHTTPS(v string) (err error) {
	if o.node.APIOnHTTPS, err = strconv.ParseBool(v); err != nil {
		return errors.New("it is not true or false")
	}
	return nil
}

func (o *options) setAPIURL(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("it is not a URL such as https://api.example.com")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("it is scheme, host and port alone: the API has the root of its host")
	}
	o.node.APIURL = u.Scheme + "://" + u.Host
	return nil
}

func (o *options) addOrigin(v string) error {
	u, err := url.Parse(v)
	switch {
	case v == "*":
		return errors.New("every page could then call the API with what its reader's browser knows; name the origins")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("it is not an origin such as https://console.example.com")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("it is scheme, host and port alone, as browsers send it")
	}
	host := strings.ToLower(u.Host) // as browsers write it, without the scheme's own port
	if p := u.Port(); p == "443" && u.Scheme == "https" || p == "80" && u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	o.node.APIOrigins = append(o.node.APIOrigins, u.Scheme+"://"+host)
	return nil
}

func (o *options) setMasterKeyFile(v string) error {
	if v == "" {
		return errors.New("it is empty")
	}
	path, err := filepath.Abs(v)
	o.node.MasterKeyFile = path
	return err
}

func (o *options) addDomain(v string) error {
	name := strings.TrimSuffix(strings.ToLower(v), ".")
	switch {
	case name == "":
		return errors.New("it is empty")
	case strings.ContainsAny(name, "/:"):
		return errors.New("it is a name alone, without scheme, port and path")
	case strings.Contains(name, "*"):
		return errors.New("it has no wildcard; every name under it can be used anyway")
	case strings.HasSuffix("."+name, endpoint.InternalSuffix):
		return errors.New("names in .internal are not public")
	}
	if err := endpoint.CheckHost(name); err != nil {
		return err
	}
	for _, have := range o.node.Domains {
		if have == name {
			return errors.New("it is given twice")
		}
	}
	o.node.Domains = append(o.node.Domains, name)
	return nil
}

func (o *options) setTCPAddr(v string) error {
	if strings.Contains(v, ":") && net.ParseIP(v) == nil {
		return errors.New("it is a host or an IP address without port; the ports are in --tcp-ports")
	}
	o.node.TCPAddr = v
	return nil
}

func (o *options) setTCPPorts(v string) error {
	a, b, isRange := strings.Cut(v, "-")
	if !isRange {
		b = a
	}
	first, err := parsePort(strings.TrimSpace(a))
	if err != nil {
		return err
	}
	last, err := parsePort(strings.TrimSpace(b))
	if err != nil {
		return err
	}
	if last < first {
		return errors.New("the first port is above the last")
	}
	o.node.TCPPorts = node.PortRange{First: first, Last: last}
	return nil
}

func (o *options) setLogFormat(v string) error {
	switch v {
	case "term", "logfmt", "json":
		o.logFormat = logs.Format(v)
		return nil
	}
	return errors.New("it is not one of term, logfmt, json")
}

func (o *options) setLogLevel(v string) (err error) {
	o.logLevel, err = logs.ParseLevel(v)
	o.logLevelSet = true
	return err
}

func (o *options) setAccessLog(v string) error {
	switch v {
	case "", "false":
		v = ""
	case "true":
		v = "stdout"
	}
	o.accessLog = v
	return nil
}

func (o *options) setGrace(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return errors.New("it is not a duration such as 30s or 2m")
	}
	if d == 0 {
		d = -1 // in node.Config zero is the default
	}
	o.node.ShutdownGrace = d
	return nil
}

func (o *options) addProxy(v string) error {
	p, err := parsePrefix(v)
	o.node.TrustedProxies = append(o.node.TrustedProxies, p)
	return err
}

func (o *options) addOutbound(v string) error {
	p, err := parsePrefix(v)
	o.node.OutboundAllow = append(o.node.OutboundAllow, p)
	return err
}

func parsePrefix(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return p, errors.New("it is not an IP address or a prefix such as 10.0.0.0/8")
	}
	return p.Masked(), nil
}

func (o *options) setEgress(v string) error {
	switch e := node.Egress(v); e {
	case node.EgressNone, node.EgressPublic:
		o.node.PolicyEgress = e
		return nil
	}
	return errors.New("it is not one of none, public")
}

func (o *options) addGeoIP(v string) error {
	if v == "" {
		return errors.New("it is empty")
	}
	o.node.GeoIP = append(o.node.GeoIP, v)
	return nil
}

func (o *options) addListener(v string) error {
	scheme, number, ok := strings.Cut(v, ":")
	if !ok {
		return errors.New("it is not of the form scheme:port, such as https:8443")
	}
	s := endpoint.Scheme(scheme)
	if !s.Known() || s == endpoint.TCP {
		return errors.New("its scheme is not one of http, https, tls")
	}
	p, err := parsePort(number)
	if err != nil {
		return err
	}
	o.node.ExtraListeners = append(o.node.ExtraListeners, node.ExtraListener{Scheme: s, Port: p})
	return nil
}

func (o *options) setRedirect(v string) error {
	switch v {
	case "307", "true":
		o.node.RedirectHTTP = 307
	case "308":
		o.node.RedirectHTTP = 308
	case "off", "false":
		o.node.RedirectHTTP = -1
	default:
		return errors.New("it is not one of 307, 308, off")
	}
	return nil
}

func (o *options) setForwarded(v string) error {
	switch v {
	case "append", "replace", "off":
		o.node.ForwardedHeaders = v
		return nil
	case "false": // YAML 1.1 habits
		o.node.ForwardedHeaders = "off"
		return nil
	}
	return errors.New("it is not one of append, replace, off")
}
