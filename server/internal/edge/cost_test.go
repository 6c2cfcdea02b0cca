package edge

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/certs"
)

// parsers are what reads lists and names of strangers here, each with an input
// that grows with n.
func parsers() map[string]func(n int) func() {
	list := func(item string, use func(string)) func(int) func() {
		return func(n int) func() {
			text := strings.Repeat(item, n)
			return func() { use(text) }
		}
	}
	accept := func(s string) {
		r := &http.Request{Header: http.Header{"Accept": {s}}}
		_ = preferred(r)
	}
	return map[string]func(int) func(){
		"Accept":             list("text/html;q=0.5,", accept),
		"Accept parameters":  list(";q=0.5", func(s string) { accept("text/html" + s) }),
		"Connection":         list("a, ", func(s string) { removeHop(http.Header{"Connection": {s}}) }),
		"tokens":             list("a, ", func(s string) { _ = hasToken([]string{s}, "b") }),
		"cookies":            list("a=b; ", func(s string) { l := Limits{}.withDefaults(); _ = l.headerTooLarge(http.Header{"Cookie": {s}}) }),
		"host":               list("a.", func(s string) { _, _ = canonicalHost(s + "com") }),
		"host of other text": list("ä.", func(s string) { _, _ = canonicalHost(s + "com") }),
		"target":             list("/%41", func(s string) { _, _ = requestTarget(&http.Request{RequestURI: s}, "http") }),
		"frames":             list("\x81\x01x", func(s string) { new(frames).pass([]byte(s)) }),
		"fields": func(n int) func() {
			return func() {
				h := make(http.Header, n)
				for i := range n {
					h[fmt.Sprint("X_", i)] = []string{"v"}
				}
				removeCopies(h, ForwardReplace)
			}
		},
	}
}

// TestT71_MemoryOfParsers: twice the input costs at most 2.5 times the memory.
func TestT71_MemoryOfParsers(t *testing.T) { //nolint:paralleltest // counts what the process allocates
	const n = 2000
	for name, parser := range parsers() {
		cost := func(n int) float64 {
			f := parser(n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 10 {
				f()
			}
			runtime.ReadMemStats(&after)
			return float64(after.TotalAlloc-before.TotalAlloc) / 10
		}
		// What is small is noise of others.
		if one, two := cost(n), cost(2*n); two > 2.5*one+4096 {
			t.Errorf("%s: %.0f bytes for %d items, %.0f for twice as many", name, one, n, two)
		}
	}
}

// BenchmarkT71_Parsers shows the time for n and 2n items: it has to double.
func BenchmarkT71_Parsers(b *testing.B) {
	for name, parser := range parsers() {
		for _, n := range []int{1000, 2000, 4000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				f := parser(n)
				for b.Loop() {
					f()
				}
			})
		}
	}
}

// TestT70_MemoryOfHeads: a head takes at most three times its bytes while its
// request is served, however it is made up.
func TestT70_MemoryOfHeads(t *testing.T) { //nolint:paralleltest // measures the heap
	const clients = 20
	for name, fields := range map[string]string{
		"large values": strings.Repeat("X: "+strings.Repeat("y", 60_000)+"\r\n", 10),
		"one cookie":   "Cookie: " + strings.Repeat("a=b; ", 2900) + "\r\n",
		"many fields":  manyFields(499, 1000),
		"query":        "X-Query: " + strings.Repeat("a=b&", 10_000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // as above
			w := newWorld(t)
			arrived, release := make(chan struct{}, clients), make(chan struct{})
			w.online("http://app.example.com", raw(t, func(c net.Conn, br *bufio.Reader) {
				_, _ = br.Peek(1)
				arrived <- struct{}{}
				<-release
			}))
			head := "GET / HTTP/1.1\r\nHost: app.example.com\r\n" + fields + "\r\n"
			base := liveHeap()
			for range clients {
				c := w.connect("127.0.0.1", plainAddr)
				go func() { _, _ = io.WriteString(c, head) }()
				<-arrived
			}
			used := int64(liveHeap()-base) / clients
			close(release)
			// What a connection takes by itself, both of its pipes included, and
			// what the pipe to the service still holds of the head.
			const idle = 256 << 10
			if most := int64(3*len(head)) + int64(len(head)) + idle; used > most {
				t.Errorf("%d bytes for a head of %d, want at most %d", used, len(head), most)
			}
		})
	}
}

// manyFields is a block of n fields of about size bytes together with their
// names.
func manyFields(n, size int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d: %s\r\n", i, strings.Repeat("y", size))
	}
	return b.String()
}

// TestT75_NoRenegotiation: a client of TLS 1.2 that asks for another handshake
// is refused.
func TestT75_NoRenegotiation(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatal("openssl is missing")
		}
		t.Skip("openssl is missing")
	}
	w := newWorld(t, overTCP, func(c *Config) { c.HTTPAddr, c.HTTPSAddr = "", "127.0.0.1:0" })
	w.online("https://app.example.com", w.serve(echoRequest))
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", w.srv.Addrs()[0].Addr.String(), "-servername", "app.example.com", "-tls1_2")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out safeBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.wait("Verify return code")
	_, _ = io.WriteString(in, "R\n")
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("the connection goes on")
	}
	_ = in.Close()
	if text := out.String(); !strings.Contains(text, "RENEGOTIATING") || !strings.Contains(text, "no renegotiation") && !strings.Contains(text, "unexpected message") {
		t.Errorf("openssl says %s, want RENEGOTIATING and an alert", text)
	}
	if got := certs.TLS().Renegotiation; got != tls.RenegotiateNever {
		t.Errorf("the policy on renegotiation is %v", got)
	}
}
