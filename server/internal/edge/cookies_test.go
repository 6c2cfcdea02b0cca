package edge

import (
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// TestLimit_CookiesAndParameters: 3000 cookies pass and no more; a query of more
// than 10 000 pairs passes as it is, over either version of HTTP.
func TestLimit_CookiesAndParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Count(r.URL.RawQuery, "&") != 10_001 && r.URL.Path == "/query" {
			rw.WriteHeader(http.StatusTeapot)
		}
	}))
	for _, c := range []*http.Client{w.h1(), w.h2()} {
		for n, status := range map[int]int{3000: 200, 3001: 431} {
			got := do(t, c, "GET", "/", nil, header("Cookie", strings.TrimSuffix(strings.Repeat("a=b; ", n), "; ")))
			if code := got.Header.Get("Ngrok-Error-Code"); got.StatusCode != status || status == 431 && code != string(fault.HeaderTooLarge) {
				t.Errorf("%s, %d cookies: got %d %s, want %d", got.Proto, n, got.StatusCode, code, status)
			}
		}
		wantStatus(t, do(t, c, "GET", "/query?"+strings.Repeat("a=b&", 10_001), nil), 200, "")
	}
}
