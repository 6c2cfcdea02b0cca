package agent

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	culvert "github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/agent/fileserver"
	"github.com/culvert-project/culvert/internal/fault"
)

// Bounds of requests for files. The edge has checked them already; these keep
// the agent safe on its own.
const (
	filesHeaderTime = 60 * time.Second
	filesIdleTime   = 5 * time.Minute
	filesHeaderSize = 1 << 20
)

// files is an endpoint whose requests the agent answers itself.
type files struct {
	server *http.Server
	root   *fileserver.Server
	done   chan struct{}
}

// serveFiles brings an endpoint with a file:// upstream online.
func (r *run) serveFiles(ctx context.Context, s config.Spec) error {
	root, err := fileserver.Open(s.Upstream.Path)
	if err != nil {
		return fault.Wrap(err, fault.FileServer, s.Upstream.Path, err)
	}
	l, err := r.agent.Listen(ctx, endpointOptions(s)...)
	if err != nil {
		_ = root.Close()
		return err
	}
	f := &files{root: root, done: make(chan struct{})}
	f.server = &http.Server{
		Handler:           r.observed(root, l),
		ReadHeaderTimeout: filesHeaderTime,
		IdleTimeout:       filesIdleTime,
		MaxHeaderBytes:    filesHeaderSize,
		ErrorLog:          slog.NewLogLogger(r.cfg.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(f.done)
		_ = f.server.Serve(l) // always an error: the listener or the server was closed
	}()
	r.mu.Lock()
	r.nearby = append(r.nearby, f)
	r.mu.Unlock()
	r.keep(s.Name, l)
	return nil
}

// close finishes requests under way, for the drain time at most.
func (f *files) close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if f.server.Shutdown(ctx) != nil {
		_ = f.server.Close()
	}
	<-f.done
	_ = f.root.Close()
}

// served tells the monitor about one request that the agent answered itself,
// as the SDK tells about forwarded ones.
type served struct {
	culvert.EventHTTPRequestComplete
	at time.Time
}

// EventType tells which event this is.
func (*served) EventType() culvert.EventType { return culvert.EventTypeHTTPRequestComplete }

// Timestamp returns when the request was complete.
func (s *served) Timestamp() time.Time { return s.at }

// observed reports every request of h to the monitor.
func (r *run) observed(h http.Handler, e culvert.Endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(sw, req)
		r.monitor.queue.put(&served{at: time.Now(), EventHTTPRequestComplete: culvert.EventHTTPRequestComplete{
			Endpoint: e, Method: req.Method, Path: req.URL.Path, StatusCode: sw.status, Duration: time.Since(began),
		}})
	})
}

// statusWriter remembers the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets net/http reach the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
