package policy

// MaxVars is how many bytes the variables of one exchange may take together
// (reliability-security.md 9.3), reckoned by [weight].
const MaxVars = 64 << 10

// SetVar sets a variable. One for which there is no room is absent from then on,
// and the exchange's logs say so with {"dropped": "vars.NAME"}.
func (x *Exchange) SetVar(name string, v any) {
	if x.vars == nil {
		x.vars = make(map[string]any)
	}
	if old, there := x.vars[name]; there {
		x.varsWeight -= weight(name) + weight(old)
		delete(x.vars, name)
	}
	w := weight(name) + weight(v)
	if x.varsWeight+w > MaxVars {
		x.record(map[string]any{"dropped": "vars." + name}, len(name))
		return
	}
	x.varsWeight += w
	x.vars[name] = v
}

// weight is about what a value takes, in bytes: its texts and 16 for each part.
func weight(v any) int {
	const part = 16
	n := part
	switch v := v.(type) {
	case string:
		n += len(v)
	case []byte:
		n += len(v)
	case []string:
		for _, s := range v {
			n += part + len(s)
		}
	case []any:
		for _, e := range v {
			n += weight(e)
		}
	case map[string]any:
		for k, e := range v {
			n += part + len(k) + weight(e)
		}
	}
	return n
}
