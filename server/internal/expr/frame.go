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
	// map[string]any, http.Header (for header maps), map[string][]string (for
	// parameters), or nil. false stands for the zero value of its kind.
	Lookup(name string) (any, bool)
	// Secret returns a secret of the account. It fails if there is none.
	Secret(vault, name string) (string, error)
}

// Frame is what one exchange's expressions are evaluated over. It remembers
// what it has looked up until Forget is called.
type Frame struct {
	env    *Env
	source Source
	known  []known
}

type known struct {
	name  string
	value ref.Val
}

// NewFrame returns a frame over a source.
func (e *Env) NewFrame(s Source) *Frame { return &Frame{env: e, source: s} }

// Forget drops what was looked up, after something may have changed.
func (f *Frame) Forget() { f.known = f.known[:0] }

// ResolveName implements interpreter.Activation.
func (f *Frame) ResolveName(name string) (any, bool) {
	for i := range f.known {
		if f.known[i].name == name {
			return f.known[i].value, true
		}
	}
	if name == secretsVariable {
		return secrets{source: f.source}, true
	}
	v, ok := f.env.variables[name]
	if !ok {
		return nil, false
	}
	value := f.look(v)
	if !v.Live {
		f.known = append(f.known, known{name, value})
	}
	return value, true
}

func (f *Frame) look(v *Variable) ref.Val {
	name := v.Name
	if v.Alias != "" {
		name = v.Alias
	}
	got, ok := f.source.Lookup(name)
	if !ok {
		return v.Kind.zero()
	}
	if v.Name == "res.StatusCode" {
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
