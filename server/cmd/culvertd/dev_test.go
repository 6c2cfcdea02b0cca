package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/node"
)

func TestTakenDefaultPortsGiveWay(t *testing.T) {
	t.Parallel()
	mem := memnet.New()
	if _, err := mem.Listen("tcp", node.DefaultHTTPAddr); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Listen("tcp", "127.0.0.1:7777"); err != nil {
		t.Fatal(err)
	}
	d := &devRun{o: &options{}}
	d.o.node.APIAddr = node.DefaultAPIAddr // asked for, so it stays
	if _, err := mem.Listen("tcp", node.DefaultAPIAddr); err != nil {
		t.Fatal(err)
	}
	listen := d.freePorts(func(_ context.Context, network, addr string) (net.Listener, error) { return mem.Listen(network, addr) })
	for addr, want := range map[string]string{
		node.DefaultHTTPAddr:  "another port",
		node.DefaultHTTPSAddr: node.DefaultHTTPSAddr,
		"127.0.0.1:7777":      "taken",
		node.DefaultAPIAddr:   "taken",
	} {
		ln, err := listen(t.Context(), "tcp", addr)
		got := ""
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			got = "taken"
		case err != nil:
			t.Fatal(err)
		case ln.Addr().String() == addr:
			got = addr
		case strings.HasPrefix(ln.Addr().String(), "127.0.0.1:"):
			got = "another port"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	if len(d.moved) != 1 || !strings.HasPrefix(d.moved[0], "Port 9080 is taken; using ") {
		t.Errorf("told: got %q, want that 9080 is taken", d.moved)
	}
}

// TestDevBesideAnother: it keeps its state apart from that of a run that it
// finds.
func TestDevBesideAnother(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	p := &program{getenv: func(name string) (string, bool) { return state, name == "XDG_STATE_HOME" }}
	first := filepath.Join(state, "culvert", "dev")
	alone := &devRun{p: p}
	if dir, err := alone.freeDir(); err != nil || dir != first || len(alone.moved) != 0 {
		t.Errorf("alone: got %q, %v and told %q, want %q", dir, err, alone.moved, first)
	}
	if err := os.MkdirAll(first, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := datafile.TryLock(filepath.Join(first, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	second := &devRun{p: p}
	if dir, err := second.freeDir(); err != nil || dir != first+"-2" || len(second.moved) != 1 || !strings.Contains(second.moved[0], dir) {
		t.Errorf("beside another: got %q, %v and told %q, want %q", dir, err, second.moved, first+"-2")
	}
}

func TestDevArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args     string
		verb, up string
		refused  string
	}{
		{args: "", verb: "http"},
		{args: "http", verb: "http"},
		{args: "8080", verb: "http", up: "8080"},
		{args: "http 8080", verb: "http", up: "8080"},
		{args: "http https://localhost:1", verb: "http", up: "https://localhost:1"},
		{args: "file:///srv", verb: "http", up: "file:///srv"},
		{args: "tcp 22", verb: "tcp", up: "22"},
		{args: "localhost:8080", verb: "http", up: "localhost:8080"},
		{args: "http foo", verb: "http", up: "foo"},
		{args: "foo", refused: `"foo" is neither a kind of endpoint`},
		{args: "htp", refused: "http, tcp, tls"},
		{args: "tls localhost:8443", verb: "tls", up: "localhost:8443"},
		{args: "tcp", refused: "needs an upstream"},
		{args: "ftp 21", refused: "not a kind of endpoint"},
		{args: "http :x", refused: "x"},
	} {
		d := &devRun{}
		err := d.arguments(strings.Fields(tt.args))
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%q: got %v, want it refused with %q", tt.args, err, tt.refused)
			}
			continue
		}
		if err != nil || d.verb != tt.verb || d.upstream != tt.up {
			t.Errorf("%q: got %s %s, %v", tt.args, d.verb, d.upstream, err)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"serve --log-level", "debug info warn error :4"},
		{"config check --log-format", "term logfmt json :4"},
		{"dev", "http tcp tls :4"},
		{"dev http", ":4"},
	} {
		var out strings.Builder
		p := &program{stdout: &out, stderr: io.Discard}
		if code := p.run(t.Context(), append(append([]string{"__complete"}, strings.Fields(tt.args)...), "")); code != 0 {
			t.Errorf("%s: exit code %d", tt.args, code)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestDataDirectories(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	xdg := func(name string) (string, bool) { return "/state", name == "XDG_STATE_HOME" }
	home := func() (string, error) { return "/home/u", nil }
	if os.PathSeparator != '/' {
		t.Skip("paths of other systems")
	}
	for name, tt := range map[string]struct {
		p           program
		server, dev string
	}{
		"user":           {program{getenv: none, home: home}, "/home/u/.local/state/culvert/server", "/home/u/.local/state/culvert/dev"},
		"user, XDG":      {program{getenv: xdg, home: home}, "/state/culvert/server", "/state/culvert/dev"},
		"root":           {program{getenv: none, home: home, root: true}, "/var/lib/culvert", "/home/u/.local/state/culvert/dev"},
		"root, XDG":      {program{getenv: xdg, home: home, root: true}, "/var/lib/culvert", "/state/culvert/dev"},
		"nobody's child": {program{getenv: none, home: func() (string, error) { return "", os.ErrNotExist }}, "", ""},
	} {
		server, err := tt.p.serverDir()
		if server != tt.server && !strings.Contains(server, "Application Support") || (err != nil) != (tt.server == "") {
			t.Errorf("%s: server: got %q, %v, want %q", name, server, err, tt.server)
		}
		dev, err := tt.p.stateDir("dev")
		if dev != tt.dev && !strings.Contains(dev, "Application Support") || (err != nil) != (tt.dev == "") {
			t.Errorf("%s: dev: got %q, %v, want %q", name, dev, err, tt.dev)
		}
	}
}
