package expr

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Source gives the values of variables.
type Source interface {
	// Lookup returns the value of a variable by its name: string, bool, int,
	// int64, float64, time.Time, time.Duration, []string, []any,
	// map[string]any, *Headers or http.Header (for header maps), map[string][]string (for
	// parameters), or nil. false stands for the zero value of its kind.
	Lookup(name string) (any, bool)
	// Secret returns a secret of the account. It fails if there is none.
	Secret(vault, name string) (string, error)
}

// TextSource is a Source that can give a text without putting it into an
// interface, which takes memory.
type TextSource interface {
	// LookupText is Lookup for variables that hold a text. false says that
	// Lookup is to be asked.
	LookupText(name string) (string, bool)
}

// Frame is what one exchange's expressions are evaluated over. It remembers
// what it has looked up until Forget is called. Begin makes it ready.
type Frame struct {
	env    *Env
	source Source
	texts  TextSource // nil if the source is none
	known  []known
	space  [8]known
	locals [maxLocals]string // of fastTests
}

// known is the value of a variable.
type known struct {
	variable *Variable
	value    ref.Val // nil for a text that was only asked for as such
	text     string
}

// NewFrame returns a frame over a source.
func (e *Env) NewFrame(s Source) *Frame {
	f := &Frame{}
	f.Begin(e, s)
	return f
}

// Begin makes f a frame over a source. It must not be copied from then on.
func (f *Frame) Begin(e *Env, s Source) {
	f.env, f.source = e, s
	f.texts, _ = s.(TextSource)
	f.known = f.space[:0]
}

// Forget drops what was looked up, after something may have changed.
func (f *Frame) Forget() { f.known = f.known[:0] }

// ResolveName implements interpreter.Activation.
func (f *Frame) ResolveName(name string) (any, bool) {
	v, ok := f.env.variables[name]
	if !ok {
		if name == secretsVariable {
			return secrets{source: f.source}, true
		}
		return nil, false
	}
	return f.resolve(v), true
}

// resolve returns the value of a variable.
func (f *Frame) resolve(v *Variable) ref.Val {
	for i := range f.known {
		if k := &f.known[i]; k.variable == v {
			if k.value == nil {
				k.value = types.String(k.text)
			}
			return k.value
		}
	}
	value := f.look(v)
	if !v.Live {
		f.known = append(f.known, known{variable: v, value: value})
	}
	return value
}

// text returns the value of a variable that holds a text, and whether it does.
func (f *Frame) text(v *Variable) (string, bool) {
	for i := range f.known {
		if k := &f.known[i]; k.variable == v {
			if k.value == nil {
				return k.text, true
			}
			s, ok := k.value.(types.String)
			return string(s), ok
		}
	}
	if f.texts != nil && !v.Live {
		if s, ok := f.texts.LookupText(v.real()); ok {
			f.known = append(f.known, known{variable: v, text: s})
			return s, true
		}
	}
	s, ok := f.resolve(v).(types.String)
	return string(s), ok
}

// real is the name under which a variable is looked up.
func (v *Variable) real() string {
	if v.Alias != "" {
		return v.Alias
	}
	return v.Name
}

func (f *Frame) look(v *Variable) ref.Val {
	got, ok := f.source.Lookup(v.real())
	if !ok {
		return v.Kind.zero()
	}
	if v.Name == looseName {
		return looseNumber{types.DefaultTypeAdapter.NativeToValue(got)}
	}
	return adapter{}.NativeToValue(got)
}

// Parent implements interpreter.Activation.
func (f *Frame) Parent() cel.Activation { return nil }

// secrets is the hidden variable through which secrets.get reaches the source.
type secrets struct {
	opaque
	source Source
}

const (
	secretsVariable = "@secrets"
	secretFunction  = "@secret"
)
