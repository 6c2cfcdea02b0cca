package main

import (
	"io"
	"testing"
)

func TestColours(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, variable, value string
		terminal, want        bool
	}{
		{"a terminal", "TERM", "xterm", true, true},
		{"a pipe", "TERM", "xterm", false, false},
		{"a dumb terminal", "TERM", "dumb", true, false},
		{"NO_COLOR", "NO_COLOR", "1", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &program{
				terminal: func(io.Writer) bool { return tt.terminal },
				getenv:   func(name string) (string, bool) { return tt.value, name == tt.variable },
			}
			if got := p.colours(io.Discard); got != tt.want {
				t.Errorf("colours = %v, want %v", got, tt.want)
			}
		})
	}
}
