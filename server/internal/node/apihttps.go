package node

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// apiWaiting is how many connections from the HTTPS port may wait to be accepted by the API, as in the queue of a
// socket.
const apiWaiting = 64

// handover is the listener of the API for connections that came to the HTTPS port for api.<domain> (decisions.md 55).
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	ended chan struct{}

	mu     sync.Mutex
	closed bool // guarded by mu
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn, apiWaiting), ended: make(chan struct{})}
}

// take queues a connection. It closes it if too many wait, or if nobody accepts any more.
func (h *handover) take(_ context.Context, c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		select {
		case h.conns <- c:
			return
		default:
		}
	}
	_ = c.Close() // nothing was sent on it
}

// Accept returns the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

// Close ends the listener and the connections that wait.
func (h *handover) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return net.ErrClosed
	}
	h.closed = true
	close(h.ended)
	for {
		select {
		case c := <-h.conns:
			_ = c.Close() // as in take
		default:
			return nil
		}
	}
}

// Addr is that of the HTTPS listener.
func (h *handover) Addr() net.Addr { return h.addr }

// publicFront is the API on the HTTPS port. What stands in X-Forwarded-* there comes from clients: a proxy before that
// port speaks the PROXY protocol.
type publicFront struct {
	front   *front
	domains []string
}

// ServeHTTP answers one request. A browser may use a connection for other names of its certificate, which then have to
// come by one of their own.
func (p publicFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.named(r.Host) {
		f := fault.New(fault.Misdirected, "api."+p.domains[0], r.Host)
		body, _ := json.Marshal(api.Error{ErrorCode: string(f.Code), StatusCode: f.Status, Msg: f.Message, Details: map[string]string{}}) //nolint:errchkjson // texts and a number
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(f.Status)
		_, _ = w.Write(body) // the client may be gone
		return
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		r.Header.Del(name)
	}
	p.front.ServeHTTP(w, r)
}

// named reports whether a host is api.<domain>, whatever its port.
func (p publicFront) named(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	domain, is := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(host, ".")), "api.")
	return is && slices.Contains(p.domains, domain)
}
