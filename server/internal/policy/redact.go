package policy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// leastRedacted is how many bytes a secret has at least to be replaced: what
	// is shorter occurs everywhere, and to replace it would spoil the log and
	// point at the value.
	leastRedacted = 4
	redacted      = "***"
)

// Redactor replaces the values of secrets in what is logged or shown
// (traffic-policy.md 10): each value as it is, and as it stands in JSON, in
// quotes and in URLs. What an expression makes of a value, such as its hash or a
// part of it, stays. A nil Redactor changes nothing.
type Redactor struct{ values *strings.Replacer }

// Redactor hides what expressions have got of secrets so far, those of the
// connect phase too. It is nil if that is nothing.
func (x *Exchange) Redactor() *Redactor { return redactor(x.Disclosed, x.Conn.Disclosed) }

// Redactor hides what expressions of the connect phase have got of secrets. It
// is nil if that is nothing.
func (c *Conn) Redactor() *Redactor { return redactor(c.Disclosed, nil) }

func redactor(values, more []string) *Redactor {
	if len(values)+len(more) == 0 {
		return nil
	}
	var forms []string
	for _, v := range slices.Concat(values, more) {
		quoted := strconv.Quote(v)
		inJSON, _ := json.Marshal(v) // a text always encodes
		forms = append(forms, v, quoted[1:len(quoted)-1], string(inJSON[1:len(inJSON)-1]), url.PathEscape(v), url.QueryEscape(v))
	}
	// At each place the first one that fits counts, so the longest come first.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, redacted)
	}
	return &Redactor{strings.NewReplacer(pairs...)}
}

// Text returns a text without the values.
func (r *Redactor) Text(s string) string {
	if r == nil {
		return s
	}
	return r.values.Replace(s)
}

// Path is Text for the path of a URL. One in which escapes hide a value is
// returned without escapes.
func (r *Redactor) Path(s string) string {
	if r == nil {
		return s
	}
	if plain, err := url.PathUnescape(s); err == nil {
		if hidden := r.Text(plain); hidden != plain {
			return hidden
		}
	}
	return r.Text(s)
}

// Logs returns what log actions have recorded without the values.
func (r *Redactor) Logs(entries []map[string]any) []map[string]any {
	if r == nil {
		return entries
	}
	out := make([]map[string]any, len(entries))
	for i, entry := range entries {
		out[i] = make(map[string]any, len(entry))
		for name, v := range entry {
			if text, ok := v.(json.RawMessage); ok {
				v = r.decoded(text)
			}
			out[i][name] = v
		}
	}
	return out
}

// decoded returns what a JSON text holds without the values.
func (r *Redactor) decoded(text []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil { // it was made by an encoder
		return redacted
	}
	return r.value(v)
}

func (r *Redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case json.Number:
		if hidden := r.Text(v.String()); hidden != v.String() {
			return hidden
		}
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[r.Text(name)] = r.value(v[name])
		}
		return out
	}
	return v
}

// disclose notes the value of a secret that an expression has got. There are at
// most as many as the account has secrets, and those that were changed
// meanwhile.
func (x *Exchange) disclose(values ...string) {
	for _, v := range values {
		if len(v) >= leastRedacted && !slices.Contains(x.Disclosed, v) {
			x.Disclosed = append(x.Disclosed, v)
		}
	}
}
