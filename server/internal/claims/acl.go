package claims

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// ACLs knows the rules of authtokens.
type ACLs interface {
	// ACL returns the rules of the authtoken with an id. None means that it may bind everything.
	ACL(tokenID string) []string
}

// MaxACLRules is how many rules an authtoken has at most: all of them are read again at every bind.
const MaxACLRules = 100

// bindRule is one rule of an authtoken (api.md 3.3).
type bindRule struct {
	all    bool
	scheme endpoint.Scheme // "" for any; with a port, tcp unless another one is named
	host   string          // canonical, of a name or an address; "" for labels
	below  bool            // the rule is *.host
	port   uint16          // as it is stored, 0 for any
}

// acl are the rules of an authtoken, of which any may match. The zero value allows everything.
type acl struct {
	rules      []bindRule
	restricted bool
}

// parseACL reads the rules of an authtoken. What is wrong with a rule is told in a phrase; the others are
// returned, so that a list with an unreadable rule allows less and not more.
func parseACL(texts []string) (acl, error) {
	a := acl{restricted: len(texts) > 0}
	var wrong error
	for _, text := range texts {
		r, why := parseRule(text)
		switch {
		case why != "":
			wrong = fault.New(fault.ACLInvalid, "acl", strconv.Quote(text)+" "+why)
			continue
		case r.all:
			a.restricted = false
		}
		a.rules = append(a.rules, r)
	}
	return a, wrong
}

// CheckACL judges the rules of an authtoken: nil or fault.ACLInvalid.
func CheckACL(rules []string) error {
	_, err := parseACL(rules)
	return err
}

// parseRule reads one rule; why says what is wrong with it.
func parseRule(text string) (r bindRule, why string) {
	const prefix = "bind:"
	if text == "*" {
		return bindRule{all: true}, ""
	}
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return r, "is neither * nor does it begin with bind:"
	}
	target := text[len(prefix):]
	if target == "*" {
		return bindRule{all: true}, ""
	}
	if key, value, ok := strings.Cut(target, "="); ok {
		if key == "" || value == "" || strings.ContainsAny(target, " \t\r\n") {
			return r, "is not a label of the form KEY=VALUE"
		}
		return r, ""
	}
	if scheme, rest, ok := strings.Cut(target, "://"); ok {
		if r.scheme = endpoint.Scheme(strings.ToLower(scheme)); !r.scheme.Known() {
			return r, "has a scheme that endpoints do not have"
		}
		target = rest
	}
	if host, port, ok := strings.Cut(target, ":"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return r, "is not an address of the form HOST:PORT"
		}
		r.scheme, r.port, target = cmp.Or(r.scheme, endpoint.TCP), uint16(n), host
	}
	host, err := endpoint.ParseHost(target)
	if err != nil {
		return r, "holds no name: " + strings.TrimSuffix(fault.From(err).Message, ".")
	}
	r.host, r.below = strings.CutPrefix(host, "*.")
	if !r.below {
		r.host = host
	}
	return r, ""
}

// allows judges a URL as it is stored, whose host is known.
func (a acl) allows(u endpoint.URL) error {
	if !a.restricted {
		return nil
	}
	public := BindingOf(u) == endpoint.Public
	if slices.ContainsFunc(a.rules, func(r bindRule) bool {
		switch {
		case r.host == "":
			return false
		case r.port != 0 && r.port != u.Port:
			return false
		case r.port == 0 && u.Scheme == endpoint.TCP && public:
			return false // such an address is named with its port
		}
		return r.names(u)
	}) {
		return nil
	}
	if u.Scheme == endpoint.TCP && public {
		return fault.New(fault.ACLAddress, u.Host+":"+strconv.Itoa(int(u.Port)))
	}
	return fault.New(fault.ACLName, u.Host)
}

// names reports whether the name of a URL is one of the rule's.
func (r bindRule) names(u endpoint.URL) bool {
	if r.scheme != "" && r.scheme != u.Scheme {
		return false
	}
	if !r.below {
		return u.Host == r.host
	}
	if suffix, wild := strings.CutPrefix(u.Host, "*."); wild {
		return endpoint.Under(suffix, r.host)
	}
	return u.Host != r.host && endpoint.Under(u.Host, r.host)
}

// noName stands for the name in the refusal of one that the server was to choose.
const noName = "of the server's choice"

// randomDomain returns the domain under which a random name for a scheme is allowed: the first base domain if
// it can be, else one that a rule names.
func (a acl) randomDomain(scheme endpoint.Scheme, bases []string) (string, error) {
	if !a.restricted {
		return bases[0], nil
	}
	could := slices.DeleteFunc(slices.Clone(a.rules), func(r bindRule) bool {
		return !r.below || r.scheme != "" && r.scheme != scheme || r.port != 0 && r.port != scheme.DefaultPort()
	})
	for _, base := range bases {
		if slices.ContainsFunc(could, func(r bindRule) bool { return endpoint.Under(base, r.host) }) {
			return base, nil
		}
	}
	for _, r := range could {
		if slices.ContainsFunc(bases, func(base string) bool { return endpoint.Under(r.host, base) }) {
			return r.host, nil
		}
	}
	return "", fault.New(fault.ACLName, noName)
}

// aclOf returns the rules that an agent's binds are held against now.
func (b *Binder) aclOf(agent wire.Agent) acl {
	if b.cfg.ACL == nil {
		return acl{}
	}
	a, _ := parseACL(b.cfg.ACL.ACL(agent.TokenID)) // they were judged when they were stored
	return a
}
