package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// option is a bind option that changes who may pass or what passes. None of them is ever ignored: where one
// is not in force the bind is refused (decisions.md 27).
type option struct {
	name string
	// on are the schemes on which it is in force; none for what is not built.
	on []endpoint.Scheme
	// everywhere says that it is in force on all of them.
	everywhere bool
}

// knownOptions are all of them, of any client and any protocol (agent-protocol.md 8), in the order in which
// they are complained about.
func knownOptions() []option {
	return []option{
		{name: "TrafficPolicy", everywhere: true},
		{name: "Policy", everywhere: true},
		{name: "BasicAuth"},
		{name: "Auth"},
		{name: "Password"},
		{name: "OAuth"},
		{name: "OIDC"},
		{name: "IPRestriction"},
		{name: "WebhookVerification"},
		{name: "UserAgentFilter"},
		{name: "CircuitBreaker"},
		{name: "Compression"},
		{name: "RequestHeaders"},
		{name: "ResponseHeaders"},
		{name: "WebsocketTCPConverter"},
		{name: "HostHeaderRewrite"},
		{name: "MutualTLSAtAgent"},
		{name: "MutualTLSCA", on: []endpoint.Scheme{endpoint.HTTPS}},
		{name: "MutualTLSAtEdge", on: []endpoint.Scheme{endpoint.TLS}},
		{name: "TLSTermination", on: []endpoint.Scheme{endpoint.TLS}},
	}
}

// checkOptions refuses every known option that is set and would not be in force on the scheme.
func checkOptions(scheme endpoint.Scheme, raw json.RawMessage) error {
	known := knownOptions()
	set, err := setOptions(known, raw)
	if err != nil {
		return err
	}
	if set["Policy"] && set["TrafficPolicy"] {
		return fault.New(fault.PolicyTwice)
	}
	for _, o := range known {
		switch {
		case !set[o.name], o.everywhere:
		case len(o.on) == 0:
			return fault.New(fault.OptionNotBuilt, o.name)
		case o.on[0] != scheme:
			return fault.New(fault.OptionInvalid, o.name, "it has no effect on a "+string(scheme)+" endpoint, only on "+string(o.on[0]))
		}
	}
	return nil
}

// setOptions returns the names of the known options that are set. Names are compared as decoding compares
// them, without regard to case; a name that stands there twice is refused, since only one of both would be
// acted on.
func setOptions(known []option, raw json.RawMessage) (map[string]bool, error) {
	notObject := fault.New(fault.BindInvalid, "the options are not an object")
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, notObject
	}
	seen, set := map[string]bool{}, map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err := errors.Join(err, dec.Decode(&value)); err != nil {
			return nil, notObject
		}
		for _, o := range known {
			if !strings.EqualFold(o.name, key.(string)) { //nolint:forcetypeassert // keys are strings
				continue
			}
			if seen[o.name] {
				return nil, fault.New(fault.BindInvalid, "the option "+o.name+" is given twice")
			}
			seen[o.name], set[o.name] = true, isSet(value)
		}
	}
	return set, nil
}

// isSet reports whether a value is any but those that clients send for what is not asked for. An empty object
// asks for something: some options have no settings.
func isSet(value json.RawMessage) bool {
	var text string
	if json.Unmarshal(value, &text) == nil { // also of null
		return strings.TrimSpace(text) != ""
	}
	return string(value) != "false"
}
