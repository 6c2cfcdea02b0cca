package console

import (
	"io"
	"slices"
	"strings"
	"sync"
)

// Control sequences of a terminal (ECMA-48 and the alternate screen of xterm).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // alternate screen, cursor hidden
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// Screen shows the view on a terminal. It takes the terminal over with the
// first Draw and gives it back with Close.
type Screen struct {
	w       io.Writer
	size    func() (width, height int)
	colours bool

	mu     sync.Mutex
	shown  bool   // guarded by mu
	closed bool   // guarded by mu
	last   []line // guarded by mu; what is on the screen
}

// NewScreen returns a screen on w, with colours or without. The function size is
// asked before each draw, so a window that changes its size is followed without
// any signal.
func NewScreen(w io.Writer, colours bool, size func() (width, height int)) *Screen {
	return &Screen{w: w, size: size, colours: colours}
}

// Draw shows the state. Nothing is written when the screen already shows it.
func (s *Screen) Draw(state State) {
	width, height := s.size()
	lines := layout(state, width, height)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || (s.shown && slices.Equal(s.last, lines)) {
		return
	}
	var b strings.Builder
	if !s.shown {
		b.WriteString(enterScreen)
	}
	b.WriteString(home)
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if s.colours {
			b.WriteString(l.coloured())
		} else {
			b.WriteString(l.text)
		}
		b.WriteString(clearLine)
	}
	b.WriteString(clearBelow)
	_, _ = io.WriteString(s.w, b.String())
	s.shown, s.last = true, lines
}

// Close gives the terminal back as it was. It is idempotent.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown && !s.closed {
		_, _ = io.WriteString(s.w, leaveScreen)
	}
	s.closed = true
}
