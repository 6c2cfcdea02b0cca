package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/report"
)

// errSilent ends a command with exit code 1 after it has said itself what is
// wrong.
var errSilent = errors.New("exit with code 1")

// errExit ends a command with the exit code of a program that it has run, which
// has said itself what is wrong.
type errExit int

// Error implements error.
func (e errExit) Error() string { return fmt.Sprintf("exit with code %d", int(e)) }

// describe turns an error into a report.
func describe(err error) report.Report {
	r := report.Of(err)
	if s, ok := errors.AsType[*agent.StartError](err); ok && r.Code != "" {
		r.Lines[0] = wanted(s) + " could not be started: " + r.Lines[0]
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
	if code, ok := errors.AsType[errExit](err); ok {
		return int(code)
	}
	r := describe(err)
	if p.jsonMode {
		p.failJSON(r)
		return 1
	}
	r.Write(p.Stderr)
	return 1
}

// failJSON shows an error as one object on one line.
func (p *Program) failJSON(r report.Report) {
	b, err := json.Marshal(struct {
		T      time.Time `json:"t"`
		Lvl    string    `json:"lvl"`
		Msg    string    `json:"msg"`
		Err    string    `json:"err"`
		Remedy string    `json:"remedy,omitempty"`
		Code   string    `json:"code,omitempty"`
	}{time.Now(), "crit", "command failed", strings.Join(r.Lines, "\n"), r.Remedy, r.Code})
	if err != nil { // strings always encode
		return
	}
	fmt.Fprintln(p.Stderr, string(b))
}
