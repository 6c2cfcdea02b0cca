package compress

import (
	"slices"
	"strconv"
	"strings"
)

// negotiate returns the coding to use, empty for none (RFC 9110 12.5.3): of
// those that the policy allows the one that the client likes best, of equals
// the first.
func negotiate(accept string, allowed []string) string {
	weights := make(map[string]float64)
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "x-gzip" || name == "x-compress" {
			name = strings.TrimPrefix(name, "x-")
		}
		if _, known := weights[name]; known || name != "*" && name != "identity" && !slices.Contains(codings, name) {
			continue
		}
		weights[name] = quality(params)
	}
	others, any := weights["*"]
	best, coding := 0.0, ""
	for _, name := range allowed {
		q, named := weights[name]
		if !named && any {
			q = others
		}
		if q > best {
			best, coding = q, name
		}
	}
	if q, named := weights["identity"]; named && q > best {
		return ""
	}
	return coding
}

// quality reads the q of an item. A weight that is none counts as 0.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		key, value, ok := strings.Cut(p, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
