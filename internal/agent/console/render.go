package console

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/agent/stats"
)

// State is everything that the view shows. Empty rows are left out, except for
// those that a user always looks for.
type State struct {
	Program  string        // title, "culvert"
	Notice   string        // server's banner
	Status   string        // "connecting", "online", "reconnecting (reason)"
	Account  string        // account name, with the plan where there is one
	Version  string        // of the agent
	Region   string        // of the server
	Latency  time.Duration // last heartbeat's round trip; 0: none yet
	Forwards []Forward     // one per endpoint, in order
	Conns    stats.Snapshot
	Requests []Request // newest first
}

// Forward is one row of the Forwarding list.
type Forward struct {
	URL      string // empty: not online yet
	Name     string // shown in place of an empty URL
	Upstream string
	Binding  string // shown unless it is empty or "public"
	Pooled   bool
	Problem  string // why the endpoint is not online; empty: it is, or is about to be
}

// Request is one row of the HTTP Requests list.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Status int
	Took   time.Duration
}

// labelWidth is the width of the left column.
const labelWidth = 19

// Render lays the state out for a terminal of the given size. Sizes below 20
// columns or 4 lines are treated as that.
func Render(s State, width, height int) []string {
	width, height = max(width, 20), max(height, 4)
	lines := []string{title(s.Program, width), ""}
	if s.Notice != "" {
		lines = append(lines, printable(s.Notice), "")
	}
	lines = append(lines, row("Session Status", s.Status))
	if s.Account != "" {
		lines = append(lines, row("Account", s.Account))
	}
	lines = append(lines, row("Version", s.Version))
	if s.Region != "" {
		lines = append(lines, row("Region", s.Region))
	}
	lines = append(lines, row("Latency", latency(s.Latency)))
	for i, f := range s.Forwards {
		label := "Forwarding"
		if i > 0 {
			label = ""
		}
		lines = append(lines, row(label, forward(f)))
	}
	lines = append(lines, "",
		row("Connections", columns("ttl", "opn", "rt1", "rt5", "p50", "p90")),
		row("", columns(fmt.Sprint(s.Conns.Total), fmt.Sprint(s.Conns.Open),
			fmt.Sprintf("%.2f", s.Conns.Rate1), fmt.Sprintf("%.2f", s.Conns.Rate5),
			fmt.Sprintf("%.2f", s.Conns.P50.Seconds()), fmt.Sprintf("%.2f", s.Conns.P90.Seconds()))))
	if len(s.Requests) > 0 {
		lines = append(lines, "", "HTTP Requests", "-------------", "")
		for _, r := range s.Requests {
			lines = append(lines, request(r))
		}
	}
	if len(lines) > height {
		lines = lines[:height]
	}
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return lines
}

func title(program string, width int) string {
	const hint = "(Ctrl+C to quit)"
	gap := max(width-utf8.RuneCountInString(program)-len(hint), 1)
	return program + strings.Repeat(" ", gap) + hint
}

func row(label, text string) string {
	return fmt.Sprintf("%-*s%s", labelWidth, label, printable(text))
}

func columns(cells ...string) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "%-8s", c)
	}
	return strings.TrimRight(b.String(), " ")
}

func latency(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func forward(f Forward) string {
	from := f.URL
	if from == "" {
		from = f.Name
	}
	text := from + " -> " + f.Upstream
	var notes []string
	if f.Binding != "" && f.Binding != "public" {
		notes = append(notes, f.Binding)
	}
	if f.Pooled {
		notes = append(notes, "pooled")
	}
	switch {
	case f.Problem != "":
		notes = append(notes, f.Problem)
	case f.URL == "":
		notes = append(notes, "not online yet")
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

func request(r Request) string {
	return fmt.Sprintf("%s %-6s %-*s %d", r.At.Format("15:04:05.000"), printable(r.Method), 40, cut(printable(r.Path), 40), r.Status)
}

// cut shortens a line to width characters and marks the cut.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	runes := []rune(s)
	return string(runes[:width-1]) + "…"
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
