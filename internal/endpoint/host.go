package endpoint

import (
	"strings"

	"golang.org/x/net/idna"

	"github.com/culvert-project/culvert/internal/fault"
)

// Bounds of host names (RFC 1035 2.3.4).
const (
	maxHost  = 253
	maxLabel = 63
)

// names maps international names to punycode as browsers look them up (UTS 46, non-transitional).
func names() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(false))
}

// ParseHost returns the canonical form of a host name, which may be a wildcard: lower case, punycode, without
// a trailing dot. It refuses what endpoints.md 3.4 refuses.
func ParseHost(text string) (string, error) {
	host := strings.TrimSuffix(text, ".")
	if !ascii(host) {
		star := ""
		if strings.HasPrefix(host, "*.") {
			star, host = "*.", host[2:]
		}
		mapped, err := names().ToASCII(host)
		if err != nil || !ascii(mapped) {
			return "", fault.New(fault.HostPunycode, host, text)
		}
		host = star + strings.TrimSuffix(mapped, ".")
	}
	host = strings.ToLower(host)
	if err := CheckHost(host); err != nil {
		return "", err
	}
	return host, nil
}

// CheckHost judges a host name by the lexical rules of endpoints.md 3.4. The name is taken as it stands: it is
// neither lowered nor mapped.
func CheckHost(host string) error {
	if len(host) > maxHost {
		return fault.New(fault.HostLength, len(host))
	}
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '*':
		case c == '_':
			return fault.New(fault.HostUnderscore, host)
		default:
			return fault.New(fault.HostCharacters, host)
		}
	}
	rest, wild := strings.CutPrefix(host, "*.")
	if strings.Contains(rest, "*") {
		return fault.New(fault.WildcardPlace, host)
	}
	if rest == "" && !wild {
		return fault.New(fault.HostEmptyLabel, host)
	}
	for label := range strings.SplitSeq(rest, ".") {
		if err := checkLabel(label, host); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(label, host string) error {
	switch {
	case label == "":
		return fault.New(fault.HostEmptyLabel, host)
	case len(label) > maxLabel:
		return fault.New(fault.HostLabelLength, host, len(label))
	case label[0] == '-':
		return fault.New(fault.HostLabelStart, label, host)
	case label[len(label)-1] == '-':
		return fault.New(fault.HostLabelEnd, label, host)
	case len(label) < 4 || label[2:4] != "--":
		return nil
	case !strings.HasPrefix(label, "xn--"):
		return fault.New(fault.HostHyphens, label, host)
	}
	// A valid label survives the way to Unicode and back.
	p := names()
	shown, err := p.ToUnicode(label)
	if err == nil {
		if back, err := p.ToASCII(shown); err == nil && back == label && shown != label {
			return nil
		}
	}
	return fault.New(fault.HostPunycode, label, host)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
