package tty

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Lookup finds the value of an environment variable.
type Lookup func(name string) (value string, ok bool)

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits an int
}

// Size returns the size of the terminal w in characters; ok is false if w is
// none. A terminal that does not know its size has 80 columns and 24 lines.
func Size(w io.Writer) (width, height int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor fits an int
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd())) //nolint:gosec // a descriptor fits an int
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24, true
	}
	return width, height, true
}

// Screen reports whether a terminal understands control sequences: whether its
// cursor may be moved. It says nothing about whether there is a terminal.
func Screen(env Lookup) bool {
	kind, ok := env("TERM")
	return !ok || kind != "dumb"
}

// Colours reports whether a terminal wants colours: it understands control
// sequences, and NO_COLOR is absent or empty. It says nothing about whether
// there is a terminal.
func Colours(env Lookup) bool {
	no, ok := env("NO_COLOR")
	return (!ok || no == "") && Screen(env)
}
