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
	// host is a name, the suffix of a wildcard, or "" for tcp, where the port
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
	if ek.URL.Scheme == endpoint.TCP {
		k.host = ""
	} else if suffix := ek.URL.WildcardSuffix(); suffix != "" {
		k.host = suffix
	}
	return k
}

// place is a key as the pool at it remembers it. A host of usual length lies
// in the pool itself, beside what else is compared: the comparison then costs
// one cache miss, which is what a lookup among very many names is made of.
type place struct {
	port    uint16
	binding binding
	n       uint8 // length of short; longHost if host is too long for it
	short   [44]byte
	host    string
	account string
}

const longHost = 0xff

func placeOf(ek endpoint.Key) place {
	k := keyOf(ek)
	p := place{port: k.port, binding: k.binding, n: longHost, host: k.host, account: k.account}
	if len(k.host) <= len(p.short) {
		p.n = uint8(copy(p.short[:], k.host))
	}
	return p
}

// is reports whether p is the place of k.
func (p *place) is(k *key) bool {
	if p.port != k.port || p.binding != k.binding {
		return false
	}
	if k.binding != public && p.account != k.account {
		return false
	}
	if p.n == longHost {
		return p.host == k.host
	}
	return string(p.short[:p.n]) == k.host
}
