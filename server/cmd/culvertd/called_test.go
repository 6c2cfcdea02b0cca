package main

import (
	"strings"
	"testing"
)

func TestCalledAs(t *testing.T) {
	t.Parallel()
	const built = "/tmp/go-build123/b001/exe/culvertd"
	cached := "/cache/3b/" + strings.Repeat("3b", 32) + "-d/culvertd"
	for _, tt := range []struct {
		arg0   string
		inRepo bool
		want   string
	}{
		{"culvertd", true, "culvertd"},
		{"bin/culvertd", false, "bin/culvertd"},
		{"/opt/my tools/culvertd", false, "'/opt/my tools/culvertd'"},
		{built, true, "go run ./server/cmd/culvertd"},
		{built, false, "culvertd"},
		{cached, true, "go run ./server/cmd/culvertd"},
		{"", false, "culvertd"},
	} {
		if got := calledAs(tt.arg0, func(string) bool { return tt.inRepo }); got != tt.want {
			t.Errorf("called by %q: got %q, want %q", tt.arg0, got, tt.want)
		}
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/a/b.pem": "/a/b.pem", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
