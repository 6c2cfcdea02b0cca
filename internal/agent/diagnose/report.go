package diagnose

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// State is the outcome of one check.
type State string

// The outcomes.
const (
	OK   State = "OK"
	Warn State = "WARN" // worth knowing; the agent works
	Err  State = "ERR"
)

// Check is one thing that was looked at.
type Check struct {
	Stage  string        `json:"stage"`
	Name   string        `json:"name"`
	State  State         `json:"state"`
	Detail string        `json:"detail,omitempty"`
	Took   time.Duration `json:"took_ns,omitempty"`
	Code   string        `json:"code,omitempty"`
	Remedy string        `json:"remedy,omitempty"`
}

// Report is everything that was found out.
type Report struct {
	Time        time.Time         `json:"time"`
	Version     string            `json:"version"`
	Platform    string            `json:"platform"`
	Server      string            `json:"server"`
	Region      string            `json:"region,omitempty"`
	Latency     time.Duration     `json:"latency_ns,omitempty"`
	Proxy       string            `json:"proxy,omitempty"`
	Files       []string          `json:"config_files,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Checks      []Check           `json:"checks"`
}

// Failed reports whether a check failed.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.State == Err })
}

// add notes a check.
func (r *Report) add(stage, name string, state State, took time.Duration, detail string) {
	r.Checks = append(r.Checks, Check{Stage: stage, Name: name, State: state, Took: took, Detail: detail})
}

// fail notes a check that found a fault.
func (r *Report) fail(stage, name string, state State, took time.Duration, err error) {
	c := Check{Stage: stage, Name: name, State: state, Took: took, Detail: err.Error()}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		c.Detail, c.Code, c.Remedy = f.Message, string(f.Code), f.Remedy
	}
	r.Checks = append(r.Checks, c)
}

// WriteText writes the report for people: the checks by stage, then the
// problems with what to do about them.
func (r *Report) WriteText(w io.Writer) {
	stage := ""
	for _, c := range r.Checks {
		if c.Stage != stage {
			stage = c.Stage
			fmt.Fprintf(w, "%s\n", stage)
		}
		detail := c.Detail
		if c.State != OK {
			detail = ""
		}
		line := fmt.Sprintf("  %-4s  %-18s %s", c.State, c.Name, detail)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	problems := slices.DeleteFunc(slices.Clone(r.Checks), func(c Check) bool { return c.State == OK })
	if len(problems) == 0 {
		fmt.Fprintf(w, "\nEverything works: region %s, latency %s.\n", orDash(r.Region), r.Latency.Round(10*time.Microsecond))
		return
	}
	fmt.Fprintln(w, "\nProblems")
	for _, c := range problems {
		fmt.Fprintf(w, "  %s: %s\n    %s\n", c.Stage, c.Name, c.Detail)
		if c.Remedy != "" {
			fmt.Fprintf(w, "    %s\n", c.Remedy)
		}
		if c.Code != "" {
			fmt.Fprintf(w, "    %s\n", c.Code)
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Environment picks the variables that matter to the agent out of a list of
// NAME=value, and removes secrets from them.
func Environment(env []string) map[string]string {
	out := map[string]string{}
	for _, kv := range env {
		name, value, ok := strings.Cut(kv, "=")
		upper := strings.ToUpper(name)
		if !ok || !(strings.HasPrefix(upper, "CULVERT_") || strings.HasPrefix(upper, "NGROK_") || strings.HasSuffix(upper, "_PROXY")) {
			continue
		}
		out[name] = withoutSecrets(upper, value)
	}
	return out
}

func withoutSecrets(name, value string) string {
	for _, word := range []string{"TOKEN", "KEY", "SECRET", "PASSWORD", "AUTH"} {
		if strings.Contains(name, word) && !strings.HasSuffix(name, "_FILE") {
			return "(set)"
		}
	}
	return RedactURL(value)
}

// RedactURL removes user name and password from a URL. Text that has an "@" and
// is not a URL is hidden as a whole.
func RedactURL(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "(hidden)"
	}
	u.User = nil
	return u.String()
}
