package report

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// page is where the codes are explained.
const page = "https://github.com/culvert-project/culvert/blob/main/docs/errors.md#"

// Report is an error as it is shown.
type Report struct {
	// Lines say what is wrong; there is one at least.
	Lines []string
	// Remedy says what to do, on one line or more; Code is the fault's. Both are
	// empty for an error that is no fault.
	Remedy, Code string
}

// Of returns the report of an error. Problems of a file have a line each.
func Of(err error) Report {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return Report{Lines: []string{err.Error()}}
	}
	r := Report{Lines: []string{f.Message}, Remedy: f.Remedy, Code: string(f.Code)}
	if ps, ok := errors.AsType[strictyaml.Problems](err); ok {
		r.Lines = strings.Split(ps.Error(), "\n")
	}
	return r
}

// Write shows the report on w. What cannot be written is lost: there is nowhere
// to say it.
func (r Report) Write(w io.Writer) {
	lines := r.Lines
	if r.Remedy != "" {
		lines = append(lines[:len(lines):len(lines)], strings.Split(r.Remedy, "\n")...)
	}
	if r.Code != "" {
		lines = append(lines[:len(lines):len(lines)], "", r.Code, page+strings.ToLower(r.Code))
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight("ERROR:  "+l, " ") + "\n")
	}
	fmt.Fprint(w, b.String())
}
