package expr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// urlFunctions are url.name(text) and the methods that do the same
// (traffic-policy.md 9.6).
func urlFunctions() []cel.EnvOption {
	return []cel.EnvOption{
		function("url.escape", escapeURL), method("escapeUrl", escapeURL),
		function("url.unescape", url.PathUnescape), method("unescapeUrl", url.PathUnescape),
		function("url.parse", parseURL), method("parseUrl", parseURL),
		method("isURL", func(s string) (bool, error) {
			u, err := url.Parse(s)
			return err == nil && u.Scheme != "" && u.Host != "", nil
		}),
	}
}

// escapeURL encodes everything but unreserved characters (RFC 3986 2.3).
func escapeURL(s string) (string, error) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String(), nil
}

func parseURL(s string) (any, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" && u.Host == "" && !strings.HasPrefix(s, "/") {
		return nil, fmt.Errorf("not a URL: %q", s)
	}
	return map[string]any{
		"scheme": u.Scheme, "host": u.Hostname(), "port": u.Port(), "path": u.Path, "raw_path": u.EscapedPath(),
		"raw_query": u.RawQuery, "query": u.RawQuery, "fragment": u.Fragment, "user": u.User.String(), "opaque": u.Opaque,
	}, nil
}

func randDouble(...ref.Val) ref.Val { return types.Double(rand.Float64()) } //nolint:gosec // weights, not secrets

// randInt includes both ends.
func randInt(from, to ref.Val) ref.Val {
	a, b := int64(from.(types.Int)), int64(to.(types.Int))
	switch {
	case a < 0 || b < 0:
		return value(int64(0), errors.New("rand.int: the ends must not be negative"))
	case a > b:
		return value(int64(0), fmt.Errorf("rand.int: %d is larger than %d", a, b))
	case b-a == 1<<63-1:
		return types.Int(rand.Int64()) //nolint:gosec // as above
	}
	return types.Int(a + rand.Int64N(b-a+1)) //nolint:gosec // as above
}

// Names of the overloads of the functions below.
const (
	inCIDRRange  = "in_cidr_range"
	inCIDRRanges = "in_cidr_ranges"
)

// inRange reports whether an address lies in a range; host bits of the range
// are ignored, and what does not parse lies nowhere.
func inRange(ip, cidr string) bool {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	p, err := netip.ParsePrefix(cidr)
	return err == nil && p.Contains(a.Unmap().WithZone(""))
}

func inRanges(ip, list ref.Val) ref.Val {
	for it := list.(traits.Lister).Iterator(); it.HasNext() == types.True; {
		if s, ok := it.Next().(types.String); ok && inRange(str(ip), string(s)) {
			return types.True
		}
	}
	return types.False
}

// isPrivate reports whether s is an address of RFC 1918.
func isPrivate(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Unmap().Is4() && a.Unmap().IsPrivate()
}
