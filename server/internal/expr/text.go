package expr

import (
	"fmt"
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Text returns the text form of a value (traffic-policy.md 5): numbers and
// durations as CEL's string() writes them, times as RFC 3339 in UTC, lists and
// maps as compact JSON, nil as nothing.
func Text(v any) (string, error) { return textOf(v) }

func textForm(v ref.Val) (string, error) {
	n, err := native(v)
	if err != nil {
		return "", err
	}
	return textOf(n)
}

func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		return strings.ToValidUTF8(string(v), "\uFFFD"), nil
	case time.Time, time.Duration, float64:
		return fmt.Sprint(printable(v)), nil
	case []any, map[string]any, []string, map[string]string:
		return compactJSON(v)
	}
	return fmt.Sprint(v), nil
}

// printable replaces what JSON cannot hold, or holds otherwise than CEL.
func printable(v any) any {
	switch v := v.(type) {
	case []byte:
		return strings.ToValidUTF8(string(v), "\uFFFD")
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case time.Duration:
		s, _ := types.Duration{Duration: v}.ConvertToType(types.StringType).(types.String)
		return string(s)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Sprint(v)
		}
		return number(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = printable(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = printable(v[k])
		}
		return out
	}
	return v
}

// number is a double that prints as CEL's string() does, in JSON too.
type number float64

// String returns it as CEL writes it.
func (n number) String() string {
	s, _ := types.Double(n).ConvertToType(types.StringType).(types.String)
	return string(s)
}

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }
