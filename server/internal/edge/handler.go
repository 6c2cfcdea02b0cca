package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/h1"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// handlerConfig is what serving requests needs of the server.
type handlerConfig struct {
	router    *route.Router
	returning *returning
	// redirect is the status with which a plain request for a name that only
	// https serves is sent there, 307 or 308; 0 is off.
	redirect int
	// httpsPort is the port that clients use for https.
	httpsPort uint16
	forwarded Forwarded
	limits    Limits
	// leaving ends when upgraded connections are to be told that the server
	// goes.
	leaving context.Context //nolint:containedctx // an event for all connections
	// services answer what policies ask of the world outside.
	services policy.Services
	// admits says whether an address may use the endpoints of an account.
	admits func(account string, client netip.Addr) error
	// challenges prove names to authorities; nil: none.
	challenges Challenges
	region     string
	// accessLog gets a line for each request. nil: none.
	accessLog *slog.Logger
	logger    *slog.Logger
}

// handler serves the requests of all public HTTP connections.
type handler struct {
	handlerConfig
	plain   *h1.Client // for upstreams that send no fault records
	records *h1.Client // for those that do
	// sockets counts the connections that switched protocols, of which net/http
	// knows no longer.
	sockets counter
	// ending makes each request the last one of its connection.
	ending atomic.Bool
}

// everybody lets all addresses in.
func everybody(string, netip.Addr) error { return nil }

func newHandler(cfg handlerConfig) *handler {
	if cfg.admits == nil {
		cfg.admits = everybody
	}
	return &handler{
		handlerConfig: cfg,
		plain:         h1.NewClient(upstreamLimits(cfg.limits, nil)),
		records:       h1.NewClient(upstreamLimits(cfg.limits, parseRecord)),
	}
}

// upstreamLimits are the bounds of what an upstream answers.
func upstreamLimits(l Limits, foreign func([]byte) (error, bool)) h1.Config {
	return h1.Config{
		MaxFields: l.Fields, MaxTrailer: l.TrailerBytes, MaxTrailerFields: l.TrailerFields,
		MaxInterim: l.Interim, Idle: l.IdleTimeout, Foreign: foreign,
	}
}

// exchange is one request on its way through the edge. It belongs to the
// goroutine of the request.
type exchange struct {
	h  *handler
	w  http.ResponseWriter
	r  *http.Request
	cc *clientConn
	// ctx ends when the client goes away.
	ctx context.Context //nolint:containedctx // the request's own, or a child of it

	host   string // canonical
	target string // of the upstream's request line
	ep     *route.Endpoint
	body   *requestBody
	expect bool       // the client waits for 100 before it sends the body
	fields [3]string  // values of the fields that the edge sets
	req    h1.Request // what an upstream of HTTP/1.1 gets
	filled bool       // the response's fields are those of w already
	run    *run       // of the endpoint's policy, nil if it has none
	inner  *inner     // set if a policy forwarded to an internal endpoint

	out pace // of the response
	// judged is the body whose pace counts, nil for none.
	judged atomic.Pointer[requestBody]

	unwatched bool
	detached  func() bool // ends the link of ctx to the request's; may be nil
	last      bool        // the connection takes no request after this one
	closing   bool        // an HTTP/1 connection ends after this exchange
	id        string
	start     time.Time // set when there is an access log
	wrote     bool      // a final head was written
	dirty     bool      // something was written and not flushed
	status    int
	sent      int64
	fault     *fault.Error
	wait      time.Duration // until what the fault says is over; 0 if nobody knows
}

// Errors of an exchange that get no answer.
var (
	errDone       = errors.New("answered")
	errClientGone = errors.New("client went away")
)

// ServeHTTP serves one request of the connection that is in its context.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, r: r, cc: connFrom(r.Context()), ctx: r.Context()}
	if h.accessLog != nil {
		x.start = time.Now()
		defer x.log() //nolint:contextcheck // the request in x has it
	}
	defer x.contain()
	x.last = x.cc.watch.begin(x) >= h.limits.Requests || h.ending.Load() || x.cc.handedOver
	defer x.leave()
	x.cc.linger(false)
	x.finish(x.serve()) //nolint:contextcheck // the request in x has it
}

// leave undoes what ServeHTTP and detach have set up.
func (x *exchange) leave() {
	x.unwatch()
	if x.detached != nil {
		x.detached()
	}
}

// unwatch ends the watch for idleness, once.
func (x *exchange) unwatch() {
	if !x.unwatched {
		x.unwatched = true
		x.cc.watch.done(x)
	}
}

func (x *exchange) serve() error {
	if err := x.admit(); err != nil {
		return err
	}
	if x.prove() {
		return nil
	}
	if err := x.find(); err != nil {
		return err
	}
	if err := x.count(); err != nil {
		return err
	}
	if x.ep.Gone != nil {
		defer context.AfterFunc(x.ep.Gone, x.cut)()
	}
	if x.ep.Policy != nil {
		return x.govern()
	}
	return x.forward()
}

// finish turns the outcome of an exchange into what the client sees.
func (x *exchange) finish(err error) {
	if x.r.ProtoMajor == 1 && (x.body == nil && x.r.ContentLength != 0 || !x.body.complete()) {
		// The rest of the upload is drained when the connection is closed, so
		// that no reset overtakes the answer. net/http is not to wait for it.
		x.cc.linger(true)
		_ = http.NewResponseController(x.w).SetReadDeadline(longAgo) // a connection that cannot is at its end
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
		if !x.r.ProtoAtLeast(1, 1) {
			x.cc.breakOff() // HTTP/1.0 may tell the end by nothing but the connection's
		}
		panic(http.ErrAbortHandler)
	default:
		x.fail(fault.From(err))
	}
}

// fail answers with a fault.
func (x *exchange) fail(f *fault.Error) {
	f = x.redacted(f)
	x.fault = f
	if f.Code == fault.Internal {
		x.h.logger.Error("request failed", "err", f.Cause, "request", x.requestID(), "host", x.host)
	}
	if f.Code == fault.InterpolationFailed {
		x.h.logger.Debug("an expression of the policy failed", "err", f, "request", x.requestID(), "host", x.redactor().Text(x.host))
	}
	x.wrote = true
	h := x.w.Header()
	clear(h)
	x.endsConnection(h)
	if x.wait > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int((x.wait + time.Second - 1) / time.Second))}
	}
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
	x.h.logger.Error("panic in a request", "panic", x.redactor().Text(fmt.Sprint(v)), "request", x.requestID(), "stack", string(debug.Stack()))
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
	if r.ProtoMajor > 1 && !consistent2(r) {
		return x.refuse(fault.New(fault.BadRequest, "its head contradicts itself"))
	}
	host, ok := canonicalHost(r.Host)
	if !ok {
		return x.refuse(fault.New(fault.NoHost))
	}
	x.host = host
	if x.target, ok = requestTarget(r, x.cc.scheme); !ok {
		return x.refuse(fault.New(fault.BadRequest, "the request target is malformed"))
	}
	if x.h.limits.headerTooLarge(r.Header) {
		return x.refuse(fault.New(fault.HeaderTooLarge))
	}
	return nil
}

// endsConnection says Connection: close where the connection ends with this
// answer: it was asked for, or bytes of the request are left on it.
func (x *exchange) endsConnection(h http.Header) {
	if x.r.ProtoMajor != 1 {
		if x.last {
			h["Connection"] = []string{"close"} // makes net/http say GOAWAY
		}
		return
	}
	if x.last || x.closing || !x.body.complete() {
		h["Connection"] = []string{"close"}
	}
}
