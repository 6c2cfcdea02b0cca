package node

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// health is what the server says of itself.
type health struct {
	ready atomic.Bool
	why   atomic.Pointer[string] // it is not ready; nil: nothing in particular
	pulse atomic.Pointer[pulse]  // of the database; nil before it is open
}

// because notes why the server is not ready yet.
func (h *health) because(why string) { h.why.Store(&why) }

// serve answers /healthz, which is 200 as long as the process runs, and /readyz,
// which is 200 while traffic is served: also while the database is away, which it
// says then, because who asks is a load balancer.
func (h *health) serve(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, "ok"
	if r.URL.Path == readyPath {
		status, text = h.readiness(r.Context())
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the caller is gone
}

func (h *health) readiness(ctx context.Context) (status int, text string) {
	if !h.ready.Load() {
		if why := h.why.Load(); why != nil {
			return http.StatusServiceUnavailable, "not ready: " + *why
		}
		return http.StatusServiceUnavailable, "not ready"
	}
	if p := h.pulse.Load(); p != nil && p.check(ctx) != nil {
		return http.StatusOK, "ready\nthe database is not available: what is online stays so, and the API refuses"
	}
	return http.StatusOK, "ready"
}
