package console

import "unicode/utf8"

// A style is how a part of a line is shown where colours are wanted, as the
// parameters of ECMA-48's SGR.
type style string

const (
	plain  style = ""
	bold   style = "1"
	good   style = "32" // green
	doubt  style = "33" // yellow
	bad    style = "31" // red
	linked style = "36" // cyan
)

// line is one line of the view. Its characters from the given one up to the
// other have a style.
type line struct {
	text     string
	from, to int
	style    style
}

// styled gives the whole text a style, but for the label in front of it.
func (l line) styled(s style) line {
	l.from, l.to, l.style = labelWidth, utf8.RuneCountInString(l.text), s
	return l
}

// cut shortens the line to width characters and marks the cut.
func (l line) cut(width int) line {
	l.text = cut(l.text, width)
	l.from, l.to = min(l.from, width), min(l.to, width)
	return l
}

// coloured is the line with its style as control sequences.
func (l line) coloured() string {
	if l.style == plain || l.from >= l.to {
		return l.text
	}
	runes := []rune(l.text)
	return string(runes[:l.from]) + "\x1b[" + string(l.style) + "m" + string(runes[l.from:l.to]) + "\x1b[0m" + string(runes[l.to:])
}

// ofStatus is the style of the session's state.
func ofStatus(status string) style {
	if status == "online" {
		return good
	}
	return doubt
}

// ofAnswer is the style of an HTTP status.
func ofAnswer(status int) style {
	switch {
	case status >= 500:
		return bad
	case status >= 400:
		return doubt
	}
	return good
}
