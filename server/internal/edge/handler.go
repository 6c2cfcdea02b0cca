package edge

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/h1"
	"github.com/culvert-project/culvert/server/internal/route"
)

const (
	// returnWait is how long a request waits for an agent that is expected
	// back, and returnWindow how long after the start of the server every name
	// under a base domain is one (decision 35).
	returnWait   = 3 * time.Second
	returnWindow = 15 * time.Second
	// defaultWaiters bounds the requests that wait so at one time.
	defaultWaiters = 1024
)

// handlerConfig is what serving requests needs of the server.
type handlerConfig struct {
	router *route.Router
	// domains are the base domains, canonical.
	domains   []string
	startedAt time.Time
	// redirect is the status with which a plain request for a name that only
	// https serves is sent there, 307 or 308; 0 is off.
	redirect int
	// httpsPort is the port that clients use for https.
	httpsPort uint16
	forwarded Forwarded
	// waiters bounds the requests that wait for an agent. 0: 1024.
	waiters int
	// idle ends exchanges and upgraded connections in which nothing moves.
	// 0: 5 min; negative: never.
	idle time.Duration
	// accessLog gets a line for each request. nil: none.
	accessLog *slog.Logger
	logger    *slog.Logger
}

// handler serves the requests of all public HTTP connections.
type handler struct {
	handlerConfig
	plain   *h1.Client // for upstreams that send no fault records
	records *h1.Client // for those that do
	waiting atomic.Int64
	upgraded
}

func newHandler(cfg handlerConfig) *handler {
	if cfg.waiters == 0 {
		cfg.waiters = defaultWaiters
	}
	if cfg.idle == 0 {
		cfg.idle = 5 * time.Minute
	}
	return &handler{
		handlerConfig: cfg,
		plain:         h1.NewClient(h1.Config{Idle: cfg.idle}),
		records:       h1.NewClient(h1.Config{Idle: cfg.idle, Foreign: parseRecord}),
	}
}

// exchange is one request on its way through the edge. It belongs to the
// goroutine of the request.
type exchange struct {
	h  *handler
	w  http.ResponseWriter
	r  *http.Request
	cc *clientConn

	host   string // canonical
	target string // of the upstream's request line
	ep     *route.Endpoint
	body   *requestBody
	expect bool      // the client waits for 100 before it sends the body
	fields [3]string // values of the fields that the edge sets

	unwatched bool
	closing   bool // an HTTP/1 connection ends after this exchange
	id        string
	start     time.Time // set when there is an access log
	wrote     bool      // a final head was written
	dirty     bool      // something was written and not flushed
	status    int
	sent      int64
	fault     *fault.Error
}

// Errors of an exchange that get no answer.
var (
	errDone       = errors.New("answered")
	errClientGone = errors.New("client went away")
	errTruncated  = errors.New("response cut short")
)

// ServeHTTP serves one request of the connection that is in its context.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, r: r, cc: connFrom(r.Context())}
	if h.accessLog != nil {
		x.start = time.Now()
		defer x.log()
	}
	defer x.contain()
	x.cc.watch.begin(h.idle, x.cc.breakOff)
	defer x.unwatch()
	x.cc.linger(false)
	x.finish(x.serve())
}

// unwatch ends the watch for idleness, once.
func (x *exchange) unwatch() {
	if !x.unwatched {
		x.unwatched = true
		x.cc.watch.done()
	}
}

func (x *exchange) serve() error {
	if err := x.admit(); err != nil {
		return err
	}
	if err := x.find(); err != nil {
		return err
	}
	return x.forward()
}

// finish turns the outcome of an exchange into what the client sees.
func (x *exchange) finish(err error) {
	if x.r.ProtoMajor == 1 && (x.body == nil && x.r.ContentLength != 0 || !x.body.complete()) {
		// The rest of the upload is drained when the connection is closed, so
		// that no reset overtakes the answer.
		x.cc.linger(true)
	}
	switch {
	case err == nil, errors.Is(err, errDone):
	case errors.Is(err, errClientGone):
		x.status = statusClientGone
		panic(http.ErrAbortHandler)
	case x.wrote:
		// A clean end would make the client take the part for the whole.
		x.fault = fault.From(err)
		x.flush()
		panic(http.ErrAbortHandler)
	default:
		x.fail(fault.From(err))
	}
}

// fail answers with a fault.
func (x *exchange) fail(f *fault.Error) {
	x.fault = f
	if f.Code == fault.Internal {
		x.h.logger.Error("request failed", "err", f.Cause, "request", x.requestID(), "host", x.host)
	}
	x.wrote = true
	h := x.w.Header()
	clear(h)
	x.endsConnection(h)
	writeFault(x.w, x.r, f, x.requestID())
	x.status = f.Status
}

// contain makes a panic cost the exchange alone (T83).
func (x *exchange) contain() {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal
		panic(v)
	}
	x.h.logger.Error("panic in a request", "panic", v, "request", x.requestID(), "stack", string(debug.Stack()))
	if x.wrote {
		panic(http.ErrAbortHandler)
	}
	x.closing = true
	x.fail(fault.New(fault.Internal))
}

func (x *exchange) requestID() string {
	if x.id == "" {
		x.id = id.New("req")
	}
	return x.id
}

// refuse is the fault for a request that is not valid HTTP. The connection
// ends with it.
func (x *exchange) refuse(f *fault.Error) error {
	x.closing = true
	return f
}

// admit judges the request by itself: what net/http lets through and may not
// go further (reliability-security.md 4).
func (x *exchange) admit() error {
	r := x.r
	switch r.Method {
	case http.MethodConnect, http.MethodTrace:
		return x.refuse(fault.New(fault.MethodRefused, r.Method))
	}
	host, ok := canonicalHost(r.Host)
	if !ok {
		return x.refuse(fault.New(fault.NoHost))
	}
	x.host = host
	if x.target, ok = requestTarget(r); !ok {
		return x.refuse(fault.New(fault.BadRequest, "the request target is malformed"))
	}
	if headerTooLarge(r.Header) {
		return x.refuse(fault.New(fault.HeaderTooLarge))
	}
	return nil
}

// find sets the member that serves the request, waiting for it if its agent is
// expected back.
func (x *exchange) find() error {
	err := x.look()
	if fault.Has(err, fault.EndpointOffline) && x.mayWait() {
		return x.await()
	}
	return err
}

// look looks into the table as it is now.
func (x *exchange) look() error {
	t := x.h.router.Table()
	pool := t.Lookup(endpoint.Public, x.cc.scheme, x.host, x.cc.port)
	if pool == nil {
		if x.redirects(t) {
			x.redirect()
			return errDone
		}
		return fault.New(fault.EndpointOffline, x.url())
	}
	if x.cc.scheme != endpoint.HTTPS {
		x.ep = pool.Pick()
		return nil
	}
	// The handshake was made under one set of TLS settings; only members with
	// the same ones may answer on this connection (decision 36, T11).
	if x.ep = pool.PickTLS(x.cc.tlsID); x.ep == nil || x.host != x.cc.sni && !x.cc.covers(x.host) {
		return fault.New(fault.Misdirected, x.cc.sni, x.host)
	}
	return nil
}

// mayWait reports whether an agent for the name may be back in a moment.
func (x *exchange) mayWait() bool {
	if x.cc.awaited && x.host == x.cc.sni {
		return false // the handshake has waited already
	}
	if x.h.router.Expected(x.cc.scheme, x.host, x.cc.port) {
		return true
	}
	if x.cc.scheme == endpoint.HTTP && x.h.redirect != 0 && x.h.router.Expected(endpoint.HTTPS, x.host, 443) {
		return true
	}
	if time.Since(x.h.startedAt) >= returnWindow {
		return false
	}
	for _, d := range x.h.domains {
		if x.host != d && endpoint.Under(x.host, d) {
			return true
		}
	}
	return false
}

// await looks again at each change of the table, for a bounded time and with a
// bounded number of others.
func (x *exchange) await() error {
	offline := fault.New(fault.EndpointOffline, x.url())
	defer x.h.waiting.Add(-1)
	if x.h.waiting.Add(1) > int64(x.h.waiters) {
		return offline
	}
	timer := time.NewTimer(returnWait)
	defer timer.Stop()
	for {
		changed := x.h.router.Changed() // before the look, so that no change is missed
		if err := x.look(); !fault.Has(err, fault.EndpointOffline) {
			return err
		}
		select {
		case <-changed:
		case <-timer.C:
			return offline
		case <-x.r.Context().Done():
			return errClientGone
		}
	}
}

// redirects reports whether a plain request is to be sent to https: only
// https serves the name (endpoints.md 4.3).
func (x *exchange) redirects(t *route.Table) bool {
	return x.cc.scheme == endpoint.HTTP && x.cc.port == 80 && x.h.redirect != 0 &&
		t.Lookup(endpoint.Public, endpoint.HTTPS, x.host, 443) != nil
}

// redirect sends the client to the same address over https.
func (x *exchange) redirect() {
	var to strings.Builder
	to.WriteString("https://")
	to.WriteString(x.host)
	if p := x.h.httpsPort; p != 0 && p != 443 {
		to.WriteString(":" + strconv.Itoa(int(p)))
	}
	if x.target != "*" {
		to.WriteString(x.target)
	}
	h := x.w.Header()
	h["Location"] = []string{to.String()}
	h["Content-Length"] = []string{"0"}
	h["Date"] = nil
	x.endsConnection(h)
	x.wrote, x.status = true, x.h.redirect
	x.w.WriteHeader(x.h.redirect)
}

// url returns the address that the client asked for, to be shown.
func (x *exchange) url() string {
	u := endpoint.URL{Scheme: x.cc.scheme, Host: x.host, Port: x.cc.port}
	return u.String()
}

// endsConnection says Connection: close where the connection ends with this
// answer: it was asked for, or bytes of the request are left on it.
func (x *exchange) endsConnection(h http.Header) {
	if x.r.ProtoMajor != 1 {
		return
	}
	if x.closing || !x.body.complete() {
		h["Connection"] = []string{"close"}
	}
}
