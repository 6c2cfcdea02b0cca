package endpoint

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

// Scheme is the protocol of an endpoint as its URL spells it.
type Scheme string

// The four schemes an endpoint can have (endpoints.md 1.3).
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	TCP   Scheme = "tcp"
	TLS   Scheme = "tls"
)

// DefaultPort returns the port that a URL of this scheme means when it names none: 80 for http, 443 for
// https and tls, 0 for tcp, which has no default.
func (s Scheme) DefaultPort() uint16 {
	switch s {
	case HTTP:
		return 80
	case HTTPS, TLS:
		return 443
	case TCP:
	}
	return 0
}

// Known reports whether s is one of the four schemes.
func (s Scheme) Known() bool {
	switch s {
	case HTTP, HTTPS, TCP, TLS:
		return true
	}
	return false
}

// IsHTTP reports whether requests of HTTP travel on endpoints of this scheme.
func (s Scheme) IsHTTP() bool { return s == HTTP || s == HTTPS }

// Binding says from where an endpoint can be reached (endpoints.md 2).
type Binding string

// The three bindings.
const (
	// Public endpoints are reachable through the server's listeners. Their names are global.
	Public Binding = "public"
	// Internal endpoints are reachable only from endpoints of the same account.
	Internal Binding = "internal"
	// Kubernetes endpoints are reachable only from clusters whose operator selected them.
	Kubernetes Binding = "kubernetes"
)

// InternalSuffix ends the host of every internal endpoint and of no other.
const InternalSuffix = ".internal"

// URL is an endpoint's address. The zero Host means that the server assigns one, the zero Port that none was
// given. Values made by ParseURL are canonical, so equal addresses are equal values.
type URL struct {
	Scheme Scheme
	Host   string
	Port   uint16
}

// String returns the canonical text of endpoints.md 3.6: the port is shown only when it is given and not the
// scheme's default.
func (u URL) String() string {
	s := string(u.Scheme) + "://" + u.Host
	if u.Port != 0 && u.Port != u.Scheme.DefaultPort() {
		s += ":" + strconv.Itoa(int(u.Port))
	}
	return s
}

// WithDefaults returns u with the scheme's default port where none was given; tcp stays without.
func (u URL) WithDefaults() URL {
	if u.Port == 0 {
		u.Port = u.Scheme.DefaultPort()
	}
	return u
}

// IsWildcard reports whether the host begins with "*.".
func (u URL) IsWildcard() bool { return strings.HasPrefix(u.Host, "*.") }

// WildcardSuffix returns what follows "*." in a wildcard host ("example.com"), and "" for other hosts.
func (u URL) WildcardSuffix() string {
	if !u.IsWildcard() {
		return ""
	}
	return u.Host[len("*."):]
}

// Under reports whether host is base or lies below it. Both are canonical; a leading "*." of host counts as
// a label.
func Under(host, base string) bool {
	return host == base || len(host) > len(base) && strings.HasSuffix(host, base) && host[len(host)-len(base)-1] == '.'
}

// Key says which endpoints belong together: those with equal keys share a pool or conflict (endpoints.md 9.1).
// Account is empty for public endpoints, whose names are global.
type Key struct {
	Account string
	Binding Binding
	URL     URL
}

// RandomLabel returns 12 lower-case hexadecimal digits from a cryptographic source, the label of a random
// host (endpoints.md 3.7).
func RandomLabel() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// ParseBindings turns the names a client gave into the one binding an endpoint has. Without any the binding
// follows from the host: .internal names are internal, all others public (endpoints.md 3.5). Empty names count
// as not given.
func ParseBindings(names []string, host string) (Binding, error) {
	var given []Binding
	for _, n := range names {
		if n == "" {
			continue
		}
		b := Binding(n)
		if b != Public && b != Internal && b != Kubernetes {
			return "", fault.New(fault.BindingInvalid, n)
		}
		for _, before := range given {
			if before == b {
				return "", fault.New(fault.BindingRepeated, n)
			}
		}
		given = append(given, b)
	}
	internal := strings.HasSuffix(host, InternalSuffix)
	switch {
	case len(given) > 1:
		return "", fault.New(fault.BindingInvalid, strings.Join(names, ", "))
	case len(given) == 0 && internal:
		return Internal, nil
	case len(given) == 0:
		return Public, nil
	case given[0] == Internal && !internal && host != "":
		return "", fault.New(fault.InternalSuffix, host)
	case given[0] != Internal && internal:
		return "", fault.New(fault.PublicInternal, host, string(given[0]))
	}
	return given[0], nil
}

// Check judges what a URL and its binding allow without knowing any server: names and schemes of
// endpoints.md 3.3, wildcards of 4.2 and the port that tcp needs. Which public ports and names a server has
// is the server's to judge.
func (u URL) Check(b Binding) error {
	labels := strings.Count(u.Host, ".") + 1
	switch b {
	case Public:
		if strings.HasSuffix(u.Host, InternalSuffix) {
			return fault.New(fault.PublicInternal, u.Host, string(b))
		}
	case Internal:
		if u.Host == "" {
			return fault.New(fault.InternalNoHost)
		}
		if !strings.HasSuffix(u.Host, InternalSuffix) {
			return fault.New(fault.InternalSuffix, u.Host)
		}
		if labels-1 > maxInternalLabels {
			return fault.New(fault.InternalDepth, u.Host, labels-1)
		}
	case Kubernetes:
		if u.Host == "" {
			return fault.New(fault.KubernetesNoHost)
		}
		if u.Scheme == HTTPS {
			return fault.New(fault.KubernetesScheme, string(u.Scheme))
		}
		if labels != 2 || u.IsWildcard() {
			return fault.New(fault.KubernetesHost, u.Host)
		}
	default:
		return fault.New(fault.BindingInvalid, string(b))
	}
	if u.Scheme == TCP && u.Host != "" {
		if u.IsWildcard() {
			return fault.New(fault.WildcardTCP, u.Host)
		}
		if u.Port == 0 {
			return fault.New(fault.PortMissing, u.String())
		}
	}
	return nil
}

// maxInternalLabels is the number of labels an internal name may have before its suffix (endpoints.md 20).
const maxInternalLabels = 5
