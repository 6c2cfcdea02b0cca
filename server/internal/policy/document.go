package policy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Phase is when rules run (traffic-policy.md 2.1).
type Phase uint8

// The phases, in the order of a connection's life.
const (
	OnTCPConnect Phase = iota
	OnHTTPRequest
	OnHTTPResponse
	OnEventStreamMessage
	phases
)

var phaseNames = [phases]string{"on_tcp_connect", "on_http_request", "on_http_response", "on_event_stream_message"}

// String returns the phase's key in a document.
func (p Phase) String() string { return phaseNames[p] }

// Older directions, which stand for a phase that depends on the endpoint
// (traffic-policy.md 1.5).
const (
	inbound  = "inbound"
	outbound = "outbound"
)

// Document is a parsed policy. It is immutable.
type Document struct {
	file string
	// lists holds the rules under each key that has some: phases and the
	// older directions.
	lists []ruleList
	// disabled says that the document switches itself off.
	disabled bool
	sum      [sha256.Size]byte
}

type ruleList struct {
	key   string
	at    *node
	rules []rule
}

// rule is a rule as it was written.
type rule struct {
	name        string
	expressions []*node
	actions     []action
	path        string
	at          *node
	// unread says that a key was not understood, so that it is not known when
	// the rule matches.
	unread bool
}

// action is an action as it was written.
type action struct {
	typ    string
	config *node // nil for none
	path   string
	at     *node // the value of type
	// unread says that config, or a key beside it, was not understood.
	unread bool
}

// Empty reports whether the document has no rule, which means no policy.
func (d *Document) Empty() bool { return len(d.lists) == 0 }

// Rules returns how many rules there are in all phases.
func (d *Document) Rules() (n int) {
	for _, l := range d.lists {
		n += len(l.rules)
	}
	return n
}

// Parse reads a policy in YAML or JSON (traffic-policy.md 1). The file's name
// is for the diagnostics. The document is nil if one of them is no warning.
func Parse(file string, doc []byte) (*Document, Diagnostics) {
	d, found := read(file, doc)
	if found.Failed() {
		return nil, found
	}
	return d, found
}

// read is as Parse, but what can be read of a document with mistakes is there,
// so that the rest of it is judged too.
func read(file string, doc []byte) (*Document, Diagnostics) {
	p := &parser{doc: &Document{file: file, sum: sha256.Sum256(doc)}}
	if len(doc) > MaxDocument {
		p.problem(nil, "", fault.PolicyInvalid, "the document has %d bytes, and at most %d are allowed", len(doc), MaxDocument)
		return p.doc, p.found
	}
	root, mistakes := readNodes(doc)
	for _, m := range mistakes {
		p.problem(&node{line: m.line, column: m.column}, "", fault.PolicyInvalid, "%s", m.message)
	}
	if root != nil {
		p.root(root)
	}
	return p.doc, p.found.sorted()
}

// parser collects what is wrong.
type parser struct {
	doc   *Document
	found Diagnostics
}

func (p *parser) problem(at *node, path string, code fault.Code, format string, args ...any) {
	p.add(at, path, code, false, fmt.Sprintf(format, args...))
}

func (p *parser) warn(at *node, path string, code fault.Code, format string, args ...any) {
	p.add(at, path, code, true, fmt.Sprintf(format, args...))
}

func (p *parser) add(at *node, path string, code fault.Code, warning bool, message string) {
	d := Diagnostic{File: p.doc.file, Path: path, Code: code, Message: message, Warning: warning}
	if at != nil {
		d.Line, d.Column = at.line, at.column
	}
	if len(p.found) >= maxFound && (warning || p.found.Failed()) {
		return
	}
	p.found = append(p.found, d)
}

// maxFound is how many diagnostics are kept. Nobody reads more, and a document
// could be made of nothing else.
const maxFound = 500

func (p *parser) root(n *node) {
	if n.kind == null {
		return
	}
	if n.kind != mapping {
		p.problem(n, "", fault.PolicyInvalid, "a policy is a mapping from phases to rules, and this is %s", n.kind)
		return
	}
	for i, k := range n.keys {
		v := n.items[i]
		switch k.text {
		case phaseNames[0], phaseNames[1], phaseNames[2], phaseNames[3]:
			p.list(k, k.text, v)
		case inbound, outbound, "Inbound", "Outbound":
			p.warn(k, k.text, fault.PolicyInvalid, "%s is an older spelling; write on_http_request, on_http_response or on_tcp_connect", k.text)
			p.list(k, strings.ToLower(k.text), v)
		case "enabled":
			p.enabled(k, v)
		default:
			near := nearest(k.text, phaseNames[:])
			p.problem(k, k.text, fault.PolicyInvalid, "there is no phase %s%s", k.text, orOneOf(near, phaseNames[:]))
			if near != "" && n.get(near) == nil {
				p.list(k, near, v) // its rules are judged too
			}
		}
	}
	if len(n.keys) > 0 && len(p.doc.lists) == 0 && !p.found.Failed() && !p.doc.disabled {
		p.problem(n, "", fault.PolicyWithoutAction, "the policy has no action; add a rule, or leave the policy out")
	}
}

func (p *parser) enabled(k, v *node) {
	if v.kind != boolean {
		p.problem(v, "enabled", fault.PolicyInvalid, "enabled is true or false, and this is %s", v.kind)
		return
	}
	if p.doc.disabled = v.text == "false"; p.doc.disabled {
		p.warn(k, "enabled", fault.PolicyInvalid, "the policy is switched off by enabled: false and is not applied")
	}
}

// list reads the rules under a key, which stands for itself or for another one.
func (p *parser) list(k *node, key string, v *node) {
	if v.kind == null || v.kind == list && len(v.items) == 0 {
		return
	}
	if v.kind != list {
		p.problem(v, k.text, fault.PolicyInvalid, "%s holds a list of rules, and this is %s; begin each rule with a dash", k.text, v.kind)
		return
	}
	l := ruleList{key: key, at: k}
	for i, r := range v.items {
		l.rules = append(l.rules, p.rule(r, fmt.Sprintf("%s[%d]", k.text, i)))
	}
	p.doc.lists = append(p.doc.lists, l)
}

// ruleKeys are a rule's; older clients write them with a capital.
var ruleKeys = []string{"name", "expressions", "actions"}

func (p *parser) rule(n *node, path string) rule {
	r := rule{path: path, at: n}
	if n.kind != mapping {
		p.problem(n, path, fault.PolicyInvalid, "a rule is a mapping with actions, and this is %s", n.kind)
		return r
	}
	has, at := false, n // actions, perhaps misspelt
	for i, k := range n.keys {
		v := n.items[i]
		switch k.text {
		case "name", "Name":
			if !v.scalar() && v.kind != null {
				p.problem(v, path+".name", fault.PolicyInvalid, "a name is a text, and this is %s", v.kind)
			}
			r.name = v.text
		case "expressions", "Expressions":
			r.expressions = p.expressions(v, path+".expressions")
		case "actions", "Actions":
			has, at = v.kind != null && (v.kind != list || len(v.items) > 0), v
			r.actions = p.actions(v, path+".actions")
		default:
			near := nearest(k.text, ruleKeys)
			p.problem(k, path+"."+k.text, fault.PolicyInvalid, "a rule has no key %s%s", k.text, orOneOf(near, ruleKeys))
			has, r.unread = has || near == "actions", true
		}
	}
	if !has {
		p.problem(at, path, fault.PolicyWithoutAction, "the rule has no action")
	}
	return r
}

func (p *parser) expressions(v *node, path string) []*node {
	switch {
	case v.kind == null:
		return nil
	case v.scalar():
		return []*node{v}
	case v.kind != list:
		p.problem(v, path, fault.PolicyInvalid, "expressions are a list of texts, and this is %s", v.kind)
		return nil
	}
	for i, e := range v.items {
		if !e.scalar() {
			p.problem(e, fmt.Sprintf("%s[%d]", path, i), fault.PolicyInvalid, "an expression is a text, and this is %s; put it in quotes if it holds a colon, or begins with [ or {", e.kind)
		}
	}
	return v.items
}

func (p *parser) actions(v *node, path string) []action {
	if v.kind == null {
		return nil
	}
	if v.kind != list {
		p.problem(v, path, fault.PolicyInvalid, "actions are a list, and this is %s; begin each action with a dash", v.kind)
		return nil
	}
	var all []action
	for i, n := range v.items {
		all = append(all, p.action(n, fmt.Sprintf("%s[%d]", path, i)))
	}
	return all
}

func (p *parser) action(n *node, path string) action {
	a := action{path: path, at: n}
	if n.kind != mapping {
		p.problem(n, path, fault.PolicyInvalid, "an action is a mapping with type and config, and this is %s", n.kind)
		return a
	}
	has := false // a type, perhaps misspelt
	for i, k := range n.keys {
		v := n.items[i]
		switch k.text {
		case "type", "Type":
			has, a.at = true, v
			if v.kind != text {
				p.problem(v, path+".type", fault.ActionUnknown, "the type of an action is a text, and this is %s", v.kind)
				continue
			}
			a.typ = v.text
		case "config", "Config":
			switch v.kind {
			case null:
			case mapping:
				a.config = v
			default:
				p.problem(v, path+".config", fault.ActionConfigInvalid, "the config of an action is a mapping, and this is %s", v.kind)
				a.unread = true
			}
		default:
			near := nearest(k.text, actionKeys)
			hint := orOneOf(near, actionKeys)
			if near == "" {
				hint = "; settings of an action stand under config"
			}
			p.problem(k, path+"."+k.text, fault.ActionConfigInvalid, "an action has no key %s%s", k.text, hint)
			has, a.unread = has || near == "type", true
		}
	}
	if !has {
		p.problem(n, path, fault.ActionUnknown, "the action has no type")
	}
	return a
}

// actionKeys are an action's.
var actionKeys = []string{"type", "config"}

// nearest returns which of the names was meant, "" if none is near.
func nearest(got string, names []string) string {
	return expr.Nearest(strings.ToLower(got), slices.Values(names))
}

// orOneOf returns "; did you mean X?" for the nearest of the names, and all of
// them if none is near and they are few.
func orOneOf(near string, names []string) string {
	switch {
	case near != "":
		return "; did you mean " + near + "?"
	case len(names) == 0 || len(names) > 10:
		return ""
	}
	return "; known are " + strings.Join(names, ", ")
}

// didYouMean returns "; did you mean X?" for the nearest of the names, "" if
// none is near.
func didYouMean(got string, names []string) string {
	best := nearest(got, names)
	if best == "" || best == got {
		return ""
	}
	return "; did you mean " + best + "?"
}
