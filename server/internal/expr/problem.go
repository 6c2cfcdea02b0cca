package expr

import (
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
)

var (
	overload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(?:([^']*)\.)?\(([^']*)\)'$`)
	operator = regexp.MustCompile(`^_?(!|-|@?in|[-+*/%<>=&|!]+)_?$`)
	token    = regexp.MustCompile(`^Syntax error: token recognition error at: '(?s)(.*)'$`)
	input    = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '(?s)(.*?)' expecting `)
	viable   = regexp.MustCompile(`^Syntax error: no viable alternative at input '(?s)(.*)'$`)
)

// inWords says what a message of the compiler means to somebody who writes an
// expression, in which source it is about the byte at offset.
func inWords(message, source string, offset int) string {
	if m := token.FindStringSubmatch(message); m != nil {
		switch rest := source[min(offset, len(source)):]; {
		case strings.HasPrefix(rest, "'"), strings.HasPrefix(rest, `"`):
			return "the quote that opens here is not closed"
		case strings.HasPrefix(rest, "&"):
			return "& is no operator; write && for and"
		case strings.HasPrefix(rest, "|"):
			return "| is no operator; write || for or"
		case strings.HasPrefix(rest, "="):
			return "= is no operator; write == to compare"
		}
		return strings.TrimSpace(m[1]) + " has no meaning in an expression"
	}
	if m := input.FindStringSubmatch(message); m != nil {
		if m[1] == "<EOF>" {
			return "the expression ends too early"
		}
		return m[1] + " is not expected here"
	}
	if m := viable.FindStringSubmatch(message); m != nil {
		if strings.TrimSpace(source[min(offset, len(source)):]) == "" {
			return "the expression ends too early"
		}
		return m[1] + " is not expected here"
	}
	if missing, ok := strings.CutPrefix(message, "Syntax error: missing "); ok {
		what, at, _ := strings.Cut(missing, " at ")
		if at == "'<EOF>'" {
			return "the expression ends too early: " + strings.Trim(what, "'") + " is missing"
		}
		return strings.Trim(what, "'") + " is missing before " + strings.Trim(at, "'")
	}
	if m := overload.FindStringSubmatch(message); m != nil {
		return cannot(m[1], m[2], m[3])
	}
	return message
}

// cannot says that a function or operator does not take values of these types.
func cannot(function, receiver, arguments string) string {
	takes := strings.Split(arguments, ", ")
	if arguments == "" {
		takes = nil
	}
	if m := operator.FindStringSubmatch(function); m != nil {
		return strings.TrimPrefix(m[1], "@") + " does not take " + strings.Join(takes, " and ") + "; types are converted by string(), int() and double()"
	}
	text := function + " does not take "
	if takes == nil {
		text += "no argument"
	} else {
		text += strings.Join(takes, " and ")
	}
	if receiver != "" {
		text += " on " + receiver
	}
	return text + usage(function)
}

// usage returns how a function is called, if it is known.
func usage(function string) string {
	var ways []string
	for _, f := range Functions() {
		if f.Name == function || strings.HasSuffix(f.Name, "."+function) && strings.HasPrefix(f.Signature, "T.") {
			ways = append(ways, f.Signature)
		}
	}
	if len(ways) == 0 {
		return ""
	}
	return "; write " + strings.Join(ways, " or ")
}

// called explains the name of a function that is not declared; empty if there
// is none like it.
func called(name string) string {
	if way := usage(name); way != "" {
		return name + " does not take these arguments" + way
	}
	best := Nearest(name, func(yield func(string) bool) {
		for _, f := range Functions() {
			if !yield(f.Name) {
				return
			}
		}
	})
	if best == "" {
		return ""
	}
	return "there is no function " + name + "; did you mean " + best + "?"
}

// strictly is the type that a program gives, where numbers are taken for dyn the
// one that they have.
func (e *Env) strictly(p *program) *cel.Type {
	if p.out.IsExactType(cel.DynType) && e.loose(p.reads) {
		if checked, issues := e.strict[p.scope].Compile(p.source); issues.Err() == nil {
			return checked.OutputType()
		}
	}
	return p.out
}

// firstSyntax drops what the compiler says behind the first error of syntax,
// which is about its own guesses.
func firstSyntax(list []Problem) []Problem {
	slices.SortStableFunc(list, func(a, b Problem) int { return a.Offset - b.Offset })
	if i := slices.IndexFunc(list, func(p Problem) bool { return strings.HasPrefix(p.Message, "Syntax error: token") }); i >= 0 {
		return list[i : i+1]
	}
	if i := slices.IndexFunc(list, func(p Problem) bool { return strings.HasPrefix(p.Message, "Syntax error: ") }); i >= 0 {
		return list[i : i+1]
	}
	return list
}
