package expr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// textFunctions are the methods of texts. They are our own where CEL's library
// differs from the reference (traffic-policy.md 9.2 and 14, rows 8 and 10).
func textFunctions() []cel.EnvOption {
	t, i := textType, cel.IntType
	return []cel.EnvOption{
		member("charAt", "string_char_at", []*cel.Type{t, i}, t, func(a ...ref.Val) ref.Val { return value(charAt(str(a[0]), num(a[1]))) }),
		cel.Function("indexOf",
			cel.MemberOverload("string_index_of", []*cel.Type{t, t}, i, cel.FunctionBinding(indexOf)),
			cel.MemberOverload("string_index_of_from", []*cel.Type{t, t, i}, i, cel.FunctionBinding(indexOf))),
		cel.Function("lastIndexOf",
			cel.MemberOverload("string_last_index_of", []*cel.Type{t, t}, i, cel.FunctionBinding(lastIndexOf)),
			cel.MemberOverload("string_last_index_of_to", []*cel.Type{t, t, i}, i, cel.FunctionBinding(lastIndexOf))),
		cel.Function("substring",
			cel.MemberOverload("string_substring_from", []*cel.Type{t, i}, t, cel.FunctionBinding(substring)),
			cel.MemberOverload("string_substring", []*cel.Type{t, i, i}, t, cel.FunctionBinding(substring))),
		cel.Function("split",
			cel.MemberOverload("string_fields", []*cel.Type{t}, textsType, cel.FunctionBinding(split)),
			cel.MemberOverload("string_split", []*cel.Type{t, t}, textsType, cel.FunctionBinding(split)),
			cel.MemberOverload("string_split_n", []*cel.Type{t, t, i}, textsType, cel.FunctionBinding(split))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_all", []*cel.Type{t, t, t}, t, cel.FunctionBinding(replace)),
			cel.MemberOverload("string_replace_n", []*cel.Type{t, t, t, i}, t, cel.FunctionBinding(replace))),
		cel.Function("join",
			cel.MemberOverload("list_join", []*cel.Type{textsType}, t, cel.FunctionBinding(join)),
			cel.MemberOverload("list_join_with", []*cel.Type{textsType, t}, t, cel.FunctionBinding(join))),
		method("trim", func(s string) (string, error) { return strings.TrimSpace(s), nil }),
		method("reverse", func(s string) (string, error) { return reverse(s), nil }),
		method("lowerAscii", func(s string) (string, error) { return mapASCII(s, 'A', 'Z', 'a'-'A'), nil }),
		method("upperAscii", func(s string) (string, error) { return mapASCII(s, 'a', 'z', 'A'-'a'), nil }),
		method("lower", func(s string) (string, error) { return strings.Map(simpleLower, s), nil }),
		method("upper", func(s string) (string, error) { return strings.Map(unicode.ToUpper, s), nil }),
		member("format", "string_format", []*cel.Type{t, cel.ListType(cel.DynType)}, t, format),
		cel.Function("strings.quote", cel.Overload("strings_quote", []*cel.Type{t}, t, cel.UnaryBinding(func(v ref.Val) ref.Val { return library("strings.quote(a)", v, nil) }))),
	}
}

func str(v ref.Val) string { return string(v.(types.String)) }
func num(v ref.Val) int    { return int(min(max(v.(types.Int), -1<<31), 1<<31)) }

func outside(what string, i, n int) error {
	return fmt.Errorf("%s %d is outside of a text of %d characters", what, i, n)
}

func charAt(s string, i int) (string, error) {
	r := []rune(s)
	if i < 0 || i > len(r) {
		return "", outside("position", i, len(r))
	}
	if i == len(r) {
		return "", nil
	}
	return string(r[i]), nil
}

func indexOf(a ...ref.Val) ref.Val {
	s, sub, from := []rune(str(a[0])), []rune(str(a[1])), 0
	if len(a) == 3 {
		from = num(a[2])
	}
	if from < 0 || from > len(s) {
		return value(int64(0), outside("position", from, len(s)))
	}
	at := strings.Index(string(s[from:]), string(sub))
	if at < 0 {
		return types.Int(-1)
	}
	return types.Int(from + len([]rune(string(s[from:])[:at])))
}

func lastIndexOf(a ...ref.Val) ref.Val {
	s, sub := []rune(str(a[0])), []rune(str(a[1]))
	to := len(s)
	if len(a) == 3 {
		to = num(a[2])
	}
	if to < 0 || to > len(s) {
		return value(int64(0), outside("position", to, len(s)))
	}
	if len(sub) == 0 {
		return types.Int(to)
	}
	// The last occurrence that starts at to or before.
	for i := min(to, len(s)-len(sub)); i >= 0; i-- {
		if string(s[i:i+len(sub)]) == string(sub) {
			return types.Int(i)
		}
	}
	return types.Int(-1)
}

func substring(a ...ref.Val) ref.Val {
	s, from := []rune(str(a[0])), num(a[1])
	to := len(s)
	if len(a) == 3 {
		to = num(a[2])
	}
	switch {
	case from < 0 || from > len(s):
		return value("", outside("start", from, len(s)))
	case to < 0 || to > len(s):
		return value("", outside("end", to, len(s)))
	case to < from:
		return value("", fmt.Errorf("end %d is before start %d", to, from))
	}
	return types.String(s[from:to])
}

// split gives at most n pieces and drops the rest, unlike CEL's.
func split(a ...ref.Val) ref.Val {
	s := str(a[0])
	if len(a) == 1 {
		return value(strings.Fields(s), nil)
	}
	n := -1
	if len(a) == 3 {
		n = num(a[2])
	}
	switch {
	case n == 0:
		return noTexts
	case n < 0:
		return value(strings.Split(s, str(a[1])), nil)
	}
	pieces := strings.SplitN(s, str(a[1]), min(n, len(s)+1)+1)
	return value(pieces[:min(n, len(pieces))], nil)
}

func replace(a ...ref.Val) ref.Val {
	s, old, with, n := str(a[0]), str(a[1]), str(a[2]), -1
	if len(a) == 4 {
		n = num(a[3])
	}
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if size := len(s) + count*(len(with)-len(old)); size > maxText {
		return value("", fmt.Errorf("a text of %d bytes is too long", size))
	}
	return types.String(strings.Replace(s, old, with, n))
}

func join(a ...ref.Val) ref.Val {
	sep := ""
	if len(a) == 2 {
		sep = str(a[1])
	}
	var b strings.Builder
	for it, first := a[0].(traits.Lister).Iterator(), true; it.HasNext() == types.True; first = false {
		s, ok := it.Next().(types.String)
		if !ok {
			return value("", errors.New("join needs a list of texts"))
		}
		if !first {
			b.WriteString(sep)
		}
		b.WriteString(string(s))
		if b.Len() > maxText {
			return value("", errors.New("the joined text is too long"))
		}
	}
	return types.String(b.String())
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

func mapASCII(s string, from, to, by rune) string {
	return strings.Map(func(r rune) rune {
		if r >= from && r <= to {
			return r + by
		}
		return r
	}, s)
}

// simpleLower maps one character to one, also where the full mapping has two.
func simpleLower(r rune) rune {
	if r == 'İ' {
		return 'i'
	}
	return unicode.ToLower(r)
}

// width finds a precision that would make a text long out of a number.
var width = regexp.MustCompile(`%\.[0-9]{4,}`)

func format(a ...ref.Val) ref.Val {
	if width.MatchString(str(a[0])) {
		return value("", errors.New("a precision of more than 999 places is too long"))
	}
	return library("a.format(b)", a[0], a[1])
}

// libraryPrograms evaluates what CEL's own library of strings does as the
// reference wants it, and which cannot be taken from it one by one.
var libraryPrograms = sync.OnceValues(func() (map[string]cel.Program, error) {
	env, err := cel.NewEnv(ext.Strings(), cel.Variable("a", textType), cel.Variable("b", cel.ListType(cel.DynType)))
	if err != nil {
		return nil, err
	}
	programs := make(map[string]cel.Program)
	for _, source := range []string{"a.format(b)", "strings.quote(a)"} {
		checked, issues := env.Compile(source)
		if issues.Err() != nil {
			return nil, issues.Err()
		}
		if programs[source], err = env.Program(checked); err != nil {
			return nil, err
		}
	}
	return programs, nil
})

func library(source string, a, b ref.Val) ref.Val {
	programs, err := libraryPrograms()
	if err != nil {
		return value("", err)
	}
	out, _, err := programs[source].Eval(map[string]any{"a": a, "b": b})
	if err != nil {
		return value("", err)
	}
	s, ok := out.(types.String)
	if !ok {
		return value("", errors.New("no text came out"))
	}
	return value(string(s), nil)
}
