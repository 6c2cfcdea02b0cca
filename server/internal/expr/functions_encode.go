package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// encodingFunctions are Base64, JSON, query strings and basic authentication
// (traffic-policy.md 9.4).
func encodingFunctions() []cel.EnvOption {
	decodeBytes := cel.UnaryBinding(func(v ref.Val) ref.Val { return value(base64.StdEncoding.DecodeString(str(v))) })
	encodeBytes := cel.UnaryBinding(func(v ref.Val) ref.Val {
		return value(base64.StdEncoding.EncodeToString(v.(types.Bytes)), nil)
	})
	toJSON := func(a ...ref.Val) ref.Val { return value(encodeJSON(a[0])) }
	toQuery := func(a ...ref.Val) ref.Val { return value(encodeQuery(a[0])) }
	list, dict := cel.ListType(cel.TypeParamType("T")), cel.MapType(cel.TypeParamType("K"), cel.TypeParamType("V"))
	opts := []cel.EnvOption{
		method("encodeBase64", func(s string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }),
		method("decodeBase64", decodeBase64),
		method("decodeJson", decodeJSON),
		method("isJson", func(s string) (bool, error) { return json.Valid([]byte(s)), nil }),
		method("decodeQueryString", decodeQuery),
		method("isQueryString", func(s string) (bool, error) { return isQuery(s), nil }),
		member("encodeJson", "list_encode_json", []*cel.Type{list}, textType, toJSON),
		member("encodeJson", "map_encode_json", []*cel.Type{dict}, textType, toJSON),
		member("encodeQueryString", "map_encode_query", []*cel.Type{dict}, textType, toQuery),
		cel.Function("json.encode",
			cel.Overload("json_encode_list", []*cel.Type{list}, textType, cel.FunctionBinding(toJSON)),
			cel.Overload("json_encode_map", []*cel.Type{dict}, textType, cel.FunctionBinding(toJSON))),
		function("json.decode", decodeJSON),
		cel.Function("queryString.encode", cel.Overload("query_encode", []*cel.Type{dict}, textType, cel.FunctionBinding(toQuery))),
		function("queryString.decode", decodeQuery),
		cel.Function("basic_auth.encode", cel.Overload("basic_auth_encode", []*cel.Type{textType, textType}, textType, cel.BinaryBinding(func(user, password ref.Val) ref.Val {
			return value("Basic "+base64.StdEncoding.EncodeToString([]byte(str(user)+":"+str(password))), nil)
		}))),
	}
	for _, space := range []string{"base64", "b64"} { // b64 is older
		opts = append(
			opts,
			cel.Function(space+".encode", cel.Overload(space+"_encode_bytes", []*cel.Type{cel.BytesType}, textType, encodeBytes)),
			cel.Function(space+".decode", cel.Overload(space+"_decode", []*cel.Type{textType}, cel.BytesType, decodeBytes)),
		)
	}
	return opts
}

func decodeBase64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("the decoded bytes are no text; use base64.decode")
	}
	return string(b), err
}

func encodeJSON(v ref.Val) (string, error) {
	n, err := native(v)
	if err != nil {
		return "", err
	}
	return compactJSON(n)
}

// compactJSON writes JSON with sorted keys and without the escapes that are
// meant for HTML.
func compactJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(printable(v)); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// decodeJSON takes integral numbers as int and others as double.
func decodeJSON(s string) (any, error) {
	if len(s) > maxText {
		return nil, fmt.Errorf("%d bytes of JSON are too long", len(s))
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: something follows the value")
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f)
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

func encodeQuery(v ref.Val) (string, error) {
	n, err := native(v)
	if err != nil {
		return "", err
	}
	m, ok := n.(map[string]any)
	if !ok {
		return "", errors.New("a query string is made of a map")
	}
	q := make(url.Values)
	for k, v := range m {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			t, err := textOf(e)
			if err != nil {
				return "", err
			}
			q.Add(k, t)
		}
	}
	return q.Encode(), nil
}

// decodeQuery gives a text for a key that occurs once, a list for others.
func decodeQuery(s string) (any, error) {
	q, err := url.ParseQuery(s)
	if err != nil {
		return nil, fmt.Errorf("not a query string: %w", err)
	}
	m := make(map[string]any, len(q))
	for k, v := range q {
		m[k] = v
		if len(v) == 1 {
			m[k] = v[0]
		}
	}
	return m, nil
}

func isQuery(s string) bool {
	if strings.ContainsAny(s, " \t\r\n") {
		return false
	}
	if _, err := url.ParseQuery(s); err != nil {
		return false
	}
	for pair := range strings.SplitSeq(s, "&") {
		if k, _, ok := strings.Cut(pair, "="); ok && k != "" {
			return true
		}
	}
	return false
}
