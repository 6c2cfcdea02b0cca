package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// errorPage is where the codes are explained.
const errorPage = "https://github.com/culvert-project/culvert/blob/main/docs/errors.md#"

// errSilent ends a command with exit code 1 after it has said itself what is
// wrong.
var errSilent = errors.New("exit with code 1")

// report is an error as it is shown: what failed, what to do, and the code.
type report struct {
	lines  []string // at least one
	remedy string
	code   string
}

// describe turns an error into a report.
func describe(err error) report {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return report{lines: []string{err.Error()}}
	}
	r := report{lines: []string{f.Message}, remedy: f.Remedy, code: string(f.Code)}
	if s, ok := errors.AsType[*agent.StartError](err); ok {
		r.lines[0] = wanted(s) + " could not be started: " + f.Message
	}
	if ps, ok := errors.AsType[strictyaml.Problems](err); ok && f.Code == fault.ConfigInvalid {
		r.lines = strings.Split(ps.Error(), "\n")
	}
	return r
}

// wanted names an endpoint as its user knows it: by its URL, else by the name
// that it was given.
func wanted(s *agent.StartError) string {
	switch _, host, _ := strings.Cut(s.URL, "://"); {
	case host != "":
		return s.URL
	case s.Name != defaultName:
		return "The endpoint " + s.Name
	}
	return "The endpoint"
}

// fail shows an error and returns the exit code.
func (p *Program) fail(err error) int {
	if errors.Is(err, errSilent) {
		return 1
	}
	r := describe(err)
	if p.jsonMode {
		p.failJSON(r)
		return 1
	}
	var b strings.Builder
	for _, l := range r.lines {
		fmt.Fprintf(&b, "ERROR:  %s\n", l)
	}
	if r.remedy != "" {
		for l := range strings.SplitSeq(r.remedy, "\n") {
			fmt.Fprintf(&b, "ERROR:  %s\n", l)
		}
	}
	if r.code != "" {
		fmt.Fprintf(&b, "ERROR:\nERROR:  %s\nERROR:  %s\n", r.code, errorPage+strings.ToLower(r.code))
	}
	fmt.Fprint(p.Stderr, b.String())
	return 1
}

// failJSON shows an error as one object on one line.
func (p *Program) failJSON(r report) {
	b, err := json.Marshal(struct {
		T      time.Time `json:"t"`
		Lvl    string    `json:"lvl"`
		Msg    string    `json:"msg"`
		Err    string    `json:"err"`
		Remedy string    `json:"remedy,omitempty"`
		Code   string    `json:"code,omitempty"`
	}{time.Now(), "crit", "command failed", strings.Join(r.lines, "\n"), r.remedy, r.code})
	if err != nil { // strings always encode
		return
	}
	fmt.Fprintln(p.Stderr, string(b))
}
