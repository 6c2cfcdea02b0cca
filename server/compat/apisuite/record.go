package apisuite

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// exchange is one request and its answer, as they were on the wire.
type exchange struct {
	method string
	url    *url.URL
	sent   []byte
	status int
	header http.Header
	body   []byte
}

// recorder keeps what a client sends and gets.
type recorder struct {
	base  http.RoundTripper
	after func() // called behind each answer, if not nil

	mu   sync.Mutex
	seen []exchange
}

// RoundTrip passes a request on and keeps it.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	e := exchange{method: req.Method, url: req.URL}
	if req.Body != nil {
		sent, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		e.sent = sent
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	e.body, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	e.status, e.header = resp.StatusCode, resp.Header
	resp.Body = io.NopCloser(bytes.NewReader(e.body))
	r.mu.Lock()
	r.seen = append(r.seen, e)
	r.mu.Unlock()
	if r.after != nil {
		r.after()
	}
	return resp, nil
}

// take returns what was seen since it was last asked.
func (r *recorder) take() []exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := slices.Clone(r.seen)
	r.seen = nil
	return seen
}
