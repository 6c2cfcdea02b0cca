package manual_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serveLine starts the server of a walk.
const serveLine = "culvertd serve"

// TestControlPlaneWalk pastes the commands of the walk in docs/control-plane.md as they stand, but for the ports: the
// server's are set by variables. What serves on port 8080 is the test's.
func TestControlPlaneWalk(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no curl")
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the service: %s\n", r.URL.Path)
	}))
	t.Cleanup(service.Close)
	home, addrs := t.TempDir(), freeAddrs(t, 4)
	w := &walk{
		t: t, dir: t.TempDir(), running: make(map[string]*exec.Cmd),
		env: append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "CULVERTD_DATA_DIR="+filepath.Join(home, "data"),
			"CULVERTD_HTTP_ADDR="+addrs[0], "CULVERTD_HTTPS_ADDR="+addrs[1], "CULVERTD_AGENT_ADDR="+addrs[2], "CULVERTD_API_ADDR="+addrs[3],
			"PATH="+filepath.Dir(program(t, "culvert"))+string(os.PathListSeparator)+os.Getenv("PATH")),
		ports:   strings.NewReplacer(":9080", ":"+port(t, addrs[0]), " 8080 ", " "+port(t, service.Listener.Addr().String())+" "),
		written: strings.NewReplacer(":"+port(t, addrs[0]), ":9080"),
	}
	ready := `(?s)(culvert config add-connect-url[^\n]+).*(culvert config add-authtoken [^\n]+).*export (CULVERT_API_URL=[^\n]+).*export (CULVERT_API_KEY=[^\n]+)`
	first := w.run(serveLine, ready)
	w.env = append(w.env, first[3:]...)
	for _, line := range first[1:3] {
		w.command(line)
	}
	ran := 0
	for _, b := range walkOf(t, filepath.Join(root, "docs", "control-plane.md")) {
		kind, rest, _ := strings.Cut(b.info, " ")
		what, name, _ := strings.Cut(rest, "=")
		switch {
		case what == "file":
			write(t, filepath.Join(w.dir, name), w.ports.Replace(b.text))
		case kind == "sh" && strings.TrimSpace(b.text) == serveLine:
			w.run(serveLine, "is ready")
		case kind == "sh":
			w.start(strings.TrimSpace(b.text))
		case kind == "console":
			switch what {
			case "stop":
				w.stop(name)
			case "kill":
				w.kill(name)
			}
			if got := w.written.Replace(consoleIn(t, w.dir, w.env, w.ports.Replace(b.text))); got != b.text {
				t.Fatalf("%s: got\n%s\nwant\n%s", b.where, got, b.text)
			}
			ran++
		}
	}
	if ran < 8 {
		t.Errorf("%d blocks were run", ran)
	}
}

// walkOf returns the blocks of the part of a page that is called "A walk".
func walkOf(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n## A walk\n")
	part, _, _ = strings.Cut(part, "\n## ")
	if !ok {
		t.Fatalf("%s has no walk", page)
	}
	var in []block
	for _, b := range blocksOf(t, page) {
		if strings.Contains(part, "```"+b.info+"\n"+b.text+"```") {
			in = append(in, b)
		}
	}
	return in
}

// kill ends the program whose command line has a text in it, as a crash does.
func (w *walk) kill(what string) {
	w.t.Helper()
	for line, cmd := range w.running {
		if strings.Contains(line, what) {
			delete(w.running, line)
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()         // killed
			return
		}
	}
}

// freeAddrs returns addresses of loopback that were free a moment ago: a server that comes back has to find them again.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	var addrs []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
