package expr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// Defaults of a Config.
const (
	// DefaultMaxSource is the longest expression, in bytes.
	DefaultMaxSource = 16 << 10
	// DefaultCostLimit bounds one evaluation, in units of CEL's cost model, so
	// that it takes about 10 ms at most (T30).
	DefaultCostLimit = 250_000
)

// Config is what an Env is made of. The zero value works.
type Config struct {
	// Results are the variables under actions., which the actions define.
	Results []Variable
	// MaxSource is the longest expression, in bytes; default
	// DefaultMaxSource.
	MaxSource int
	// CostLimit bounds one evaluation; default DefaultCostLimit.
	CostLimit uint64
}

// Env compiles expressions. It is immutable.
type Env struct {
	maxSource int
	costLimit uint64
	variables map[string]*Variable
	// lenient takes numbers as dyn, strict does not: what only the lenient
	// one accepts gets a warning.
	lenient, strict [scopes]*cel.Env
}

// New returns an environment. It fails only if a result's name is not a valid
// variable.
func New(cfg Config) (*Env, error) {
	e := &Env{
		maxSource: cfg.MaxSource, costLimit: cfg.CostLimit,
		variables: make(map[string]*Variable),
	}
	if e.maxSource <= 0 {
		e.maxSource = DefaultMaxSource
	}
	if e.costLimit == 0 {
		e.costLimit = DefaultCostLimit
	}
	all := append(Variables(), cfg.Results...)
	for i := range all {
		e.variables[all[i].Name] = &all[i]
	}
	base, err := cel.NewCustomEnv(slices.Concat(
		[]cel.EnvOption{
			cel.StdLib(), cel.ClearMacros(), cel.Macros(e.macros()...),
			ext.Lists(ext.ListsMaxRangeSize(maxRange)), ext.Math(), ext.Sets(),
			cel.CustomTypeAdapter(adapter{}),
			cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
			cel.ParserExpressionSizeLimit(e.maxSource), cel.ParserRecursionLimit(100),
			cel.RegexProgramSizeLimit(maxRegexProgram),
			cel.Variable(secretsVariable, opaqueType),
		},
		allFunctions(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("environment of expressions: %w", err)
	}
	for s := range scopes {
		for strict, envs := range map[bool]*[scopes]*cel.Env{false: &e.lenient, true: &e.strict} {
			if envs[s], err = base.Extend(declare(all, s, strict)...); err != nil {
				return nil, fmt.Errorf("variables of expressions: %w", err)
			}
		}
	}
	return e, nil
}

const (
	// maxRange is the longest list that lists.range makes.
	maxRange = 10_000
	// maxRegexProgram bounds the compiled form of a regular expression, and of all that stand in one expression, in
	// instructions.
	maxRegexProgram = 10_000
)

func declare(all []Variable, s Scope, strict bool) []cel.EnvOption {
	var opts []cel.EnvOption
	for _, v := range all {
		if v.In(s) {
			opts = append(opts, cel.Variable(v.Name, v.Kind.celType(strict && v.Name != looseName)))
		}
	}
	return opts
}

// Problem is something wrong with an expression.
type Problem struct {
	// Offset is where, in bytes from the start of the text that was compiled.
	Offset int
	// Warning says that the expression compiles all the same.
	Warning bool
	// Message says what is wrong, and what to write instead if that is known.
	Message string
}

// Program is a compiled expression. It is immutable.
type program struct {
	env    *Env
	scope  Scope
	source string
	prg    cel.Program
	out    *cel.Type
	reads  []string
	fast   fastTest // nil if the expression is more than usual
	text   fastText // as above
	needs  []Need   // what it fails without
	asks   []string // what it asks for

	patterns int
}

// Patterns returns the size of the regular expressions that it holds, as PatternSize counts.
func (p *program) Patterns() int { return p.patterns }

// Reads returns the variables that the expression names, sorted.
func (p *program) Reads() []string { return p.reads }

// String returns the expression's text.
func (p *program) String() string { return p.source }

// Bool is an expression that is true or false.
type Bool struct{ program }

// Value is an expression of any type.
type Value struct{ program }

// Bool compiles a rule's expression. With a problem that is no warning it
// returns nil.
func (e *Env) Bool(source string, s Scope) (*Bool, []Problem) {
	p, problems := e.compile(source, s)
	if p == nil {
		return nil, problems
	}
	if out := e.strictly(p); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, append(problems, Problem{Message: "the expression gives " + out.String() + ", and true or false is needed"})
	}
	return &Bool{*p}, problems
}

// Value compiles an expression of any type. With a problem that is no warning
// it returns nil.
func (e *Env) Value(source string, s Scope) (*Value, []Problem) {
	p, problems := e.compile(source, s)
	if p == nil {
		return nil, problems
	}
	return &Value{*p}, problems
}

func (e *Env) compile(source string, s Scope) (*program, []Problem) {
	if len(source) > e.maxSource {
		return nil, []Problem{{Message: fmt.Sprintf("the expression has %d bytes, and at most %d are allowed", len(source), e.maxSource)}}
	}
	if i := strings.Index(source, "${"); i >= 0 && !quoted(source, i) {
		return nil, []Problem{{Offset: i, Message: "an expression is written without ${ }"}}
	}
	checked, issues := e.lenient[s].Compile(source)
	if issues.Err() != nil {
		return nil, e.problems(source, issues, s)
	}
	p := &program{env: e, scope: s, source: source, out: checked.OutputType(), reads: e.names(checked), patterns: patternSize(checked)}
	if p.patterns > maxRegexProgram {
		return nil, []Problem{tooLarge(0)}
	}
	var problems []Problem
	if e.loose(p.reads) {
		if _, issues := e.strict[s].Compile(source); issues.Err() != nil {
			for _, w := range e.problems(source, issues, s) {
				w.Warning = true
				w.Message = "a number is used as something else, which never holds: " + w.Message
				problems = append(problems, w)
			}
		}
	}
	for _, name := range p.reads {
		if v := e.variables[name]; v.Alias != "" {
			problems = append(problems, Problem{Offset: max(strings.Index(source, name), 0), Warning: true, Message: name + " is an older name; write " + v.Alias})
		}
	}
	p.needs, p.asks = e.presence(source, checked)
	var err error
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if cost, err := e.lenient[s].EstimateCost(checked, sizes{}); err != nil || cost.Max > e.costLimit || grows(checked.NativeRep()) {
		opts = append(opts, cel.CostTracking(meter{}), cel.CostLimit(e.costLimit))
	}
	if p.prg, err = e.lenient[s].Program(checked, opts...); err != nil {
		return nil, append(problems, Problem{Message: err.Error()})
	}
	switch c := (fast{ast: checked.NativeRep(), env: e}); {
	case p.out.IsExactType(cel.BoolType):
		p.fast = c.test(checked.NativeRep().Expr())
	case p.out.IsExactType(cel.StringType):
		p.text = c.text(checked.NativeRep().Expr())
	}
	return p, problems
}

// loose reports whether one of the names is a number.
func (e *Env) loose(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		k := e.variables[n].Kind
		return k == KindInt || k == KindFloat
	})
}

// names returns the declared variables that an expression reads.
func (e *Env) names(checked *cel.Ast) []string {
	var names []string
	for _, r := range checked.NativeRep().ReferenceMap() {
		if _, ok := e.variables[r.Name]; ok && r.Value == nil {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var undeclared = regexp.MustCompile(`undeclared reference to '([^']*)'`)

// problems turns what the compiler says into problems.
func (e *Env) problems(source string, issues *cel.Issues, s Scope) []Problem {
	var list []Problem
	lines := strings.SplitAfter(source, "\n")
	for _, err := range issues.Errors() {
		p := Problem{Message: strings.ReplaceAll(err.Message, " (in container '')", "")}
		for i := 0; i < err.Location.Line()-1 && i < len(lines); i++ {
			p.Offset += len(lines[i])
		}
		p.Offset = min(p.Offset+columnBytes(source[min(p.Offset, len(source)):], err.Location.Column()), len(source))
		if m := undeclared.FindStringSubmatch(p.Message); m != nil {
			p.Offset, p.Message = e.unknown(m[1], source, p.Offset, s)
		} else if strings.HasSuffix(p.Message, "does not support field selection") {
			p.Offset, p.Message = e.unknown("", source, p.Offset, s)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		list = append(list, Problem{Message: issues.Err().Error()})
	}
	list = firstSyntax(list)
	for i, p := range list {
		list[i].Message = inWords(p.Message, source, p.Offset)
	}
	return list
}

// columnBytes turns a column in code points into bytes.
func columnBytes(line string, column int) int {
	for i := range line {
		if column--; column < 0 {
			return i
		}
	}
	return len(line)
}

// ErrCost is the cause of an evaluation that would have cost too much.
var ErrCost = errors.New("the expression costs more than is allowed")

// eval runs the program.
func (p *program) eval(f *Frame) (ref.Val, error) {
	v, _, err := p.prg.Eval(f)
	return v, evalError(err)
}

// evalState runs a program that keeps its state, which is there even if it
// fails.
func (p *program) evalState(f *Frame) (ref.Val, interpreter.EvalState, error) {
	v, details, err := p.prg.Eval(f)
	return v, details.State(), evalError(err)
}

func evalError(err error) error {
	if c, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && c.Cause == interpreter.CostLimitExceeded {
		return ErrCost
	}
	return err
}

// Eval evaluates the expression. It fails where CEL does: a missing key, an
// index out of range, values of the wrong type, cost over the limit.
func (b *Bool) Eval(f *Frame) (bool, error) {
	if b.fast != nil {
		if o := b.fast(f); o == yes || o == no {
			return o == yes, nil
		}
	}
	v, err := b.eval(f)
	if err != nil {
		return false, err
	}
	return truth(v)
}

// Holds reports whether the expression is true. One that fails is not.
func (b *Bool) Holds(f *Frame) bool {
	if b.fast != nil {
		if o := b.fast(f); o != unsure {
			return o == yes
		}
	}
	v, err := b.eval(f)
	if err != nil {
		return false
	}
	held, err := truth(v)
	return held && err == nil
}

// Eval evaluates the expression to a Go value: string, bool, int64, uint64,
// float64, []byte, time.Time, time.Duration, nil, []any or map[string]any.
func (v *Value) Eval(f *Frame) (any, error) {
	out, err := v.eval(f)
	if err != nil {
		return nil, err
	}
	return native(out)
}

// Text evaluates the expression to its text form (see Text).
func (v *Value) Text(f *Frame) (string, error) {
	if v.text != nil {
		if s, o := v.text(f); o == yes {
			return s, nil
		}
	}
	out, err := v.eval(f)
	if err != nil {
		return "", err
	}
	return textForm(out)
}

// Now is what time.now holds at a time.
func Now(t time.Time) string { return t.UTC().Format(time.RFC3339) }
