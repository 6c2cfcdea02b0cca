package logs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/logs"
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// emit writes one record through a handler of the given format and returns the line.
func emit(t *testing.T, format logs.Format, level slog.Level, msg string, args ...any) string {
	t.Helper()
	var buf bytes.Buffer
	r := slog.NewRecord(at, level, msg, 0)
	r.Add(args...)
	if err := logs.NewHandler(&buf, format, slog.LevelDebug).Handle(t.Context(), r); err != nil {
		t.Fatalf("Handle: %v", err)
	}
	return buf.String()
}

func TestLogfmt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		level slog.Level
		msg   string
		args  []any
		want  string
	}{
		{
			"started tunnel", slog.LevelInfo, "started tunnel",
			[]any{"name", "web", "obj", "tunnels", "addr", "http://localhost:80", "url", "https://a.example"},
			`t=2026-03-04T05:06:07.089Z lvl=info msg="started tunnel" obj=tunnels name=web addr=http://localhost:80 url=https://a.example` + "\n",
		},
		{"levels", logs.LevelCrit, "x", nil, "t=2026-03-04T05:06:07.089Z lvl=crit msg=x\n"},
		{"error", slog.LevelError, "x", []any{"err", errors.New("no\nway")}, `t=2026-03-04T05:06:07.089Z lvl=eror msg=x err="no\nway"` + "\n"},
		{"empty", slog.LevelWarn, "x", []any{"a", ""}, `t=2026-03-04T05:06:07.089Z lvl=warn msg=x a=""` + "\n"},
		{"group", slog.LevelDebug, "x", []any{slog.Group("g", "a", 1)}, "t=2026-03-04T05:06:07.089Z lvl=dbug msg=x g.a=1\n"},
		{"bad key", slog.LevelInfo, "x", []any{"a b", 1}, "t=2026-03-04T05:06:07.089Z lvl=info msg=x a_b=1\n"},
		{"twice", slog.LevelInfo, "x", []any{"a", 1, "a", 2}, "t=2026-03-04T05:06:07.089Z lvl=info msg=x a=2\n"},
		{"duration", slog.LevelInfo, "x", []any{"d", 3 * time.Second}, "t=2026-03-04T05:06:07.089Z lvl=info msg=x d=3s\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := emit(t, logs.Logfmt, tt.level, tt.msg, tt.args...); got != tt.want {
				t.Errorf("line\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	got := emit(t, logs.JSON, slog.LevelInfo, "started tunnel", "url", "https://a?b&c", "n", 3, "ok", true, "obj", "tunnels", "list", []string{"a"}, "raw", json.RawMessage(`{"a": [1]}`))
	want := `{"t":"2026-03-04T05:06:07.089Z","lvl":"info","msg":"started tunnel","obj":"tunnels","url":"https://a?b&c","n":3,"ok":true,"list":["a"],"raw":{"a":[1]}}` + "\n"
	if got != want {
		t.Errorf("line\n got %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Errorf("not JSON: %s", got)
	}
}

func TestTermShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	got := emit(t, logs.Term, slog.LevelInfo, "a\x1b[2Jb", "k", "\x1b[2J")
	if strings.Contains(got, "\x1b[2J") {
		t.Errorf("control sequence passed: %q", got)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, key, value, want string
	}{
		{"token", "authtoken", "tok_1234567890abcd", "authtoken=***abcd"},
		{"upper case", "Authorization", "Bearer abcdefgh", "Authorization=***efgh"},
		{"short", "password", "hunter2", "password=***"},
		{"in a group", "agent.api_key", "ak_0123456789", "agent.api_key=***6789"},
		{"URL", "proxy", "http://u:secret@proxy:3128", "proxy=http://u:xxxxx@proxy:3128"},
		{"harmless", "addr", "u@host", "addr=u@host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := emit(t, logs.Logfmt, slog.LevelInfo, "x", tt.key, tt.value)
			if !strings.HasSuffix(got, " "+tt.want+"\n") {
				t.Errorf("line %q, want it to end in %q", got, tt.want)
			}
		})
	}
}

func TestWithKeepsOrderAndBranches(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	base := slog.New(logs.NewHandler(&buf, logs.Logfmt, slog.LevelInfo)).With("obj", "csess", "a", 1)
	base.With("b", 2).Info("one")
	base.With("c", 3).Info("two")
	base.Debug("hidden")
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "msg=one obj=csess a=1 b=2") || !strings.HasSuffix(lines[1], "msg=two obj=csess a=1 c=3") {
		t.Errorf("lines %q", lines)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		target, format      string
		colour              bool
		wantOut, wantErr    bool
		wantColour, wantRaw bool
	}{
		{target: "stdout", wantOut: true},
		{target: "stderr", wantErr: true},
		{target: "false"},
		{target: ""},
		{target: "stdout", colour: true, wantOut: true, wantColour: true},
		{target: "stdout", format: "logfmt", colour: true, wantOut: true},
		{target: "stdout", format: "term", wantOut: true},
	}
	for _, tt := range tests {
		t.Run(tt.target+tt.format, func(t *testing.T) {
			t.Parallel()
			var out, errw bytes.Buffer
			l, err := logs.Open(logs.Config{
				Target: tt.target, Format: logs.Format(tt.format), Stdout: &out, Stderr: &errw,
				Terminal: func(io.Writer) (bool, bool) { return tt.colour, tt.colour },
			})
			if err != nil {
				t.Fatal(err)
			}
			l.Logger().Info("hello")
			if got := out.Len() > 0; got != tt.wantOut {
				t.Errorf("stdout written = %v, want %v", got, tt.wantOut)
			}
			if got := errw.Len() > 0; got != tt.wantErr {
				t.Errorf("stderr written = %v, want %v", got, tt.wantErr)
			}
			if got := strings.Contains(out.String(), "\x1b["); got != tt.wantColour {
				t.Errorf("colours = %v, want %v", got, tt.wantColour)
			}
			if err := l.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// Who asks for a format gets it anywhere; who does not gets what suits the
// reader. Colours are another question.
func TestFormatAndColours(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name              string
		format            logs.Format
		terminal, colours bool
		want              string // after the time
	}{
		{"a pipe", "", false, false, "lvl=info msg=hello"},
		{"a terminal without colours", "", true, false, "INFO hello"},
		{"term on a pipe", logs.Term, false, true, "INFO hello"},
		{"logfmt on a terminal", logs.Logfmt, true, true, "lvl=info msg=hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			l, err := logs.Open(logs.Config{
				Target: "stdout", Format: tt.format, Stdout: &out, Terminal: func(io.Writer) (bool, bool) { return tt.terminal, tt.colours },
			})
			if err != nil {
				t.Fatal(err)
			}
			l.Logger().Info("hello")
			if _, got, _ := strings.Cut(strings.TrimSpace(out.String()), " "); got != tt.want {
				t.Errorf("line %q, want it to end in %q", out.String(), tt.want)
			}
		})
	}
}

func TestFileIsReopenedAfterRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.log")
	l, err := logs.Open(logs.Config{Target: path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Logger().Info("first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Skipf("an open file cannot be renamed here: %v", err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Logger().Info("second")
	for name, want := range map[string]string{path + ".1": "msg=first", path: "msg=second"} {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), want) || strings.Count(string(got), "\n") != 1 {
			t.Errorf("%s holds %q, want one line with %q", filepath.Base(name), got, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, want no access for others", info.Mode())
	}
}

func TestFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	if _, err := logs.Open(logs.Config{Target: filepath.Join(t.TempDir(), "no", "such", "dir.log")}); err == nil {
		t.Error("Open of a file in a missing folder succeeded")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "DBUG": slog.LevelDebug, "warn": slog.LevelWarn, "eror": slog.LevelError, "crit": logs.LevelCrit,
	} {
		if got, err := logs.ParseLevel(text); err != nil || got != want {
			t.Errorf("ParseLevel(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := logs.ParseLevel("loud"); err == nil {
		t.Error("ParseLevel(loud) succeeded")
	}
	for text, want := range map[string]logs.Format{"": "", "JSON": logs.JSON, "logfmt": logs.Logfmt, "term": logs.Term} {
		if got, err := logs.ParseFormat(text); err != nil || got != want {
			t.Errorf("ParseFormat(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := logs.ParseFormat("xml"); err == nil {
		t.Error("ParseFormat(xml) succeeded")
	}
}
