package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
	"github.com/culvert-project/culvert/server/internal/control"
)

const (
	// maxBody bounds the body of a request (api.md 1.3).
	maxBody = 1 << 20
	// apiVersion is the version of the API that there is.
	apiVersion = "2"
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
	// Resources are what is served.
	Resources []control.Resource
	// Origin is the beginning of URIs in answers, such as "https://api.example.com". Default: as the request
	// came.
	Origin string
	// Logger takes what goes wrong on our side.
	Logger *slog.Logger
}

// Server is the API as an http.Handler. Make one with [New].
type Server struct {
	cfg    Config
	byPath map[string]control.Resource // by the first segment of the path
}

// New returns the API of some resources.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, byPath: map[string]control.Resource{}}
	for _, r := range cfg.Resources {
		s.byPath[strings.TrimPrefix(r.Spec().Path, "/")] = r
	}
	return s
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
}

// errNoRoute says that there is nothing at a path, or not with this method (api.md 1.7).
var errNoRoute = errors.New("rest: no such route")

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, id: id.NewSorted("op")}
	h := w.Header()
	h.Set("Ngrok-Operation-Id", q.id)
	h.Set("Cache-Control", "no-store")
	a, err := s.serve(q) //nolint:contextcheck // the request has it
	if err != nil {
		a = s.failure(q, err)
	}
	if a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests {
		h.Set("Retry-After", "1")
	}
	write(w, a)
}

func (s *Server) serve(q *request) (answer, error) {
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
	from, _ := netip.ParseAddrPort(q.RemoteAddr)
	if q.caller, err = s.cfg.Auth.APIKey(q.Context(), key, from.Addr().Unmap()); err != nil {
		return answer{}, err
	}
	q.caller.Origin = s.origin(q.Request)
	return s.route(q)
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
		if password != "" {
			return password, nil
		}
		return user, nil
	}
	return "", fault.New(fault.APIAuthScheme)
}

// origin is where the client has found the API.
func (s *Server) origin(r *http.Request) string {
	switch {
	case s.cfg.Origin != "":
		return s.cfg.Origin
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// body reads the body of a request.
func body(q *request) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, q.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.New(fault.BodyLarge)
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
	f, coded := errors.AsType[*fault.Error](err)
	switch {
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
	if e.StatusCode >= http.StatusInternalServerError {
		s.cfg.Logger.Error("a request to the API failed", "operation", q.id, "method", q.Method, "path", q.URL.Path, "err", err)
	}
	return answer{e.StatusCode, e}
}

func text(f *fault.Error) string {
	if f.Remedy == "" {
		return f.Message
	}
	return f.Message + "\n\n" + f.Remedy
}
