package culvert_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// TestEndpoints26_RedirectsOfARewrittenHost: an upstream that is told another
// name redirects to that name; the client is led back to the endpoint's.
func TestEndpoints26_RedirectsOfARewrittenHost(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hosts := r.Header["Host"]; len(hosts) > 0 || r.Host != "localhost" {
			http.Error(w, fmt.Sprintf("Host is %q and %q", r.Host, hosts), http.StatusBadRequest)
			return
		}
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(up.Close)
	w := newWorld(t, wiretest.Script{})
	f := w.forward(w.agent(), culvert.WithUpstream(up.URL, culvert.WithUpstreamHostHeader("localhost")), culvert.WithURL("https://app.test"))
	st := w.dial(f, wire.ProxyHeader{})
	br := bufio.NewReader(st)
	for _, tc := range []struct{ to, want string }{
		{"http://localhost/x", "https://app.test:9443/x"},
		{"http://LOCALHOST:80/x?q=1", "https://app.test:9443/x?q=1"},
		{"/x", "/x"},
		{"https://elsewhere.test/x", "https://elsewhere.test/x"},
		{"http://localhost:8080/x", "http://localhost:8080/x"},
	} {
		_, _ = io.WriteString(st, "GET /?to="+tc.to+" HTTP/1.1\r\nHost: app.test:9443\r\nX-Forwarded-Proto: http, https\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusFound || got != tc.want {
			t.Errorf("redirect to %s: got %d, Location %q, %s; want %q", tc.to, resp.StatusCode, got, body, tc.want)
		}
	}
}
