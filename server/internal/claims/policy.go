package claims

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Policies makes programs of policy documents, as policy.Compiler does.
type Policies interface {
	// Compile checks a document for a kind of endpoint and makes its program. The program is nil if a
	// diagnostic is no warning, or if the document says nothing.
	Compile(d *policy.Document, t policy.Target) (*policy.Program, policy.Diagnostics)
	// CompileText parses a document and does the same, and reports all that is wrong with it at once.
	CompileText(file string, doc []byte, t policy.Target) (*policy.Program, policy.Diagnostics)
}

// maxDiagnoses bounds the text about the mistakes of a policy, in bytes. Agents cut lines behind 4 KiB.
const maxDiagnoses = 3 << 10

// compile makes the program of modules and a policy's text for the endpoint at u. It returns nil, as what the
// data plane takes for no policy, if there is nothing to do. All mistakes of the text come as one fault
// (traffic-policy.md 3.1).
func (b *Binder) compile(account string, ms []module, text string, u endpoint.URL) (any, error) {
	target := policy.Target{Scheme: u.Scheme, Binding: BindingOf(u)}
	doc := &policy.Document{}
	for _, m := range ms {
		d, err := b.check(m, target)
		if err != nil {
			return nil, err
		}
		doc = doc.Before(d)
	}
	var found policy.Diagnostics
	if strings.TrimSpace(text) != "" {
		var own *policy.Document
		if own, found = policy.Parse("", []byte(text)); found.Failed() {
			_, found = b.cfg.Policies.CompileText("", []byte(text), target) // with what else is wrong
		} else {
			if err := b.judgeRules(account, own); err != nil {
				return nil, err
			}
			doc = doc.Before(own)
		}
	}
	if doc.Empty() && !found.Failed() {
		return nil, nil
	}
	var program *policy.Program
	if !found.Failed() {
		var more policy.Diagnostics
		program, more = b.cfg.Policies.Compile(doc, target)
		found = append(append(found, more...), b.unknown(account, program)...)
	}
	if found.Failed() {
		return nil, diagnosed(fault.PolicyRefused, found.Errors())
	}
	b.warn(u, found)
	if program == nil {
		return nil, nil
	}
	return program, nil
}

// unknown returns the mistakes of a program that names IP policies which its account does not have, and warns of
// certificate authorities (decision 52).
func (b *Binder) unknown(account string, p *policy.Program) (found policy.Diagnostics) {
	if p == nil {
		return nil
	}
	for _, kind := range [...]struct {
		name  string
		refs  []policy.Reference
		knows func(account, id string) bool
	}{
		{"IP policy", p.IPPolicies(), b.cfg.KnowsIPPolicy},
		{"certificate authority", p.Authorities(), b.cfg.KnowsAuthority},
	} {
		for _, r := range kind.refs {
			if kind.knows != nil && !kind.knows(account, r.ID) {
				found = append(found, r.Unknown(kind.name))
			}
		}
	}
	return found
}

// secretGet finds the secrets that a policy's text names in so many words, also where its quotes are escaped.
var secretGet = regexp.MustCompile(`secrets\.get\(\s*\\?['"]([\w/.-]+)\\?['"]\s*,\s*\\?['"]([\w/.-]+)\\?['"]\s*\)`)

// NamesSecret reports whether a policy's text asks for a secret in so many words.
func NamesSecret(text, vault, name string) bool {
	if !strings.Contains(text, name) {
		return false
	}
	for _, m := range secretGet.FindAllStringSubmatch(text, -1) {
		if m[1] == vault && m[2] == name {
			return true
		}
	}
	return false
}

// unknownSecrets warns of secrets that a policy names and its account does not have: they may come later, and until
// then their use is an error (traffic-policy.md 10).
func (b *Binder) unknownSecrets(account, text string) (found policy.Diagnostics) {
	if b.cfg.KnowsSecret == nil {
		return nil
	}
	told := map[string]bool{}
	for _, m := range secretGet.FindAllStringSubmatch(text, -1) {
		vault, name := m[1], m[2]
		hasVault, hasSecret := b.cfg.KnowsSecret(account, vault, name)
		message := fmt.Sprintf("the account has no vault %q", vault)
		if hasVault {
			message = fmt.Sprintf("the vault %q has no secret %q", vault, name)
		}
		if hasSecret || told[message] {
			continue
		}
		told[message] = true
		found = append(found, policy.Diagnostic{Code: fault.SecretVaultName, Message: message, Warning: true})
	}
	return found
}

// maxWarnings is how many warnings of one policy are logged.
const maxWarnings = 10

// warn logs what is accepted and perhaps not meant.
func (b *Binder) warn(u endpoint.URL, warnings policy.Diagnostics) {
	if b.cfg.Logger == nil {
		return
	}
	for _, w := range warnings[:min(len(warnings), maxWarnings)] {
		line := oneLine(w.String())
		b.cfg.Logger.Warn("policy accepted with a warning", "url", u.String(), "warning", line[:min(len(line), maxDiagnoses)])
	}
}

// check returns a module as a document, or what is wrong with the option.
func (b *Binder) check(m module, target policy.Target) (*policy.Document, error) {
	text, err := json.Marshal(m.policy)
	if err != nil {
		return nil, err
	}
	d, found := policy.Parse("", text)
	if !found.Failed() {
		_, found = b.cfg.Policies.Compile(d, target)
	}
	var wrong []string
	for _, mistake := range found.Errors() {
		wrong = append(wrong, oneLine(mistake.Message))
	}
	if len(wrong) == 0 {
		return d, nil
	}
	why := strings.Join(wrong, "; ")
	return nil, fault.Wrap(found, fault.OptionInvalid, m.option, strings.ToValidUTF8(why[:min(len(why), maxDiagnoses)], ""))
}

// diagnosed is the refusal of a policy with these mistakes, of which it shows as many as there is room for. Several have
// a line each, and can be read on one, too.
func diagnosed(code fault.Code, mistakes policy.Diagnostics) *fault.Error {
	f := fault.Wrap(mistakes, code, len(mistakes))
	var text strings.Builder
	text.WriteString(f.Message)
	before := " "
	if len(mistakes) > 1 {
		before = "\n"
	}
	for i, m := range mistakes {
		line := oneLine(m.String())
		if i > 0 {
			before = ";\n"
		}
		if text.Len()+len(line) > maxDiagnoses && i > 0 {
			fmt.Fprintf(&text, "%sand %d more", before, len(mistakes)-i)
			break
		}
		text.WriteString(before + line[:min(len(line), maxDiagnoses)])
	}
	f.Message = strings.ToValidUTF8(text.String(), "")
	return f
}

// oneLine makes a text printable, on one line.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// olderPolicy is the policy of clients that send it as an object (agent-protocol.md 9).
type olderPolicy struct {
	Inbound  []olderRule `json:"inbound,omitempty"`
	Outbound []olderRule `json:"outbound,omitempty"`
}

type olderRule struct {
	Name        string        `json:"name,omitempty"`
	Expressions []string      `json:"expressions,omitempty"`
	Actions     []olderAction `json:"actions,omitempty"`
}

// olderAction has its configuration as the base64 text of a JSON object.
type olderAction struct {
	Type   string          `json:"type"`
	Config json.RawMessage `json:"config,omitempty"`
}

// document returns an older policy as a document, empty if it has no rule.
func (p olderPolicy) document() (string, error) {
	if len(p.Inbound)+len(p.Outbound) == 0 {
		return "", nil
	}
	for _, rules := range [][]olderRule{p.Inbound, p.Outbound} {
		for i := range rules {
			for j := range rules[i].Actions {
				if err := rules[i].Actions[j].decode(); err != nil {
					return "", err
				}
			}
		}
	}
	text, err := json.Marshal(p)
	return string(text), err
}

// decode puts the configuration itself in the place of its base64 text.
func (a *olderAction) decode() error {
	if len(a.Config) == 0 || a.Config[0] != '"' {
		return nil
	}
	var raw []byte
	if err := json.Unmarshal(a.Config, &raw); err != nil || len(raw) > 0 && !json.Valid(raw) {
		return fault.Wrap(err, fault.OptionInvalid, "Policy", "the config of an action is not JSON in base64")
	}
	a.Config = raw
	return nil
}

// PolicyOf returns the text of the policy in a bind's options, whichever way it is given.
func PolicyOf(raw json.RawMessage) (string, error) {
	var o struct {
		TrafficPolicy string
		Policy        *olderPolicy
	}
	if err := decodeOpts(raw, &o); err != nil {
		return "", err
	}
	if strings.TrimSpace(o.TrafficPolicy) != "" || o.Policy == nil {
		return o.TrafficPolicy, nil
	}
	return o.Policy.document()
}

// withPolicy returns the options of a bind with another policy in them.
func withPolicy(opts json.RawMessage, text string) (json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	if err := decodeOpts(opts, &m); err != nil {
		return nil, err
	}
	for key := range m { // decoding compares without regard to case
		if strings.EqualFold(key, "Policy") || strings.EqualFold(key, "TrafficPolicy") {
			delete(m, key)
		}
	}
	var err error
	if m["TrafficPolicy"], err = json.Marshal(text); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}
