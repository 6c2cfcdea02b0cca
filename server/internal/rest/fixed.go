package rest

import (
	"net/http"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// documentPath is where the OpenAPI document is. It needs no key (decisions.md 55).
const documentPath = "/openapi.json"

// fixed returns what GET of a path does that belongs to no resource.
func (s *Server) fixed(path string) (do func(q *request) (answer, error), ok bool) {
	switch {
	case path == "/":
		return s.root, true
	case path == "/self" && s.cfg.Self != nil:
		return s.self, true
	case path == api.UsagePath && s.cfg.Usage != nil:
		return s.usage, true
	}
	return nil, false
}

// root lists what there is.
func (s *Server) root(q *request) (answer, error) {
	uris := map[string]string{}
	for path := range s.byPath {
		uris[strings.ReplaceAll(path[1:], "/", "_")] = q.caller.Origin + path
	}
	return answer{status: http.StatusOK, body: api.Root{URI: q.caller.Origin + "/", SubresourceURIs: uris}}, nil
}

// self tells callers who they are.
func (s *Server) self(q *request) (answer, error) {
	account, user, err := s.cfg.Self(q.Context(), q.caller)
	if err != nil {
		return answer{}, err
	}
	self := api.Self{Account: account, User: user}
	if keys := s.byPath["/api_keys"]; keys != nil && q.caller.Credential != "" {
		if self.APIKey, err = keys.Get(q.Context(), q.caller, q.caller.Credential); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, body: self}, nil
}

// retiredLists are the collections of older resources with the keys of their lists (api.md 2.20).
var retiredLists = map[string]string{
	"/edges/https": "https_edges", "/edges/tcp": "tcp_edges", "/edges/tls": "tls_edges",
	"/backends/failover": "backends", "/backends/http_response": "backends", "/backends/static": "backends",
	"/backends/tunnel_group": "backends", "/backends/weighted": "backends",
	"/endpoint_configurations": "endpoint_configurations",
}

// retired reports whether a path is one of an older resource, and the key of its list if it is a collection.
func retired(path string) (key string, ok bool) {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "edges", "backends", "endpoint_configurations", "pointcfg_module":
		return retiredLists[path], true
	}
	return "", false
}

// retired answers for older resources: nothing is in their lists, and nothing else can be done with them.
func (s *Server) retired(q *request, key string) (answer, error) {
	if key == "" || q.method() != http.MethodGet {
		return answer{}, fault.New(fault.ResourceRetired, q.URL.Path)
	}
	page := map[string]any{key: []any{}, "uri": q.caller.Origin + q.URL.Path, "next_page_uri": nil}
	return answer{status: http.StatusOK, body: page}, nil
}
