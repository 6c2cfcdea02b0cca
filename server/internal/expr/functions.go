package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxText is the longest text that a function makes, in bytes. Without it a
// short expression could fill the memory.
const maxText = 1 << 20

var (
	textType  = cel.StringType
	textsType = cel.ListType(cel.StringType)
	anyMap    = cel.MapType(cel.StringType, cel.DynType)
)

// allFunctions are all that the standard library, lists, math and sets do not
// have (traffic-policy.md 9).
func allFunctions() []cel.EnvOption {
	return slices.Concat(textFunctions(), encodingFunctions(), hashFunctions(), urlFunctions(), otherFunctions())
}

// otherFunctions are those of maps, lists, chance, addresses and secrets.
func otherFunctions() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("@has", cel.Overload("has_key", []*cel.Type{cel.DynType, cel.DynType}, cel.BoolType, cel.BinaryBinding(hasKey))),
		cel.Function("@cookie", cel.Overload("first_cookie", []*cel.Type{anyMap, textType}, cel.DynType, cel.BinaryBinding(firstCookie))),
		cel.Function(secretFunction, cel.Overload("secrets_get", []*cel.Type{opaqueType, textType, textType}, textType, cel.FunctionBinding(getSecret))),
		cel.Function("@milliseconds",
			cel.Overload("duration_millisecond_part", []*cel.Type{cel.DurationType}, cel.IntType, cel.UnaryBinding(func(v ref.Val) ref.Val {
				return types.Int(v.(types.Duration).Milliseconds() % 1000)
			})),
			cel.Overload("timestamp_millisecond_part", []*cel.Type{cel.TimestampType}, cel.IntType, cel.UnaryBinding(func(v ref.Val) ref.Val {
				return types.Int(v.(types.Timestamp).Nanosecond() / 1e6)
			}))),
		cel.Function("get",
			cel.MemberOverload("map_get", []*cel.Type{cel.MapType(cel.TypeParamType("K"), cel.TypeParamType("V")), cel.TypeParamType("K")}, cel.DynType, cel.BinaryBinding(getKey)),
			cel.MemberOverload("map_get_default", []*cel.Type{cel.MapType(cel.TypeParamType("K"), cel.TypeParamType("V")), cel.TypeParamType("K"), cel.DynType}, cel.DynType, cel.FunctionBinding(getKeyOr))),
		cel.Function("contains", cel.MemberOverload("list_contains_string", []*cel.Type{textsType, textType}, cel.BoolType, cel.BinaryBinding(listContains))),
		cel.Function("rand.double", cel.Overload("rand_double", nil, cel.DoubleType, cel.FunctionBinding(randDouble))),
		cel.Function("rand.int",
			cel.Overload("rand_int", nil, cel.IntType, cel.FunctionBinding(func(...ref.Val) ref.Val { return randInt(types.IntZero, types.IntOne) })),
			cel.Overload("rand_int_range", []*cel.Type{cel.IntType, cel.IntType}, cel.IntType, cel.BinaryBinding(randInt))),
		cel.Function("inCidrRange", cel.Overload(inCIDRRange, []*cel.Type{textType, textType}, cel.BoolType, cel.BinaryBinding(func(ip, cidr ref.Val) ref.Val {
			return types.Bool(inRange(string(ip.(types.String)), string(cidr.(types.String))))
		}))),
		cel.Function("inCidrRanges", cel.Overload(inCIDRRanges, []*cel.Type{textType, textsType}, cel.BoolType, cel.BinaryBinding(inRanges))),
		method("isPrivateIp", func(s string) (bool, error) { return isPrivate(s), nil }),
	}
}

// result is what a function of the language may return.
type result interface {
	string | bool | int64 | []byte | []string | any
}

// value turns a result into a value of the language, or its error into an
// error value. Texts over maxText are errors.
func value[R result](r R, err error) ref.Val {
	if err != nil {
		return types.NewErr("%s", err.Error())
	}
	switch r := any(r).(type) {
	case string:
		if len(r) > maxText {
			return types.NewErr("a text of %d bytes is too long", len(r))
		}
	case []byte:
		return types.Bytes(r)
	}
	return adapter{}.NativeToValue(r)
}

func typeOf[R result]() *cel.Type {
	var r R
	switch any(r).(type) {
	case string:
		return textType
	case bool:
		return cel.BoolType
	case int64:
		return cel.IntType
	case []byte:
		return cel.BytesType
	case []string:
		return textsType
	}
	return cel.DynType
}

// method declares text.name().
func method[R result](name string, f func(string) (R, error)) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{textType}, typeOf[R](), on1(f)))
}

// function declares name(text).
func function[R result](name string, f func(string) (R, error)) cel.EnvOption {
	return cel.Function(name, cel.Overload(name+"_string", []*cel.Type{textType}, typeOf[R](), on1(f)))
}

// member declares target.name(args…) for values of any type.
func member(name, overload string, args []*cel.Type, out *cel.Type, f functions.FunctionOp) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload(overload, args, out, cel.FunctionBinding(f)))
}

func on1[R result](f func(string) (R, error)) cel.OverloadOpt {
	return cel.UnaryBinding(func(v ref.Val) ref.Val { return value(f(string(v.(types.String)))) })
}

// hasKey implements has for indexes and fields.
func hasKey(of, key ref.Val) ref.Val {
	switch of := of.(type) {
	case traits.Mapper:
		return of.Contains(key)
	case traits.Lister:
		i, ok := key.(types.Int)
		return types.Bool(ok && i >= 0 && i < of.Size().(types.Int))
	}
	return types.False
}

func getKey(m, key ref.Val) ref.Val {
	if v, ok := m.(traits.Mapper).Find(key); ok {
		return v
	}
	return noTexts
}

func getKeyOr(args ...ref.Val) ref.Val {
	m := args[0].(traits.Mapper)
	if m.Contains(args[1]) != types.True {
		return args[2]
	}
	return m.Get(args[1])
}

func listContains(list, text ref.Val) ref.Val {
	for it := list.(traits.Lister).Iterator(); it.HasNext() == types.True; {
		if s, ok := it.Next().(types.String); ok && strings.Contains(string(s), str(text)) {
			return types.True
		}
	}
	return types.False
}

// noCookie has the members of a cookie with nothing in them.
var noCookie = types.NewStringInterfaceMap(adapter{}, map[string]any{
	"name": "", "value": "", "domain": "", "path": "", "same_site": "", "http_only": false, "secure": false,
	"expires": types.Timestamp{}, "max_age": types.Duration{}, "unparsed_attributes": map[string]any{},
})

func firstCookie(cookies, name ref.Val) ref.Val {
	list, ok := cookies.(traits.Mapper).Find(name)
	if !ok {
		return noCookie
	}
	l, ok := list.(traits.Lister)
	if !ok || l.Size() == types.IntZero {
		return noCookie
	}
	m, ok := l.Get(types.IntZero).(traits.Mapper)
	if !ok {
		return noCookie
	}
	return cookieValue{m}
}

// cookieValue is a cookie in which every documented member exists.
type cookieValue struct{ traits.Mapper }

// Find implements traits.Mapper.
func (c cookieValue) Find(key ref.Val) (ref.Val, bool) {
	if v, ok := c.Mapper.Find(key); ok {
		return v, true
	}
	return noCookie.Find(key)
}

// Get implements traits.Indexer.
func (c cookieValue) Get(key ref.Val) ref.Val {
	if v, ok := c.Find(key); ok {
		return v
	}
	return c.Mapper.Get(key)
}

var errNoSecrets = errors.New("secrets are not available here")

func getSecret(args ...ref.Val) ref.Val {
	s, ok := args[0].(secrets)
	if !ok || s.source == nil {
		return value("", errNoSecrets)
	}
	v, err := s.source.Secret(string(args[1].(types.String)), string(args[2].(types.String)))
	if err != nil {
		err = fmt.Errorf("secret %s of vault %s: %w", args[2], args[1], err)
	}
	return value(v, err)
}
