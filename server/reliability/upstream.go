package reliability

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// MemberField is the response field with the name of the upstream.
const MemberField = "Member"

// Upstream is a service behind an agent. What it answers can be checked, and on
// some paths it behaves as services should not:
//
//	POST /echo        the body, back
//	POST /sink        the number of bytes of a body that was as it should be
//	GET /bytes/N      N bytes of the pattern, with their length
//	GET /chunked/N    the same without
//	GET /ws           a WebSocket that echoes
//	GET /hold         no answer before the client has gone, or [Upstream.Release]
//	GET /reset/bytes  half an answer with a length, and RST
//	GET /reset/chunked  half a chunked answer, and RST
//	GET /reset/head   no answer, and RST
//	GET /cut/...      the same three with FIN
//	GET /garbage      what is not HTTP
type Upstream struct {
	name string
	ln   net.Listener
	srv  *http.Server
	wg   sync.WaitGroup

	// Begun counts the bodies whose transfer has begun, Held the requests that
	// /hold has got, Gone those of them whose client left, and Partial the
	// bodies that ended before they should.
	Begun, Held, Gone, Partial atomic.Int64

	mu      sync.Mutex
	release chan struct{} // closed by Release; guarded by mu
}

// NewUpstream starts a service on a network. It ends with Close.
func NewUpstream(n Network, name string) (*Upstream, error) {
	ln, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{name: name, ln: ln, release: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", u.echo)
	mux.HandleFunc("POST /sink", u.sink)
	mux.HandleFunc("GET /bytes/{n}", u.bytes)
	mux.HandleFunc("GET /chunked/{n}", u.bytes)
	mux.HandleFunc("GET /ws", u.webSocket)
	mux.HandleFunc("GET /hold", u.hold)
	const head, part = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", "only this much"
	for end, rst := range map[string]bool{"reset": true, "cut": false} {
		mux.HandleFunc("GET /"+end+"/bytes", raw(head+"Content-Length: 1000\r\n\r\n"+part, rst))
		mux.HandleFunc("GET /"+end+"/chunked", raw(head+"Transfer-Encoding: chunked\r\n\r\ne\r\n"+part+"\r\n", rst))
		mux.HandleFunc("GET /"+end+"/head", raw("", rst))
	}
	mux.HandleFunc("GET /garbage", raw("nothing that a browser knows\r\n\r\n", false))
	u.srv = &http.Server{Handler: u.named(mux), ReadHeaderTimeout: time.Minute}
	u.wg.Go(func() { _ = u.srv.Serve(ln) }) // ends with Close
	return u, nil
}

// Addr is where the service listens, host:port.
func (u *Upstream) Addr() string { return u.ln.Addr().String() }

// Release lets the requests that are held now go on.
func (u *Upstream) Release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.release)
	u.release = make(chan struct{})
}

// Close ends the service and its connections.
func (u *Upstream) Close() {
	_ = u.srv.Close() // of a listener that ends anyway
	u.wg.Wait()
}

func (u *Upstream) named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(MemberField, u.name)
		h.ServeHTTP(w, r)
	})
}

func (u *Upstream) echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		u.Partial.Add(1)
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // the client checks it
}

func (u *Upstream) sink(w http.ResponseWriter, r *http.Request) {
	want, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.Begun.Add(1)
	n, err := CheckPattern(r.Body, want)
	switch {
	case errors.Is(err, ErrCorrupt):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case err != nil:
		u.Partial.Add(1)
		panic(http.ErrAbortHandler)
	default:
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
	}
}

func (u *Upstream) bytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.URL.Path[:3] == "/by" {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	} else {
		http.NewResponseController(w).Flush() //nolint:errcheck // a client that has gone is seen by the copy
	}
	u.Begun.Add(1)
	if _, err := io.Copy(w, Pattern(n)); err != nil {
		u.Partial.Add(1)
	}
}

func (u *Upstream) webSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	defer c.CloseNow() //nolint:errcheck // the loop below knows
	for {
		typ, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if c.Write(r.Context(), typ, msg) != nil {
			return
		}
	}
}

func (u *Upstream) hold(_ http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	release := u.release
	u.mu.Unlock()
	u.Held.Add(1)
	select {
	case <-release:
	case <-r.Context().Done():
		u.Gone.Add(1)
	}
}

// raw is a handler that writes text to the connection itself and ends it, with
// RST or FIN.
func raw(text string, rst bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, text) // the other end checks it
		switch {
		case !rst:
			_ = c.Close()
		case text == "":
			reset(c)
		default: // bytes that wait before a reset may be lost with it, on any system
			time.AfterFunc(100*time.Millisecond, func() { reset(c) })
		}
	}
}
