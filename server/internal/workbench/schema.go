package workbench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// Draft is the version of JSON Schema that Schema writes.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// object is a JSON object.
type object map[string]any

// Schema writes a JSON Schema of policy documents, made of the definitions of
// the actions. A document that it refuses is refused by Check too; the
// opposite does not hold, since expressions, bounds that hang together and
// endpoints are beyond a schema.
func (b *Bench) Schema(w io.Writer) error {
	properties := object{
		"enabled":  object{"type": "boolean", "deprecated": true, "description": "false switches the policy off"},
		"inbound":  object{"$ref": "#/$defs/any_rules", "deprecated": true, "description": "write on_http_request or on_tcp_connect"},
		"outbound": object{"$ref": "#/$defs/any_rules", "deprecated": true, "description": "write on_http_response"},
		"Inbound":  object{"$ref": "#/$defs/any_rules", "deprecated": true, "description": "write on_http_request or on_tcp_connect"},
		"Outbound": object{"$ref": "#/$defs/any_rules", "deprecated": true, "description": "write on_http_response"},
	}
	defs := object{
		"any_rules":   rules(names(b.registry.All(), func(policy.Definition) bool { return true })),
		"expressions": expressions(),
	}
	for ph := policy.OnTCPConnect; ph <= policy.OnEventStreamMessage; ph++ {
		key := ph.String()
		defs[key] = rules(names(b.registry.All(), func(d policy.Definition) bool { return d.In(ph) }))
		properties[key] = object{"$ref": "#/$defs/" + key, "description": phaseDocs[ph]}
	}
	for _, d := range b.registry.All() {
		defs["action_"+d.Type] = action(d)
	}
	return Output{W: w}.json(object{
		"$schema": Draft, "title": "Culvert Traffic Policy",
		"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false, "$defs": defs,
	})
}

var phaseDocs = map[policy.Phase]string{
	policy.OnTCPConnect:         "rules for each connection, before TLS and HTTP",
	policy.OnHTTPRequest:        "rules for each request, before the upstream gets it",
	policy.OnHTTPResponse:       "rules for each response, before the client gets it",
	policy.OnEventStreamMessage: "rules for each event of a response that is a stream of events",
}

// names returns the references to the actions that are picked.
func names(all []policy.Definition, pick func(policy.Definition) bool) []any {
	var refs []any
	for _, d := range all {
		if pick(d) {
			refs = append(refs, object{"$ref": "#/$defs/action_" + d.Type})
		}
	}
	return refs
}

// rules describes a list of rules with these actions.
func rules(actions []any) object {
	rule := object{
		"type": "object", "additionalProperties": false,
		"properties": object{
			"name":        object{"description": "a label", "type": []string{"string", "number", "boolean", "null"}},
			"expressions": object{"$ref": "#/$defs/expressions", "description": "the rule matches if all of them hold; without any it always does"},
			"actions":     object{"description": "what to do, in order", "type": "array", "minItems": 1, "items": object{"anyOf": actions}},
			"Name":        older("name"), "Expressions": older("expressions"), "Actions": older("actions"),
		},
		"anyOf": []any{object{"required": []string{"actions"}}, object{"required": []string{"Actions"}}},
	}
	return object{"type": []string{"array", "null"}, "items": rule}
}

func older(now string) object {
	return object{"deprecated": true, "description": "write " + now}
}

func expressions() object {
	scalar := []string{"string", "number", "boolean"}
	return object{"anyOf": []any{object{"type": "array", "items": object{"type": scalar}}, object{"type": append(scalar, "null")}}}
}

// action describes an action with its configuration.
func action(d policy.Definition) object {
	types := append([]string{d.Type}, d.Aliases...)
	properties := object{
		"type": object{"enum": types, "description": d.Doc}, "Type": older("type"), "Config": older("config"),
	}
	required := []string{"type"}
	switch settings := d.Settings(); {
	case !d.Built():
		properties["config"] = object{"type": []string{"object", "null"}}
		properties["type"] = object{"enum": types, "description": "not built yet"}
	default:
		config := mapping(settings)
		if config["required"] == nil && config["allOf"] == nil {
			config["type"] = []string{"object", "null"}
		} else {
			required = append(required, "config")
		}
		properties["config"] = config
	}
	if len(required) == 2 {
		return object{"type": "object", "properties": properties, "additionalProperties": false, "anyOf": []any{
			object{"required": required}, object{"required": []string{"type", "Config"}}, object{"required": []string{"Type"}},
		}}
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false, "anyOf": []any{
		object{"required": required}, object{"required": []string{"Type"}},
	}}
}

// mapping describes a mapping with these settings.
func mapping(settings []policy.Setting) object {
	properties := object{}
	var required []string
	var either []any
	for _, s := range settings {
		properties[s.Name] = setting(s)
		for _, alias := range s.Aliases {
			o := setting(s)
			o["deprecated"], o["description"] = true, "write "+s.Name
			properties[alias] = o
		}
		switch {
		case !s.Required:
		case len(s.Aliases) == 0:
			required = append(required, s.Name)
		default:
			var one []any
			for _, name := range append([]string{s.Name}, s.Aliases...) {
				one = append(one, object{"required": []string{name}})
			}
			either = append(either, object{"anyOf": one})
		}
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	if either != nil {
		out["allOf"] = either
	}
	return out
}

// scalar is what a text may be written as: any scalar stands for its text.
var scalar = []string{"string", "number", "boolean"}

// setting describes a setting.
func setting(s policy.Setting) object {
	o := value(s)
	if s.Doc != "" {
		o["description"] = s.Doc
	}
	if s.Default != nil {
		o["default"] = s.Default
		if d, ok := s.Default.(time.Duration); ok {
			o["default"] = d.String()
		}
	}
	return o
}

func value(s policy.Setting) object {
	switch s.Kind {
	case policy.SettingText:
		return text(s)
	case policy.SettingTemplate, policy.SettingExpression, policy.SettingPattern:
		return object{"type": scalar}
	case policy.SettingBool:
		return object{"type": "boolean"}
	case policy.SettingInt:
		return within(object{"type": "integer"}, s.Range)
	case policy.SettingNumber:
		return within(object{"type": "number"}, s.Range)
	case policy.SettingDuration:
		return duration(s)
	case policy.SettingFields:
		o := object{"type": "object", "additionalProperties": object{"type": append(slices.Clone(scalar), "null")}}
		return bounded(o, s.Count, "minProperties", "maxProperties")
	case policy.SettingAny:
		return object{}
	case policy.SettingMapping:
		return mapping(s.Of)
	case policy.SettingList:
		list := bounded(object{"type": "array", "items": value(s.Of[0])}, s.Count, "minItems", "maxItems")
		return object{"anyOf": []any{list, value(s.Of[0])}}
	}
	panic(fmt.Sprintf("settings of kind %d have no schema", s.Kind))
}

// text describes a text. Bounds of its length hold only for what is written as
// a text.
func text(s policy.Setting) object {
	if len(s.Enum) > 0 {
		var values []any
		for _, e := range s.Enum {
			values = append(values, e)
			if n, err := strconv.ParseFloat(e, 64); err == nil {
				values = append(values, n) // 1.2 without quotes
			}
		}
		return object{"enum": values}
	}
	return bounded(object{"type": scalar}, s.Length, "minLength", "maxLength")
}

// duration describes a duration: 90s, or nanoseconds.
func duration(s policy.Setting) object {
	o := object{
		"type": []string{"string", "integer"}, "pattern": `^[-+]?([0-9]*\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))+$`,
		"examples": []string{"90s", "1h30m"},
	}
	low, err := time.ParseDuration(s.Range[0])
	high, err2 := time.ParseDuration(s.Range[1])
	if err == nil && err2 == nil {
		o["minimum"], o["maximum"] = low.Nanoseconds(), high.Nanoseconds()
		o["examples"] = []string{strings.TrimSuffix(s.Range[0], " "), s.Range[1]}
	}
	return o
}

// within bounds a number.
func within(o object, bounds [2]string) object {
	for i, key := range []string{"minimum", "maximum"} {
		if n, err := strconv.ParseFloat(bounds[i], 64); err == nil {
			o[key] = n
		}
	}
	return o
}

// bounded bounds a size.
func bounded(o object, bounds [2]string, least, most string) object {
	for i, key := range []string{least, most} {
		if n, err := strconv.Atoi(bounds[i]); err == nil && n > 0 {
			o[key] = n
		}
	}
	return o
}
