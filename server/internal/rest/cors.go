package rest

import (
	"net/http"
	"slices"
	"strings"
)

// cors lets a web page of an allowed origin use the API (api.md 1.2). It reports whether the request was only to
// find that out, which the headers then answer.
func (s *Server) cors(h http.Header, r *http.Request) (preflight bool) {
	origins := *s.origins.Load()
	if len(origins) == 0 {
		return false
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "Ngrok-Operation-Id, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	methods := s.methods(r.URL.Path)
	if len(methods) == 0 {
		return false
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	if wanted := r.Header.Values("Access-Control-Request-Headers"); len(wanted) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(wanted, ", "))
	}
	h.Set("Access-Control-Max-Age", "600")
	return true
}
