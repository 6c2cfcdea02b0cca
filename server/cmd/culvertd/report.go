package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// errorPage is where the codes are explained.
const errorPage = "https://github.com/culvert-project/culvert/blob/main/docs/errors.md#"

// printError writes err for a person: what is wrong, what to do, and the code.
// Joined errors follow each other.
func printError(w io.Writer, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only a join at the top is several errors
		for i, e := range joined.Unwrap() {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printError(w, e)
		}
		return
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		fmt.Fprintf(w, "ERROR:  %v\n", err)
		return
	}
	var b strings.Builder
	if ps, ok := errors.AsType[strictyaml.Problems](err); ok {
		for line := range strings.SplitSeq(ps.Error(), "\n") {
			fmt.Fprintf(&b, "ERROR:  %s\n", line)
		}
	} else {
		fmt.Fprintf(&b, "ERROR:  %s\n", f.Message)
	}
	if f.Remedy != "" {
		fmt.Fprintf(&b, "ERROR:  %s\n", f.Remedy)
	}
	fmt.Fprintf(&b, "ERROR:\nERROR:  %s\nERROR:  %s\n", f.Code, errorPage+strings.ToLower(string(f.Code)))
	io.WriteString(w, b.String()) //nolint:errcheck // there is nowhere to say it
}
