package claims

import (
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Standing is a stored endpoint as traffic needs it.
type Standing struct {
	ID, Account string
	// Revision is that of its last change.
	Revision store.Revision
	// URL has its stored port.
	URL    endpoint.URL
	Pooled bool
	// Policy is the text of its policy.
	Policy string
}

// Key is where the endpoint is found.
func (s *Standing) Key() endpoint.Key {
	return endpoint.Key{Account: s.Account, Binding: BindingOf(s.URL), URL: s.URL}
}

// CompileStored makes the program of the policy of a stored endpoint at u, which has to answer every request
// (traffic-policy.md 2.2). The program is nil if a diagnostic is no warning.
func CompileStored(p Policies, text string, u endpoint.URL) (*policy.Program, policy.Diagnostics) {
	target := policy.Target{Scheme: u.Scheme, Binding: BindingOf(u), Cloud: true}
	program, found := p.CompileText("", []byte(text), target)
	if program == nil && !found.Failed() { // it has no rule, or is switched off
		found = append(found, policy.Diagnostic{Code: fault.PolicyMayNotAnswer, Message: "the policy says nothing, and nobody stands behind the endpoint"})
	}
	return program, found
}

// JudgePolicy judges the policy of a stored endpoint at u as CompileStored does, and says what its owner is told: warnings,
// or a *fault.Error.
func (b *Binder) JudgePolicy(account, text string, u endpoint.URL) (warnings []string, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, fault.New(fault.EndpointPolicyMissing)
	}
	if doc, found := policy.Parse("", []byte(text)); !found.Failed() {
		if err := b.judgeRules(account, doc); err != nil {
			return nil, err
		}
	}
	program, found := CompileStored(b.cfg.Policies, text, u)
	found = append(append(found, b.unknown(account, program)...), b.unknownSecrets(account, text)...)
	if found.Failed() {
		return nil, diagnosed(fault.EndpointPolicyInvalid, found.Errors())
	}
	for _, w := range found[:min(len(found), maxWarnings)] {
		line := oneLine(w.String())
		warnings = append(warnings, strings.ToValidUTF8(line[:min(len(line), maxDiagnoses)], ""))
	}
	b.warn(u, found)
	return warnings, nil
}

// StoredURL returns the URL that a stored endpoint asks for, with its stored port. It infers a port, but
// neither scheme nor host (endpoints.md 3.2). Errors are *fault.Error.
func (b *Binder) StoredURL(text string, bindings []string) (endpoint.URL, error) {
	u, err := endpoint.ParseURL(text, "")
	if err == nil && !strings.Contains(text, "://") {
		return u, fault.New(fault.EndpointScheme, text)
	}
	if err == nil && u.Host == "" {
		return u, fault.New(fault.EndpointURLInvalid, text, "it has no host")
	}
	stored := u
	if err == nil {
		stored, err = b.stored(u, bindings)
	}
	if err != nil {
		return endpoint.URL{}, b.urlRefusal(fault.From(err), text, u)
	}
	return stored, nil
}

// portMissing tells what a TCP address is to look like: the server chooses none for an endpoint without an agent.
func (b *Binder) portMissing(f *fault.Error, u endpoint.URL) *fault.Error {
	g := *f
	if u.Port = 5432; BindingOf(u) != endpoint.Internal {
		u.Host, u.Port = b.tcpHost, b.cfg.TCPFirst
	}
	g.Remedy = "Add a port, as in " + u.String() + "."
	return &g
}

// urlRefusal turns what an agent is told about a URL into what the API says (api.md 2.1).
func (b *Binder) urlRefusal(f *fault.Error, text string, u endpoint.URL) *fault.Error {
	why := strings.TrimSuffix(f.Message, ".")
	switch f.Code {
	case fault.URLUnparseable:
		return fault.Wrap(f, fault.EndpointURLUnreadable, text, why)
	case fault.SchemeRefused:
		return fault.Wrap(f, fault.EndpointScheme, text)
	case fault.PortRefused:
		return fault.Wrap(f, fault.EndpointPort, int(u.Port), string(u.Scheme), b.allowedPorts(u.Scheme))
	case fault.NameNotReserved, fault.TCPAddressUnknown, fault.AddressForeign, fault.WildcardNotReserved, fault.NameForeign, fault.NameNested, fault.NameOfAdministrator:
		g := fault.Wrap(f, fault.EndpointNotReserved, text, why)
		g.Remedy = f.Remedy // it depends on the reason
		return g
	case fault.BindingInvalid, fault.BindingRepeated:
		return fault.Wrap(f, fault.EndpointBinding, why)
	case fault.KubernetesScheme:
		return fault.Wrap(f, fault.EndpointKubernetesScheme)
	case fault.PortMissing:
		return b.portMissing(f, u)
	case fault.URLExtraPart, fault.URLTrailingSlash, fault.NameKept, fault.BindingNotBuilt,
		fault.PublicInternal, fault.InternalSuffix, fault.InternalDepth, fault.KubernetesHost:
		return f
	default:
		return fault.Wrap(f, fault.EndpointURLInvalid, text, why+" ("+string(f.Code)+")")
	}
}
