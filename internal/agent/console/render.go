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
	Status   string        // "connecting", "online", "reconnecting"
	Trouble  Trouble       // why the session is not online
	Account  string        // account name, with the plan where there is one
	Version  string        // of the agent
	Region   string        // of the server
	Latency  time.Duration // last heartbeat's round trip; 0: none yet
	Forwards []Forward     // one per endpoint, in order
	Conns    stats.Snapshot
	Requests []Request // newest first
}

// Trouble is why the session is not online, what to do, and when the agent
// tries again. The zero value is none.
type Trouble struct {
	Cause, Remedy, Code string
	RetryIn             time.Duration // 0: no attempt is due
}

// Forward is one row of the Forwarding list.
type Forward struct {
	URL      string // empty: not online yet
	Name     string // shown in place of an empty URL
	Upstream string
	Binding  string // shown unless it is empty or "public"
	Pooled   bool
	Problem  string // why the endpoint is not online; empty: it is, or is about to be
	Down     string // why the upstream cannot be reached; empty: it can, as far as is known
}

// Request is one row of the HTTP Requests list.
type Request struct {
	At     time.Time
	Name   string // of the endpoint; shown where there are several
	Method string
	Path   string
	Status int
	Took   time.Duration
}

// labelWidth is the width of the left column.
const labelWidth = 19

// Render lays the state out for a terminal of the given size, as text alone.
// Sizes below 20 columns or 4 lines are treated as that.
func Render(s State, width, height int) []string {
	lines := layout(s, width, height)
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.text
	}
	return texts
}

// layout is Render with the lines' styles.
func layout(s State, width, height int) []line {
	width, height = max(width, 20), max(height, 4)
	lines := []line{title(s.Program, width), {}}
	if s.Notice != "" {
		lines = append(lines, line{text: printable(s.Notice)}, line{})
	}
	lines = append(lines, row("Session Status", s.Status).styled(ofStatus(s.Status)))
	lines = append(lines, trouble(s.Trouble, width)...)
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
		lines = append(lines, forward(label, f, width)...)
	}
	for _, f := range s.Forwards {
		if f.Down != "" {
			lines = append(lines, rows("Upstream", f.Upstream+" cannot be reached: "+f.Down, width, bad)...)
		}
	}
	lines = append(lines, line{},
		row("Connections", columns("ttl", "opn", "rt1", "rt5", "p50", "p90")),
		row("", columns(fmt.Sprint(s.Conns.Total), fmt.Sprint(s.Conns.Open),
			fmt.Sprintf("%.2f", s.Conns.Rate1), fmt.Sprintf("%.2f", s.Conns.Rate5),
			fmt.Sprintf("%.2f", s.Conns.P50.Seconds()), fmt.Sprintf("%.2f", s.Conns.P90.Seconds()))))
	if len(s.Requests) > 0 {
		lines = append(lines, line{}, line{text: "HTTP Requests"}, line{text: "-------------"}, line{})
		for _, r := range s.Requests {
			lines = append(lines, request(r, len(s.Forwards) > 1))
		}
	}
	if len(lines) > height {
		lines = lines[:height]
	}
	for i := range lines {
		lines[i] = lines[i].cut(width)
	}
	return lines
}

func title(program string, width int) line {
	const hint = "(Ctrl+C to quit)"
	gap := max(width-utf8.RuneCountInString(program)-len(hint), 1)
	return line{program + strings.Repeat(" ", gap) + hint, 0, utf8.RuneCountInString(program), bold}
}

func row(label, text string) line {
	return line{text: fmt.Sprintf("%-*s%s", labelWidth, label, printable(text))}
}

// rows is row with the text on as many lines as it needs.
func rows(label, text string, width int, s style) []line {
	var lines []line
	for _, l := range wrap(printable(text), max(width-labelWidth, 1)) {
		lines = append(lines, row(label, l).styled(s))
		label = ""
	}
	return lines
}

// wrap breaks text at blanks into lines of at most width characters, and words
// that are longer than that anywhere: nothing is lost.
func wrap(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if used > 0 && used+1+n <= width {
			line, used = line+" "+word, used+1+n
			continue
		}
		if used > 0 {
			lines = append(lines, line)
		}
		runes := []rune(word)
		for ; len(runes) > width; runes = runes[width:] {
			lines = append(lines, string(runes[:width]))
		}
		line, used = string(runes), len(runes)
	}
	return append(lines, line)
}

// trouble says why there is no session and what to do about it.
func trouble(t Trouble, width int) []line {
	if t == (Trouble{}) {
		return nil
	}
	lines := rows("", t.Cause, width, bad)
	if t.Remedy != "" {
		lines = append(lines, rows("", t.Remedy, width, plain)...)
	}
	if t.Code != "" {
		lines = append(lines, row("", t.Code))
	}
	if t.RetryIn > 0 {
		seconds := (t.RetryIn + time.Second - 1) / time.Second
		lines = append(lines, rows("", fmt.Sprintf("Next try in %d s. \"culvert diagnose\" finds the cause.", seconds), width, plain)...)
	}
	return lines
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

// forward is an endpoint's row. Where it is too long, the upstream and the notes
// have lines of their own: a URL that is cut is of no use.
func forward(label string, f Forward, width int) []line {
	from, how := f.URL, linked
	if from == "" {
		from, how = f.Name, plain
	}
	if f.Problem != "" {
		how = bad
	}
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
	note := ""
	if len(notes) > 0 {
		note = "(" + strings.Join(notes, ", ") + ")"
	}
	whole := strings.TrimSpace(from + " -> " + f.Upstream + " " + note)
	if utf8.RuneCountInString(whole) <= width-labelWidth {
		l := row(label, whole).styled(how)
		if f.Problem == "" {
			l.to = labelWidth + utf8.RuneCountInString(printable(from))
		}
		return []line{l}
	}
	lines := append(rows(label, from, width, how), rows("", "-> "+f.Upstream, width, plain)...)
	if note != "" {
		if f.Problem == "" {
			how = plain
		}
		lines = append(lines, rows("", note, width, how)...)
	}
	return lines
}

func request(r Request, named bool) line {
	name := ""
	if named {
		name = fmt.Sprintf("%-12s ", cut(printable(r.Name), 12))
	}
	status := fmt.Sprint(r.Status)
	before := fmt.Sprintf("%s %s%-6s %-*s ", r.At.Format("15:04:05.000"), name, printable(r.Method), 40, cut(printable(r.Path), 40))
	from := utf8.RuneCountInString(before)
	return line{before + status, from, from + utf8.RuneCountInString(status), ofAnswer(r.Status)}
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
