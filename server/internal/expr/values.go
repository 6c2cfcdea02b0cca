package expr

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// celType is how the type checker sees a kind. Numbers are dyn unless strict:
// comparing one with a text must load (traffic-policy.md 7.3).
func (k Kind) celType(strict bool) *cel.Type {
	switch k {
	case KindText:
		return cel.StringType
	case KindInt:
		if strict {
			return cel.IntType
		}
	case KindFloat:
		if strict {
			return cel.DoubleType
		}
	case KindBool:
		return cel.BoolType
	case KindTime:
		return cel.TimestampType
	case KindPeriod:
		return cel.DurationType
	case KindTextList:
		return cel.ListType(cel.StringType)
	case KindHeaderMap, KindParamMap:
		return cel.MapType(cel.StringType, cel.ListType(cel.StringType))
	case KindTextMap:
		return cel.MapType(cel.StringType, cel.StringType)
	case KindList:
		return cel.ListType(cel.DynType)
	case KindMap:
		return cel.MapType(cel.StringType, cel.DynType)
	case KindAny:
	}
	return cel.DynType
}

var noTexts = types.NewStringList(types.DefaultTypeAdapter, nil)

// zero is what a name holds that has nothing to report (traffic-policy.md 7.7).
func (k Kind) zero() ref.Val {
	switch k {
	case KindText:
		return types.String("")
	case KindInt:
		return types.IntZero
	case KindFloat:
		return types.Double(0)
	case KindBool:
		return types.False
	case KindTime:
		return types.Timestamp{}
	case KindPeriod:
		return types.Duration{}
	case KindTextList, KindList:
		return noTexts
	case KindHeaderMap:
		return &Headers{}
	case KindParamMap:
		return params{}
	case KindTextMap, KindMap:
		return types.NewStringInterfaceMap(adapter{}, nil)
	case KindAny:
	}
	return types.NullValue
}

// adapter turns Go values into those of the language.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case string:
		return types.String(v)
	case []string:
		return types.NewStringList(a, v)
	case http.Header:
		return new(Headers).Of(v)
	case map[string][]string:
		return params(v)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case time.Time:
		return types.Timestamp{Time: v}
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// Headers is a map of header fields: names in any case, and an empty list for
// one that is absent (traffic-policy.md 7.6). It remembers the lists that were
// asked for. The zero value is empty.
type Headers struct {
	fields http.Header
	host   []string // nil if the fields have it
	space  [1]string
	asked  []asked
	// hasOdd says that some name is not canonical, once they were looked at.
	looked, hasOdd bool
}

type asked struct {
	name   types.String
	values ref.Val
}

// Of makes h the fields of a message, which is returned.
func (h *Headers) Of(fields http.Header) *Headers {
	*h = Headers{fields: fields}
	return h
}

// OfRequest makes h the fields of a request and its host, which net/http keeps
// apart.
func (h *Headers) OfRequest(fields http.Header, host string) *Headers {
	*h = Headers{fields: fields, space: [1]string{host}}
	h.host = h.space[:]
	return h
}

func (h *Headers) lookup(key ref.Val) ([]string, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	return h.values(string(name))
}

// values returns the values of a field, and whether it is there.
func (h *Headers) values(name string) ([]string, bool) {
	if h.host != nil && strings.EqualFold(name, "host") {
		return h.host, true
	}
	var space [64]byte
	if v, ok := h.fields[string(canonical(space[:0], name))]; ok {
		return v, true
	}
	return h.odd(name)
}

// field is values for a canonical name.
func (h *Headers) field(name string) ([]string, bool) {
	if h.host != nil && name == "Host" {
		return h.host, true
	}
	if v, ok := h.fields[name]; ok {
		return v, true
	}
	return h.odd(name)
}

// odd looks among the fields whose names are not canonical. Mostly there are
// none.
func (h *Headers) odd(name string) ([]string, bool) {
	if !h.looked {
		h.looked = true
		var space [64]byte
		for have := range h.fields {
			h.hasOdd = h.hasOdd || string(canonical(space[:0], have)) != have
		}
	}
	if !h.hasOdd {
		return nil, false
	}
	for have, v := range h.fields {
		if strings.EqualFold(have, name) {
			return v, true
		}
	}
	return nil, false
}

// canonical appends a name as http.Header has it. Unlike the standard library's
// function it needs no memory of its own.
func canonical(to []byte, name string) []byte {
	first := true
	for i := range len(name) {
		c := name[i]
		switch {
		case first && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !first && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		first = c == '-'
		to = append(to, c)
	}
	return to
}

func (h *Headers) keys() []string {
	names := make([]string, 0, len(h.fields)+1)
	if h.host != nil {
		names = append(names, "host")
	}
	for name := range h.fields {
		if name = strings.ToLower(name); h.host == nil || name != "host" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// params is a map of query parameters: an empty list for one that is absent.
type params map[string][]string

func (p params) lookup(key ref.Val) ([]string, bool) {
	name, ok := key.(types.String)
	v, found := p[string(name)]
	return v, ok && found
}

func (p params) keys() []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// multi is what headers and params have in common: a map of lists with an
// empty list for every absent key.
type multi interface {
	lookup(key ref.Val) ([]string, bool)
	keys() []string
}

func find(m multi, key ref.Val) ref.Val {
	if _, ok := key.(types.String); !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	v, ok := m.lookup(key)
	if !ok {
		return noTexts
	}
	return types.NewStringList(types.DefaultTypeAdapter, v)
}

func plain(m multi) map[string][]string {
	out := make(map[string][]string)
	for _, k := range m.keys() {
		out[k], _ = m.lookup(types.String(k))
	}
	return out
}

func toNative(m multi, t reflect.Type) (any, error) {
	return types.NewDynamicMap(types.DefaultTypeAdapter, plain(m)).ConvertToNative(t)
}

func toType(v ref.Val, t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return v
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from map to %s", t)
}

func equal(m multi, other ref.Val) ref.Val {
	return types.NewDynamicMap(types.DefaultTypeAdapter, plain(m)).Equal(other)
}

func iterate(m multi) traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, m.keys()).Iterator()
}

func (h *Headers) ConvertToNative(t reflect.Type) (any, error) { return toNative(h, t) }
func (h *Headers) ConvertToType(t ref.Type) ref.Val            { return toType(h, t) }
func (h *Headers) Equal(other ref.Val) ref.Val                 { return equal(h, other) }
func (h *Headers) Type() ref.Type                              { return types.MapType }
func (h *Headers) Value() any                                  { return plain(h) }
func (h *Headers) Iterator() traits.Iterator                   { return iterate(h) }
func (h *Headers) Size() ref.Val                               { return types.Int(len(h.keys())) }

// Find implements traits.Mapper. Nothing is ever missing.
func (h *Headers) Find(key ref.Val) (ref.Val, bool) { return h.Get(key), true }

// Get implements traits.Indexer.
func (h *Headers) Get(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	for i := range h.asked {
		if h.asked[i].name == name {
			return h.asked[i].values
		}
	}
	values := noTexts
	if have, ok := h.lookup(name); ok {
		list := make([]ref.Val, len(have))
		for i := range have {
			list[i] = types.String(have[i])
		}
		values = types.NewRefValList(types.DefaultTypeAdapter, list)
	}
	h.asked = append(h.asked, asked{name, values})
	return values
}

// Contains implements traits.Container.
func (h *Headers) Contains(key ref.Val) ref.Val {
	_, ok := h.lookup(key)
	return types.Bool(ok)
}

func (p params) ConvertToNative(t reflect.Type) (any, error) { return toNative(p, t) }
func (p params) ConvertToType(t ref.Type) ref.Val            { return toType(p, t) }
func (p params) Equal(other ref.Val) ref.Val                 { return equal(p, other) }
func (p params) Type() ref.Type                              { return types.MapType }
func (p params) Value() any                                  { return plain(p) }
func (p params) Get(key ref.Val) ref.Val                     { return find(p, key) }
func (p params) Find(key ref.Val) (ref.Val, bool)            { return find(p, key), true }
func (p params) Iterator() traits.Iterator                   { return iterate(p) }
func (p params) Size() ref.Val                               { return types.Int(len(p)) }

// Contains implements traits.Container.
func (p params) Contains(key ref.Val) ref.Val {
	_, ok := p.lookup(key)
	return types.Bool(ok)
}

// native turns a value of the language into a Go value: string, bool, int64,
// uint64, float64, []byte, time.Time, time.Duration, nil, []any or
// map[string]any.
func native(v ref.Val) (any, error) {
	left := maxElements
	return nativeOf(v, &left)
}

// maxElements bounds the elements of a value that leaves the language. Lists
// share their elements there: one of a few can stand for millions.
const maxElements = 200_000

func nativeOf(v ref.Val, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("a value of more than %d elements is too large", maxElements)
	}
	switch v := v.(type) {
	case types.String:
		return string(v), nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		return float64(v), nil
	case types.Bytes:
		return []byte(v), nil
	case types.Timestamp:
		return v.Time, nil
	case types.Duration:
		return v.Duration, nil
	case types.Null:
		return nil, nil
	case *types.Err:
		return nil, v
	case traits.Mapper:
		out := make(map[string]any)
		for it := v.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			e, err := nativeOf(v.Get(k), left)
			if err != nil {
				return nil, err
			}
			out[fmt.Sprint(k.Value())] = e
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			e, err := nativeOf(it.Next(), left)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	}
	return nil, fmt.Errorf("a value of type %s cannot be used here", v.Type().TypeName())
}
