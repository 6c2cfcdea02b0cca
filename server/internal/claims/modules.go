package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// module is an option whose work a rule does, ahead of the endpoint's own policy (agent.md 2.2).
type module struct {
	option string
	policy olderPolicy
}

// modules translates the options that are set, in the order in which they act: first who may come in, then
// what passes. Errors are *fault.Error.
func modules(set map[string]json.RawMessage) ([]module, error) {
	var all []module
	for _, m := range []struct {
		option    string
		translate func(json.RawMessage) (olderRule, error)
		response  bool
	}{
		{"IPRestriction", from(restriction), false},
		{"UserAgentFilter", from(userAgents), false},
		{"BasicAuth", from(basicAuth), false},
		{"CircuitBreaker", from(circuitBreaker), false},
		{"RequestHeaders", from(headers), false},
		{"ResponseHeaders", from(headers), true},
		{"Compression", from(compression), true},
	} {
		raw, ok := set[m.option]
		if !ok {
			continue
		}
		rule, err := m.translate(raw)
		if _, coded := errors.AsType[*fault.Error](err); err != nil && !coded {
			err = fault.Wrap(err, fault.OptionInvalid, m.option, err)
		}
		if err != nil {
			return nil, err
		}
		rule.Name = m.option
		rules := []olderRule{rule}
		switch {
		case len(rule.Actions) == 0: // it asks for nothing
		case m.response:
			all = append(all, module{m.option, olderPolicy{Outbound: rules}})
		default:
			all = append(all, module{m.option, olderPolicy{Inbound: rules}})
		}
	}
	return all, nil
}

// from has an option decoded for its translation. What is not known of it is refused: it might ask for
// protection.
func from[T any](translate func(T) (olderRule, error)) func(json.RawMessage) (olderRule, error) {
	return func(raw json.RawMessage) (olderRule, error) {
		var o T
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&o); err != nil {
			return olderRule{}, err
		}
		return translate(o)
	}
}

func restriction(o wire.IPRestriction) (olderRule, error) {
	if len(o.Allow) == 0 && len(o.Deny) > 0 {
		return olderRule{}, fault.New(fault.CIDRDenyAlone)
	}
	config := map[string][]string{}
	if len(o.Allow) > 0 {
		config["allow"] = literals(o.Allow)
	}
	if len(o.Deny) > 0 {
		config["deny"] = literals(o.Deny)
	}
	return rule(act("restrict-ips", config))
}

// Bounds of a filter of user agents: characters of the header that it looks at, longer ones being refused,
// and bytes of its patterns. Within both, the rule costs less than half of what an expression may; one that
// cost more would match nobody.
const (
	maxUserAgent = 1024
	maxPatterns  = 4096
)

// userAgents refuses who is denied and not allowed. If there is no list of the denied, all are but those
// allowed. Without the header nobody passes who is not allowed by a pattern for the empty text.
func userAgents(o wire.UserAgentFilter) (olderRule, error) {
	if len(o.Allow)+len(o.Deny) == 0 {
		return olderRule{}, errors.New("it has neither allow nor deny")
	}
	if n := len(strings.Join(o.Allow, "") + strings.Join(o.Deny, "")); n > maxPatterns {
		return olderRule{}, fmt.Errorf("its patterns have %d bytes together, and at most %d are allowed", n, maxPatterns)
	}
	matches := func(patterns []string) (string, error) {
		tests := make([]string, 0, len(patterns))
		for _, p := range patterns {
			if _, err := regexp.Compile(p); err != nil {
				return "", err
			}
			tests = append(tests, "req.user_agent.matches("+strconv.Quote(p)+")")
		}
		return "(" + strings.Join(tests, " || ") + ")", nil
	}
	refused := "true"
	if len(o.Deny) > 0 {
		denied, err := matches(o.Deny)
		if err != nil {
			return olderRule{}, err
		}
		refused = "(req.user_agent == '' || " + denied + ")"
	}
	if len(o.Allow) > 0 {
		allowed, err := matches(o.Allow)
		if err != nil {
			return olderRule{}, err
		}
		refused += " && !" + allowed
	}
	return olderRule{
		Expressions: []string{fmt.Sprintf("size(req.user_agent) > %d || %s", maxUserAgent, refused)},
		Actions:     []olderAction{act("deny", map[string]any{"error_code": fault.UserAgentRefused})},
	}, nil
}

func basicAuth(o wire.BasicAuth) (olderRule, error) {
	pairs := make([]string, 0, len(o.Credentials))
	for _, c := range o.Credentials {
		switch n := len([]rune(c.Password)); {
		case len(c.Hashed) > 0:
			return olderRule{}, errors.New("this server cannot compare hashed passwords")
		case c.Username == "":
			return olderRule{}, fault.New(fault.BasicAuthUser)
		case strings.Contains(c.Username, ":"):
			return olderRule{}, errors.New("a user name has no colon")
		case n < 8 || n > 128:
			return olderRule{}, fault.New(fault.BasicAuthPassword)
		}
		pairs = append(pairs, c.Username+":"+c.Password)
	}
	return rule(act("basic-auth", map[string][]string{"credentials": literals(pairs)}))
}

func circuitBreaker(o wire.CircuitBreaker) (olderRule, error) {
	if o.Threshold < 0 || o.Threshold > 1 {
		return olderRule{}, fault.New(fault.CircuitBreakerThreshold)
	}
	return rule(act("circuit-breaker", map[string]float64{"error_threshold": o.Threshold}))
}

// headers changes headers. Values to add may hold ${…} as those of policies may.
func headers(o wire.Headers) (olderRule, error) {
	const each = 10 // as many as one action removes
	var actions []olderAction
	for names := range slices.Chunk(o.Remove, each) {
		actions = append(actions, act("remove-headers", map[string][]string{"headers": names}))
	}
	for _, h := range o.Add { // one may be there twice
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return olderRule{}, fmt.Errorf("the header %q is not written name:value", h)
		}
		actions = append(actions, act("add-headers", map[string]map[string]string{
			"headers": {strings.TrimSpace(name): strings.TrimSpace(value)},
		}))
	}
	return rule(actions...)
}

func compression(struct{}) (olderRule, error) { return rule(act("compress-response", nil)) }

func rule(actions ...olderAction) (olderRule, error) { return olderRule{Actions: actions}, nil }

func act(typ string, config any) olderAction {
	raw, err := json.Marshal(config)
	if err != nil {
		panic(err) // texts and numbers
	}
	return olderAction{Type: typ, Config: raw}
}

// literals writes texts so that nothing in them is an expression.
func literals(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = strings.ReplaceAll(t, "${", "$${")
	}
	return out
}
