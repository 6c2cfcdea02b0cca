package workbench

import (
	"fmt"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Diagnostic is a diagnostic as JSON shows it.
type Diagnostic struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 if the document as a whole is meant.
	Line     int        `json:"line"`
	Column   int        `json:"column"`
	Severity string     `json:"severity"` // error or warning
	Code     fault.Code `json:"code"`
	Path     string     `json:"path,omitempty"`
	Message  string     `json:"message"`
	Remedy   string     `json:"remedy"`
}

func diagnosticOf(d policy.Diagnostic) Diagnostic {
	out := Diagnostic{
		File: d.File, Line: d.Line, Column: d.Column, Severity: "error", Code: d.Code,
		Path: d.Path, Message: d.Message, Remedy: remedy(d.Code),
	}
	if d.Warning {
		out.Severity = "warning"
	}
	return out
}

func diagnosticsOf(ds policy.Diagnostics) []Diagnostic {
	out := make([]Diagnostic, len(ds))
	for i, d := range ds {
		out[i] = diagnosticOf(d)
	}
	return out
}

// judge parses and compiles a document.
func (b *Bench) judge(f File, t policy.Target) (*policy.Program, policy.Diagnostics) {
	return b.compiler.CompileText(f.Name, f.Text, t)
}

// Check judges documents for a target and reports whether all of them are
// sound; warnings are.
func (b *Bench) Check(o Output, files []File, t policy.Target) (sound bool, err error) {
	t.Check = true
	all := []Diagnostic{}
	var text strings.Builder
	errors, warnings := 0, 0
	for _, f := range files {
		_, found := b.judge(f, t)
		for _, d := range found {
			if d.Warning {
				warnings++
			} else {
				errors++
			}
			o.diagnostic(&text, f, d)
		}
		all = append(all, diagnosticsOf(found)...)
	}
	if o.JSON {
		return errors == 0, o.json(struct {
			Sound       bool         `json:"sound"`
			Diagnostics []Diagnostic `json:"diagnostics"`
		}{errors == 0, all})
	}
	verdict := o.paint(green, "sound")
	if errors > 0 {
		verdict = o.paint(red, "refused")
	}
	fmt.Fprintf(&text, "%s: %s, %s in %s\n", verdict, count(errors, "error"), count(warnings, "warning"), count(len(files), "file"))
	return errors == 0, o.write(text.String())
}

// diagnostic writes a diagnostic with the line that it is about.
func (o Output) diagnostic(w *strings.Builder, f File, d policy.Diagnostic) {
	where := d.File
	if d.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
	}
	severity := o.paint(red, "error")
	if d.Warning {
		severity = o.paint(yellow, "warning")
	}
	fmt.Fprintf(w, "%s: %s: %s\n", o.paint(bold, visible(where)), severity, visible(d.Message))
	if line, ok := lineOf(f.Text, d.Line); ok {
		o.excerpt(w, line, d)
	}
	detail := string(d.Code)
	if d.Path != "" {
		detail = d.Path + "  " + detail
	}
	fmt.Fprintf(w, "  %s\n  %s\n\n", remedy(d.Code), o.paint(faint, visible(detail)))
}

// maxExcerpt is how many characters of a line are shown.
const maxExcerpt = 160

// excerpt shows a line with a caret below the column.
func (o Output) excerpt(w *strings.Builder, line string, d policy.Diagnostic) {
	runes := []rune(visible(strings.TrimRight(line, "\r")))
	at := min(max(d.Column-1, 0), len(runes))
	from := max(0, at-maxExcerpt/2)
	to := min(len(runes), from+maxExcerpt)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(runes[from:at]))
	number := fmt.Sprint(d.Line)
	fmt.Fprintf(w, "  %s | %s\n", number, string(runes[from:to]))
	fmt.Fprintf(w, "  %s | %s%s\n", strings.Repeat(" ", len(number)), pad, o.paint(red, "^"))
}

func lineOf(text []byte, n int) (string, bool) {
	if n < 1 {
		return "", false
	}
	i := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if i++; i == n {
			return line, true
		}
	}
	return "", false
}

// remedies are the next steps after mistakes that the manual has a page for.
var remedies = map[fault.Code]string{
	fault.ExpressionInvalid:    "What expressions can read and call: docs/policy/variables.md, docs/policy/functions.md.",
	fault.TemplateInvalid:      "What expressions can read and call: docs/policy/variables.md, docs/policy/functions.md.",
	fault.ActionUnknown:        "docs/actions/ has a page for each action.",
	fault.ActionPhase:          "Move the action to a phase that it names; docs/policy/concepts.md explains the phases.",
	fault.ActionScheme:         "Use the action on an endpoint of another scheme, or another action.",
	fault.ActionConfigInvalid:  "The settings of an action stand on its page in docs/actions/.",
	fault.PolicyElementMissing: "The settings of an action stand on its page in docs/actions/.",
	fault.ActionUnreachable:    "Move it before what ends the phase, or remove it.",
	fault.ActionNotBuilt:       "Leave it out, or wait for a version that has it: an endpoint with it is refused.",
	fault.PhaseUnavailable:     "Remove the phase, or check for another scheme.",
	fault.PolicyMayNotAnswer:   "Add a last rule without expressions that answers.",
	fault.PolicyInvalid:        "docs/policy/concepts.md shows the form of a document.",
	fault.PolicyWithoutAction:  "Add an action to the rule.",
	fault.PatternInvalid:       "Patterns have the syntax of RE2: https://github.com/google/re2/wiki/Syntax.",
}

// remedy says what to do about a kind of mistake.
func remedy(c fault.Code) string {
	if r, ok := remedies[c]; ok {
		return r
	}
	return "Correct the value at this place."
}
