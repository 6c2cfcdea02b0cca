package console_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/agent/console"
	"github.com/culvert-project/culvert/internal/agent/stats"
)

func full() console.State {
	return console.State{
		Program: "culvert", Notice: "Maintenance at noon.", Status: "online", Account: "Ada (Plan: free)",
		Version: "1.2.3", Region: "Here (loc)", Latency: 12345 * time.Microsecond,
		Forwards: []console.Forward{
			{URL: "https://a.example", Upstream: "http://localhost:8080", Pooled: true, Binding: "public"},
			{Name: "db", Upstream: "tcp://localhost:5432", Problem: "address taken (ERR_NGROK_334)"},
			{Name: "web", Upstream: "http://localhost:80"},
			{URL: "https://b.internal", Upstream: "http://localhost:81", Binding: "internal"},
		},
		Conns:    stats.Snapshot{Total: 12, Open: 3, Rate1: 0.5, Rate5: 0.25, P50: 1500 * time.Millisecond, P90: 2 * time.Second},
		Requests: []console.Request{{At: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Name: "web", Method: "GET", Path: "/x", Status: 200}},
	}
}

// Every row of the reference's table that this agent fills is on the screen.
func TestAgent02_AllRows(t *testing.T) {
	t.Parallel()
	got := strings.Join(console.Render(full(), 90, 40), "\n")
	want := `culvert                                                                   (Ctrl+C to quit)

Maintenance at noon.

Session Status     online
Account            Ada (Plan: free)
Version            1.2.3
Region             Here (loc)
Latency            12ms
Forwarding         https://a.example -> http://localhost:8080 (pooled)
                   db -> tcp://localhost:5432 (address taken (ERR_NGROK_334))
                   web -> http://localhost:80 (not online yet)
                   https://b.internal -> http://localhost:81 (internal)

Connections        ttl     opn     rt1     rt5     p50     p90
                   12      3       0.50    0.25    1.50    2.00

HTTP Requests
-------------

03:04:05.006 web          GET    /x                                       200`
	if got != want {
		t.Errorf("view\n got:\n%s\nwant:\n%s", got, want)
	}
}

func TestRenderFitsTheTerminal(t *testing.T) {
	t.Parallel()
	s := full()
	s.Notice = strings.Repeat("é", 300)
	for range 100 {
		s.Requests = append(s.Requests, s.Requests[0])
	}
	for _, size := range [][2]int{{80, 24}, {40, 10}, {20, 4}, {300, 200}} {
		lines := console.Render(s, size[0], size[1])
		if len(lines) > size[1] {
			t.Errorf("%d lines on a terminal of %d", len(lines), size[1])
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > size[0] {
				t.Errorf("line of %d characters on a terminal of %d: %q", n, size[0], l)
			}
		}
	}
}

func TestTroubleIsToldInFull(t *testing.T) {
	t.Parallel()
	got := strings.Join(console.Render(console.State{
		Program: "culvert", Status: "connecting", Version: "1",
		Trouble: console.Trouble{
			Cause: "The server localhost:9444 cannot be reached: connection refused.", Remedy: "Check that culvertd is running.",
			Code: "ERR_CULVERT_1210", RetryIn: 2300 * time.Millisecond,
		},
	}, 60, 24), "\n")
	want := `
Session Status     connecting
                   The server localhost:9444 cannot be
                   reached: connection refused.
                   Check that culvertd is running.
                   ERR_CULVERT_1210
                   Next try in 3 s. "culvert diagnose" finds
                   the cause.
Version            1
`
	if !strings.Contains(got, want) {
		t.Errorf("view\n got:\n%s\nwant it to hold:\n%s", got, want)
	}
}

func TestURLsAreNeverCut(t *testing.T) {
	t.Parallel()
	f := console.Forward{URL: "https://a-very-long-name.tunnel.example.com:9443", Upstream: "http://localhost:8080", Down: "connection refused"}
	for _, tt := range []struct {
		width int
		want  string
	}{
		{120, "Forwarding         " + f.URL + " -> " + f.Upstream + "\nUpstream           " + f.Upstream + " cannot be reached: connection refused\n"},
		{70, "Forwarding         " + f.URL + "\n                   -> " + f.Upstream + "\nUpstream           "},
		{50, "Forwarding         https://a-very-long-name.tunnel\n                   .example.com:9443\n                   -> " + f.Upstream + "\n"},
	} {
		if got := strings.Join(console.Render(console.State{Forwards: []console.Forward{f}}, tt.width, 24), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("width %d\n got:\n%s\nwant it to hold:\n%s", tt.width, got, tt.want)
		}
	}
}

func TestRenderDropsControlCharacters(t *testing.T) {
	t.Parallel()
	s := full()
	s.Notice, s.Status, s.Requests[0].Path = "a\x1b[2Jb", "x\ry", "/\x1b]0;t\x07"
	for _, l := range console.Render(s, 80, 40) {
		if strings.ContainsAny(l, "\x1b\r\n\x07") {
			t.Errorf("line with control characters: %q", l)
		}
	}
}

func TestScreen(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	width := 80
	s := console.NewScreen(&out, false, func() (int, int) { return width, 24 })
	s.Draw(full())
	if !strings.HasPrefix(out.String(), "\x1b[?1049h") {
		t.Errorf("first draw does not enter the alternate screen: %q", out.String())
	}
	first := out.Len()
	s.Draw(full())
	if out.Len() != first {
		t.Errorf("the same state was written again")
	}
	width = 60
	s.Draw(full())
	if out.Len() == first {
		t.Errorf("a new width was not followed")
	}
	s.Close()
	s.Close()
	s.Draw(console.State{})
	if got := strings.Count(out.String(), "\x1b[?1049l"); got != 1 || !strings.HasSuffix(out.String(), "\x1b[?1049l") {
		t.Errorf("terminal given back %d times, or not last", got)
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	s := full()
	s.Forwards[0].Down = "connection refused"
	s.Requests = append(s.Requests, console.Request{Method: "GET", Path: "/é", Status: 404}, console.Request{Method: "GET", Path: "/", Status: 502})
	for _, colours := range []bool{false, true} {
		var out strings.Builder
		console.NewScreen(&out, colours, func() (int, int) { return 90, 40 }).Draw(s)
		for _, want := range []string{
			"\x1b[1mculvert\x1b[0m ",
			"Session Status     \x1b[32monline\x1b[0m",
			"Forwarding         \x1b[36mhttps://a.example\x1b[0m -> http",
			"\x1b[31mdb -> tcp://localhost:5432 (address taken (ERR_NGROK_334))\x1b[0m",
			"Upstream           \x1b[31mhttp://localhost:8080 cannot be reached: connection refused\x1b[0m",
			"\x1b[32m200\x1b[0m", " \x1b[33m404\x1b[0m", "\x1b[31m502\x1b[0m",
		} {
			if strings.Contains(out.String(), want) != colours {
				t.Errorf("colours %v: %q in %q, want %v", colours, want, out.String(), colours)
			}
		}
	}
}

// Colours add nothing to the width, and a cut never leaves one open.
func TestColoursOfCutLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	console.NewScreen(&out, true, func() (int, int) { return 20, 40 }).Draw(full())
	text := regexp.MustCompile(`\x1b\[[?]?[0-9]*[a-zA-Z]`).ReplaceAllString(out.String(), "")
	if want := strings.Join(console.Render(full(), 20, 40), "\r\n"); text != want {
		t.Errorf("without colours\n%q, want\n%q", text, want)
	}
}

func TestScreenNeverShown(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	console.NewScreen(&out, false, func() (int, int) { return 80, 24 }).Close()
	if out.Len() != 0 {
		t.Errorf("wrote %q though nothing was drawn", out.String())
	}
}
