package main

import (
	"fmt"
	"io"

	"github.com/culvert-project/culvert/internal/report"
)

// printError writes err for a person. Joined errors follow each other.
func printError(w io.Writer, err error) {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // only a join at the top is several errors
	if !ok {
		report.Of(err).Write(w)
		return
	}
	for i, e := range joined.Unwrap() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printError(w, e)
	}
}
