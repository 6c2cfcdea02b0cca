package expr

import (
	"regexp/syntax"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// PatternSize returns the size of a regular expression's compiled form, in instructions; 0 of one that does not compile.
// A pattern of few bytes may have very many, and it is these that compiling and keeping it cost.
func PatternSize(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	p, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(p.Inst)
}

// patternSize sums the patterns that an expression holds, up to the first sum that is too much.
func patternSize(checked *cel.Ast) (sum int) {
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind || x.AsCall().FunctionName() != "matches" || sum > maxRegexProgram {
			return
		}
		args := x.AsCall().Args()
		if last := args[len(args)-1]; last.Kind() == ast.LiteralKind {
			if s, ok := last.AsLiteral().(types.String); ok {
				sum += PatternSize(string(s))
			}
		}
	}))
	return sum
}

func tooLarge(at int) Problem {
	return Problem{Offset: at, Message: "the regular expressions in it are too large; shorten them, or their repetitions such as {1000}"}
}
