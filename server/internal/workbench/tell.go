package workbench

import (
	"fmt"
	"strings"
	"time"
)

// tell writes a report for people.
func (o Output) tell(w *strings.Builder, r *Report) {
	for _, p := range r.Phases {
		title := p.Phase
		if p.Event != nil {
			title += " " + shorten(*p.Event)
		}
		fmt.Fprintln(w, o.paint(bold, visible(title)))
		for _, rule := range p.Rules {
			o.rule(w, rule)
		}
		fmt.Fprintln(w)
	}
	if r.Sent != "" {
		to := "upstream"
		if r.To != "" {
			to = r.To
		}
		fmt.Fprintf(w, "%s\n%s", o.paint(bold, visible(to)+" gets"), indent(r.Sent))
	}
	o.outcome(w, r)
}

func (o Output) outcome(w *strings.Builder, r *Report) {
	switch {
	case r.Code != "":
		line := fmt.Sprintf("%s: %s (%s)", r.Outcome, r.Error, r.Code)
		if r.Status > 0 {
			line = fmt.Sprintf("%s: %d %s (%s)", r.Outcome, r.Status, r.Error, r.Code)
		}
		fmt.Fprintln(w, o.paint(red, visible(line)))
	case r.Answer == "" && r.To != "":
		fmt.Fprintln(w, o.paint(bold, visible("the connection goes to "+r.To)))
	case r.Answer == "":
		fmt.Fprintln(w, o.paint(bold, "the connection is "+r.Outcome))
	}
	if r.Answer != "" {
		fmt.Fprintf(w, "%s\n%s", o.paint(bold, r.Outcome), indent(r.Answer))
	}
}

var outcomeColours = map[string]string{matched: green, notMatched: yellow, notReached: faint}

func (o Output) rule(w *strings.Builder, r Rule) {
	name := ""
	if r.Name != "" {
		name = fmt.Sprintf(" %q", r.Name)
	}
	fmt.Fprintf(w, "  line %d%s: %s\n", r.Line, visible(name), o.paint(outcomeColours[r.Outcome], r.Outcome))
	for _, e := range r.Expressions {
		o.expression(w, e)
	}
	for _, a := range r.Actions {
		fmt.Fprintf(w, "    %s: %s %s\n", o.paint(bold, a.Type), a.verdict(), o.paint(faint, took(a.Microseconds)))
		for _, c := range a.Changes {
			fmt.Fprintf(w, "      %s\n", oneLine(c))
		}
	}
}

func (a Action) verdict() string {
	if a.Code == "" {
		return a.Verdict
	}
	return fmt.Sprintf("error %s (%s)", oneLine(a.Error), a.Code)
}

func (o Output) expression(w *strings.Builder, e Expression) {
	value := o.paint(yellow, "false")
	switch {
	case e.Error != "":
		value = o.paint(red, "error: "+oneLine(e.Error))
	case e.Held:
		value = o.paint(green, "true")
	}
	fmt.Fprintf(w, "    %s  → %s\n", oneLine(e.Expression), value)
	if len(e.Parts) == 0 {
		return
	}
	parts := e.Parts[:len(e.Parts)-1] // the last one is the whole
	width := 0
	for _, p := range parts {
		if n := len([]rune(p.Source)); n <= maxColumn {
			width = max(width, n)
		}
	}
	for _, p := range parts {
		value := p.Value
		if value == "" {
			value = `""`
		}
		fmt.Fprintf(w, "      %-*s = %s\n", width, oneLine(p.Source), oneLine(value))
	}
}

// maxColumn is the widest part that the values of others are aligned to.
const maxColumn = 60

func took(microseconds float64) string {
	return "(" + time.Duration(microseconds*1e3).Round(100*time.Nanosecond).String() + ")"
}

func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }

// indent sets a message off from what is said about it.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
			continue
		}
		b.WriteString("  " + visible(line))
	}
	return b.String() + "\n"
}
