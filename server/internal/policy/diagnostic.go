package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

// Diagnostic is something wrong with a document, or a warning.
type Diagnostic struct {
	// File is the document's name as given to Parse; it may be empty.
	File string `json:"file,omitempty"`
	// Line and Column are where, from 1; 0 if the document as a whole is meant.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the part, such as on_http_request[0].actions[1].config.headers.
	Path string `json:"path,omitempty"`
	// Code names the kind of mistake (traffic-policy.md 3.1).
	Code fault.Code `json:"code"`
	// Message says what is wrong and, where it is known, what to write instead.
	Message string `json:"message"`
	// Warning says that the document is accepted all the same.
	Warning bool `json:"warning,omitempty"`
}

// String returns the diagnostic on one line, as compilers print theirs.
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File + ":")
	}
	if d.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", d.Line, d.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if d.Warning {
		b.WriteString("warning: ")
	}
	if d.Path != "" {
		b.WriteString(d.Path + ": ")
	}
	fmt.Fprintf(&b, "%s (%s)", d.Message, d.Code)
	return b.String()
}

// Diagnostics are in the order of the document.
type Diagnostics []Diagnostic

// Failed reports whether one of them is no warning.
func (ds Diagnostics) Failed() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return !d.Warning })
}

// Errors returns those that are no warnings.
func (ds Diagnostics) Errors() Diagnostics {
	return slices.DeleteFunc(slices.Clone(ds), func(d Diagnostic) bool { return d.Warning })
}

// Error returns all of them, a line each.
func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns them by position.
func (ds Diagnostics) sorted() Diagnostics {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return ds
}
