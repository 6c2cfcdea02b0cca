package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	web := []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS}
	return []option{
		{name: "TrafficPolicy", everywhere: true},
		{name: "Policy", everywhere: true},
		{name: "BasicAuth", on: web},
		{name: "Auth"},
		{name: "Password"},
		{name: "OAuth"},
		{name: "OIDC"},
		{name: "IPRestriction", everywhere: true},
		{name: "WebhookVerification"},
		{name: "UserAgentFilter", on: web},
		{name: "CircuitBreaker", on: web},
		{name: "Compression", on: web},
		{name: "RequestHeaders", on: web},
		{name: "ResponseHeaders", on: web},
		{name: "WebsocketTCPConverter"},
		{name: "HostHeaderRewrite"},
		{name: "MutualTLSAtAgent"},
		{name: "MutualTLSCA", on: []endpoint.Scheme{endpoint.HTTPS}},
		{name: "MutualTLSAtEdge", on: []endpoint.Scheme{endpoint.TLS}},
		{name: "TLSTermination", on: []endpoint.Scheme{endpoint.TLS}},
	}
}

// checkOptions returns the known options that are set, and refuses each that would not be in force on the
// scheme.
func checkOptions(scheme endpoint.Scheme, raw json.RawMessage) (map[string]json.RawMessage, error) {
	known := knownOptions()
	set, err := setOptions(known, raw)
	if err != nil {
		return nil, err
	}
	if set["Policy"] != nil && set["TrafficPolicy"] != nil {
		return nil, fault.New(fault.PolicyTwice)
	}
	for _, o := range known {
		switch {
		case set[o.name] == nil, o.everywhere:
		case len(o.on) == 0:
			return nil, fault.New(fault.OptionNotBuilt, o.name)
		case !slices.Contains(o.on, scheme):
			return nil, fault.New(fault.OptionInvalid, o.name, fmt.Sprintf("it has no effect on a %s endpoint, only on %s", scheme, o.on))
		}
	}
	return set, nil
}

// setOptions returns the known options that are set. Names are compared as decoding compares them, without
// regard to case; a name that stands there twice is refused, since only one of both would be acted on.
func setOptions(known []option, raw json.RawMessage) (map[string]json.RawMessage, error) {
	notObject := fault.New(fault.BindInvalid, "the options are not an object")
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, notObject
	}
	seen, set := map[string]bool{}, map[string]json.RawMessage{}
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
			if seen[o.name] = true; isSet(value) {
				set[o.name] = value
			}
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
