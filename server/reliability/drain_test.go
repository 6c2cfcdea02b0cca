package reliability

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node"
)

// TestD3_ShutdownGoesInOrder looks at every party while the server stops: not
// ready first, then nobody new, then the end of each kept connection behind its
// answer, and agents last.
func TestD3_ShutdownGoesInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(), func(c *node.Config) { c.ShutdownGrace = 30 * time.Second })
		gone := make(chan time.Time, 10)
		up := w.upstream("one")
		u := w.forward(w.agent("", culvert.WithEventHandler(func(e culvert.Event) {
			if e.EventType() == culvert.EventTypeAgentDisconnected {
				gone <- time.Now()
			}
		})), up)
		c1, c2 := w.client(false), w.client(true)
		h1, h2 := w.hold(c1, u, up, 3), w.hold(c2, u, up, 3)
		ws, resp, err := websocket.Dial(t.Context(), u+"/ws", &websocket.DialOptions{HTTPClient: c1}) //nolint:bodyclose // the library's
		if err != nil {
			t.Fatal(err, resp)
		}
		idle := w.dialTLS(u)
		if status, closing := ask(t, idle, u); status != http.StatusOK || closing {
			t.Fatalf("before: got %d, close %v", status, closing)
		}
		busy := w.dialTLS(u)
		fmt.Fprintf(busy, "GET /hold HTTP/1.1\r\nHost: %s\r\n\r\n", host(u))
		eventually(t, "the last request is held", func() bool { return up.Held.Load() == 7 })

		start := time.Now()
		ended := make(chan struct{})
		go func() { defer close(ended); w.shutdown() }()
		synctest.Wait()
		if o, _ := fetch(t, w.client(false), "http://"+w.info.API.String()+"/readyz"); o != "503" {
			t.Errorf("readyz: got %q, want 503", o)
		}
		for _, addr := range []net.Addr{w.info.HTTP, w.info.HTTPS, w.info.Agent} {
			if c, err := w.net.DialContext(t.Context(), "tcp", addr.String()); err == nil {
				c.Close()
				t.Errorf("%s still accepts", addr)
			}
		}
		if n, err := idle.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("an idle connection is kept")
		}

		time.Sleep(5 * time.Second)
		if n := w.node.Tunnels().NumSessions(); n != 1 {
			t.Errorf("got %d agents while requests are under way, want 1", n)
		}
		up.Release()
		for range 3 {
			for h, o := range map[string]Outcome{"h1": <-h1, "h2": <-h2} {
				if o != OK {
					t.Errorf("%s: a request under way got %q", h, o)
				}
			}
		}
		answer, err := http.ReadResponse(bufio.NewReader(busy), nil)
		if err != nil || !answer.Close {
			t.Errorf("the last answer of a kept connection: %v, want Connection: close; got %v", err, answer)
		} else {
			answer.Body.Close()
		}
		// The WebSocket goes on to the deadline.
		msg := []byte("still here")
		if err := ws.Write(t.Context(), websocket.MessageText, msg); err != nil {
			t.Errorf("WebSocket while draining: %v", err)
		}
		if _, got, err := ws.Read(t.Context()); err != nil || string(got) != string(msg) {
			t.Errorf("WebSocket while draining: got %q, %v", got, err)
		}
		_, _, err = ws.Read(t.Context())
		if d := time.Since(start); d < 30*time.Second-time.Millisecond {
			t.Errorf("the WebSocket ended after %v with %v, want the end of the grace period", d, err)
		}
		if websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("the WebSocket ended with %v, want 1001", err)
		}
		<-ended
		if d := (<-gone).Sub(start); d < 30*time.Second-time.Millisecond {
			t.Errorf("the agent was let go after %v, before its last connection", d)
		}
	})
}

// host is the authority of a URL.
func host(u string) string { return strings.TrimPrefix(u, "https://") }

// ask makes a request on a connection and returns the status, and whether the
// connection ends with it.
func ask(t *testing.T, c net.Conn, u string) (status int, closing bool) {
	t.Helper()
	fmt.Fprintf(c, "GET /bytes/10 HTTP/1.1\r\nHost: %s\r\n\r\n", host(u))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Close
}

// handedOver keeps sockets open while their server is restarted, as a service
// manager does that passes them on: who connects meanwhile waits.
type handedOver struct {
	Loopback
	t    *testing.T
	kept map[string]*net.TCPListener
}

func (h *handedOver) Listen(network, addr string) (net.Listener, error) {
	kept := h.kept[addr]
	if kept == nil {
		ln, err := h.Loopback.Listen(network, addr)
		if err != nil {
			return nil, err
		}
		kept = ln.(*net.TCPListener)
		h.kept[ln.Addr().String()] = kept
		h.t.Cleanup(func() { kept.Close() })
	}
	f, err := kept.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

// TestD5_RestartUnderKeepAliveClients restarts the server under load, in order,
// with its sockets handed over. No request fails: those that come before the
// agent is back wait for it.
func TestD5_RestartUnderKeepAliveClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &handedOver{t: t, kept: map[string]*net.TCPListener{}})
	u := w.forward(w.agent(""), w.upstream("one"))
	// A WebSocket and an upload may outlast the grace period. A POST on a kept
	// connection may cross the server's end of it, and is not for the client to
	// repeat (RFC 9110 9.2.2).
	load := w.load(u, func(c *LoadConfig) { c.WebSockets, c.Upload, c.GetOnly = 0, 0, true })
	for range 3 {
		await(t, load, 20)
		w.shutdown()
		w.start()
	}
	await(t, load, 20)
	counts := load.Stop()
	only(t, counts)
	t.Logf("load over 3 restarts: %v", counts)
}

// TestD10_ServerAgentAndSDKLeaveNothing runs everything, ends it, and looks for
// goroutines, descriptors and files that are left. It shares its process with no
// other test.
func TestD10_ServerAgentAndSDKLeaveNothing(t *testing.T) { //nolint:paralleltest // it counts what the process has
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	round := func() {
		t.Run("round", func(t *testing.T) { //nolint:paralleltest // as above
			w := newWorld(t, Loopback{})
			l := w.link()
			up := w.upstream("one")
			a := w.agent(l.Addr())
			u := w.forward(a, up)
			load := w.load(u)
			await(t, load, 5)
			l.Cut()
			await(t, load, 5)
			held := w.hold(w.client(true), u, up, 2)
			load.Stop()
			if err := a.Disconnect(); err != nil {
				t.Error(err)
			}
			<-held
			<-held
			if _, err := w.agent("", culvert.WithAuthtoken("unknown_0123456789abcdef")).Listen(short(t)); err == nil {
				t.Error("an unknown token is let in")
			}
		})
	}
	round() // what is made once is made now
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 3 {
		round()
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "all descriptors are closed", func() bool { return descriptors(t) <= files })
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
	t.Logf("%d goroutines and %d descriptors, as before", goroutines, files)
}

func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// descriptors counts the descriptors of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		all, err := os.ReadDir(dir)
		if err == nil {
			return len(all)
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EINVAL) {
			t.Fatal(err)
		}
	}
	return 0
}
