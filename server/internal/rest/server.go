package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/control"
)

const (
	// apiVersion is the version of the API that there is.
	apiVersion = "2"
	// patience is how long the work of a request may take.
	patience = 30 * time.Second
	// lastRead is how long the rest of a body may take that comes with a request which is refused already.
	lastRead = time.Second
)

// Authenticator knows who holds a credential.
type Authenticator interface {
	// APIKey returns the caller that a key stands for. Its error is a *fault.Error for the holder to see.
	APIKey(ctx context.Context, key string, from netip.Addr) (*control.Caller, error)
}

// Config is what a [Server] is made of.
type Config struct {
	// Auth is required.
	Auth Authenticator
	// Admit judges whether an account's API may be used from an address (api.md 2.7). Nil: from everywhere.
	Admit func(account string, from netip.Addr) error
	// Resources are what is served.
	Resources []control.Resource
	// Origin is the beginning of URIs in answers, such as "https://api.example.com". Default: as the request
	// came.
	Origin string
	// Proxies are addresses whose X-Forwarded-* fields are believed: they say where a request comes from, and what
	// its client calls the API. Default: nobody's are.
	Proxies []netip.Prefix
	// Self returns the caller's account and the e-mail address of its user, "" for none. Nil: there is no
	// path /self.
	Self func(ctx context.Context, c *control.Caller) (api.Account, string, error)
	// Usage returns what an account did, and from when on there is more to ask for, the zero time if there is
	// not. Nil: there is no path /usage.
	Usage func(ctx context.Context, account string, q api.UsageQuery) ([]api.Usage, time.Time, error)
	// Origins are those of web pages that may use the API, such as "https://console.example.com". Default:
	// none.
	Origins []string
	// Limits bound what is answered at once.
	Limits Limits
	// Now is the clock that filters and limits read. Default: time.Now.
	Now func() time.Time
	// Logger takes what goes wrong on our side.
	Logger *slog.Logger
}

// Server is the API as an http.Handler. Make one with [New].
type Server struct {
	cfg      Config
	byPath   map[string]control.Resource
	routes   map[string]route // by method and path, with {id}
	limits   *limits
	origins  atomic.Pointer[[]string]
	document []byte // the OpenAPI document
}

// New returns the API of some resources. It panics when a table has an action that its resource cannot do.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, byPath: map[string]control.Resource{}, routes: map[string]route{}, limits: newLimits(cfg.Limits, cfg.Now)}
	s.origins.Store(&cfg.Origins)
	var tables []*api.Resource
	for _, r := range cfg.Resources {
		s.byPath[r.Spec().Path] = r
		tables = append(tables, r.Spec())
		s.add(r)
	}
	s.document = api.OpenAPI(tables)
	return s
}

// Change changes, while the API is served, the origins that may use it and its limits.
func (s *Server) Change(origins []string, l Limits) {
	s.origins.Store(&origins)
	s.limits.set(l)
}

// request is one request on its way.
type request struct {
	*http.Request
	caller *control.Caller
	id     string // of the operation
}

// answer is what a request gets. A nil body means none.
type answer struct {
	status int
	body   any
	// wait is when to come again, with statuses that say so.
	wait time.Duration
}

// errNoRoute says that there is nothing at a path, or not with this method (api.md 1.7).
var errNoRoute = errors.New("rest: no such route")

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), patience, fault.New(fault.APITimeout, patience))
	defer cancel()
	q := &request{Request: r.WithContext(ctx), id: id.NewSorted("op")}
	h := w.Header()
	h.Set("Ngrok-Operation-Id", q.id)
	h.Set("Cache-Control", "no-store")
	if s.cors(h, r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	a := s.answer(q) //nolint:contextcheck // the request has it
	body, err := encode(a.body)
	if err != nil {
		a = s.failure(q, err)    //nolint:contextcheck // the request has it
		body, _ = encode(a.body) //nolint:errchkjson // texts and numbers
	}
	if a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(max(1, int((a.wait+time.Second-1)/time.Second))))
	}
	if body != nil {
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if a.status >= http.StatusBadRequest {
		// Else who sends no more would keep the answer back, and a place among the connections.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lastRead)) // some writers have none
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // what cannot be sent is lost with its connection
}

// encode returns the text of a body; that of nil is nil.
func encode(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return body, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(body)
	return b.Bytes(), err
}

// answer does what a request asks for, whatever comes of it.
func (s *Server) answer(q *request) (a answer) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			a = s.failure(q, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	a, err := s.serve(q)
	if err != nil {
		return s.failure(q, err)
	}
	return a
}

// serve judges a request in the order of api.md 3.2.
func (s *Server) serve(q *request) (answer, error) {
	leave, err := s.limits.enter()
	if err != nil {
		return answer{}, err
	}
	defer leave()
	if q.URL.Path == documentPath && q.method() == http.MethodGet {
		return answer{status: http.StatusOK, body: json.RawMessage(s.document)}, nil
	}
	switch v := q.Header.Get("Ngrok-Version"); v {
	case apiVersion:
	case "":
		return answer{}, fault.New(fault.APIVersionMissing)
	default:
		return answer{}, fault.New(fault.APIVersionUnknown, v)
	}
	key, err := credential(q.Header.Get("Authorization"))
	if err != nil {
		return answer{}, err
	}
	from, origin := s.client(q.Request)
	if q.caller, err = s.cfg.Auth.APIKey(q.Context(), key, from); err != nil {
		return answer{}, err
	}
	if s.cfg.Admit != nil {
		if err := s.cfg.Admit(q.caller.Account, from); err != nil {
			return answer{}, err
		}
	}
	q.caller.Origin = cmp.Or(s.cfg.Origin, origin)
	leaveAccount, err := s.limits.enterAccount(q.caller.Account)
	if err != nil {
		return answer{}, err
	}
	defer leaveAccount()
	return s.route(q)
}

// method is that of the request; HEAD is GET, whose body is not sent.
func (q *request) method() string {
	if q.Method == http.MethodHead {
		return http.MethodGet
	}
	return q.Method
}

// credential returns the key of an Authorization header: that of Bearer, or the user name or password of Basic.
func credential(header string) (string, error) {
	if header == "" {
		return "", fault.New(fault.APIKeyMissing)
	}
	scheme, rest, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return strings.TrimSpace(rest), nil
	case "basic":
		r := http.Request{Header: http.Header{"Authorization": {header}}}
		user, password, ok := r.BasicAuth()
		if !ok {
			return "", fault.New(fault.APIAuthScheme)
		}
		if id.TokenFlaw(password) != "" && id.TokenFlaw(user) == "" { // clients fill the other one with anything
			return user, nil
		}
		return cmp.Or(password, user), nil
	}
	return "", fault.New(fault.APIAuthScheme)
}

// body reads the body of a request, which has so many bytes at most.
func body(q *request, most int64) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, q.Body, most))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.New(fault.BodyLarge, most>>10)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.RequestUnreadable, err)
	}
	if len(raw) == 0 {
		return nil, nil
	}
	typ := q.Header.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(typ) // parameters do not matter, nor does what is wrong with them
	switch {
	case typ == "":
		return nil, fault.New(fault.ContentTypeMissing)
	case media != "application/json":
		return nil, fault.New(fault.ContentType, typ)
	}
	return raw, nil
}

// failure is the answer to a request that failed.
func (s *Server) failure(q *request, err error) answer {
	e := &api.Error{Details: map[string]string{"operation_id": q.id}}
	if cause := context.Cause(q.Context()); cause != nil && errors.Is(err, q.Context().Err()) {
		err = cause
	}
	f, coded := errors.AsType[*fault.Error](err)
	path, inPath := errors.AsType[*pathError](err)
	switch {
	case inPath:
		e.ErrorCode, e.StatusCode, e.Msg = string(path.fault.Code), http.StatusNotFound, text(path.fault)
	case coded && f.Status != 0:
		e.ErrorCode, e.StatusCode, e.Msg = string(f.Code), f.Status, text(f)
	case coded: // a fault that is usually told otherwise
		e.ErrorCode, e.StatusCode, e.Msg = string(f.Code), http.StatusBadRequest, text(f)
	case errors.Is(err, errNoRoute):
		e.StatusCode, e.Msg = http.StatusNotFound, "Not Found"
		e.Details["path"] = q.URL.Path
	case errors.Is(err, control.ErrNotFound):
		e.StatusCode, e.Msg = http.StatusNotFound, "Not found: there is no such object in this account."
	default:
		f := fault.From(err)
		e.ErrorCode, e.StatusCode, e.Msg = string(f.Code), http.StatusInternalServerError, text(f)
	}
	// What fails because the client has gone is nobody's failure.
	gone := errors.Is(err, context.Canceled) || coded && errors.Is(context.Cause(q.Context()), context.Canceled)
	if e.StatusCode >= http.StatusInternalServerError && !gone {
		// The client is told of the database only that it is away; the log has the reason too.
		s.cfg.Logger.Error("a request to the API failed", "operation", q.id, "method", q.Method, "path", q.URL.Path, "err", err, "cause", fault.From(err).Cause)
	}
	a := answer{status: e.StatusCode, body: e}
	if busy, ok := errors.AsType[*busyError](err); ok {
		a.wait = busy.wait
	}
	return a
}

func text(f *fault.Error) string {
	if f.Remedy == "" {
		return f.Message
	}
	return f.Message + "\n\n" + f.Remedy
}
