package tty_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/culvert-project/culvert/internal/tty"
)

func TestRule(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		env             map[string]string
		screen, colours bool
	}{
		{"nothing", nil, true, true},
		{"a usual terminal", map[string]string{"TERM": "xterm"}, true, true},
		{"NO_COLOR", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true, false},
		{"NO_COLOR empty", map[string]string{"NO_COLOR": ""}, true, true},
		{"dumb", map[string]string{"TERM": "dumb"}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }
			if got := tty.Screen(env); got != tt.screen {
				t.Errorf("Screen = %v, want %v", got, tt.screen)
			}
			if got := tty.Colours(env); got != tt.colours {
				t.Errorf("Colours = %v, want %v", got, tt.colours)
			}
		})
	}
}

func TestFilesAndBuffersAreNoTerminals(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if tty.Is(f) || tty.Is(&bytes.Buffer{}) {
		t.Error("a file or a buffer counts as a terminal")
	}
	if _, _, ok := tty.Size(f); ok {
		t.Error("a file has the size of a terminal")
	}
}
