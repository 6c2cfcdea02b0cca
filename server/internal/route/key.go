package route

import "github.com/culvert-project/culvert/internal/endpoint"

// binding is endpoint.Binding in one byte. The zero value is public.
type binding byte

const (
	public binding = iota
	internal
	kubernetes
)

func bindingOf(b endpoint.Binding) binding {
	switch b {
	case endpoint.Internal:
		return internal
	case endpoint.Kubernetes:
		return kubernetes
	default:
		return public
	}
}

// key addresses a pool.
type key struct {
	// host is a name, the suffix of a wildcard, or "" for public tcp, where the port
	// says all.
	host string
	// account is "" for public pools: their names are global.
	account string
	port    uint16
	binding binding
}

// keyOf returns the key of the pool that an endpoint with key ek is in. A
// wildcard is kept by its suffix.
func keyOf(ek endpoint.Key) key {
	k := key{host: ek.URL.Host, port: ek.URL.Port, binding: bindingOf(ek.Binding)}
	if k.binding != public {
		k.account = ek.Account
	}
	if ek.URL.Scheme == endpoint.TCP && k.binding == public {
		k.host = ""
	} else if suffix := ek.URL.WildcardSuffix(); suffix != "" {
		k.host = suffix
	}
	return k
}

// scheme is endpoint.Scheme in one byte. The zero value is none of them.
type scheme byte

// schemes are the schemes by their byte.
var schemes = [...]endpoint.Scheme{1: endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}

func schemeOf(s endpoint.Scheme) scheme {
	switch s {
	case endpoint.HTTP:
		return 1
	case endpoint.HTTPS:
		return 2
	case endpoint.TCP:
		return 3
	case endpoint.TLS:
		return 4
	default:
		return 0
	}
}
