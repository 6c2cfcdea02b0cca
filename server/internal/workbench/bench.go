package workbench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// Bench works on policies.
type Bench struct {
	registry *policy.Registry
	compiler *policy.Compiler
}

// New returns a bench for the actions of a registry.
func New(r *policy.Registry) (*Bench, error) {
	c, err := policy.NewCompiler(r)
	if err != nil {
		return nil, err
	}
	return &Bench{registry: r, compiler: c}, nil
}

// Output is where results go.
type Output struct {
	W io.Writer
	// JSON writes one JSON value in place of text for people.
	JSON bool
	// Colours marks text with the colours of terminals.
	Colours bool
}

// File is a text and the name under which it is spoken of.
type File struct {
	Name string
	Text []byte
}

// colours of terminals.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	faint  = "2"
)

// paint returns text in a colour, if there are colours.
func (o Output) paint(colour, text string) string {
	if !o.Colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// write writes text.
func (o Output) write(text string) error {
	if _, err := io.WriteString(o.W, text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// json writes a value as JSON that people can read too.
func (o Output) json(v any) error {
	e := json.NewEncoder(o.W)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// visible replaces control characters other than newline, so that nobody's
// document or request moves the cursor of a terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
