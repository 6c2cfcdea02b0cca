package ngrokv1_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/config"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// TestModules uses the options that only this version of the SDK has. Policies do their work at the server.
func TestModules(t *testing.T) { //nolint:tparallel // one session has them all
	t.Parallel()
	s := oracle.Start(t)
	conn, err := connect(t, oracle.Settings{CA: s.CA, Addr: s.AgentAddr, Token: s.Token})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sess := conn.(*session) //nolint:errcheck // connect makes no other
	listen := func(opts ...config.HTTPEndpointOption) string {
		t.Helper()
		tun, err := sess.sess.Listen(sess.ctx, config.HTTPEndpoint(opts...))
		if err != nil {
			t.Fatal(err)
		}
		go oracle.Serve(tun, oracle.App{Name: "app", Kind: "http"})
		return tun.URL()
	}

	t.Run("basic auth", func(t *testing.T) {
		u := listen(config.WithBasicAuth("user", "pass:word"), config.WithBasicAuth("other", "${password}"))
		resp, _ := visit(t, s, u)
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("nobody: %d, asked with %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
		}
		for pair, want := range map[[2]string]int{
			{"user", "pass:word"}: 200, {"other", "${password}"}: 200, {"user", "${password}"}: 401, {"other", "password"}: 401,
		} {
			if resp, _ := visit(t, s, u, func(r *http.Request) { r.SetBasicAuth(pair[0], pair[1]) }); resp.StatusCode != want {
				t.Errorf("%v: %d, want %d", pair, resp.StatusCode, want)
			}
		}
	})
	t.Run("addresses", func(t *testing.T) {
		_, here, err := net.ParseCIDR("127.0.0.0/8")
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			opts []config.HTTPEndpointOption
			code string
		}{
			"allowed":     {[]config.HTTPEndpointOption{config.WithAllowCIDRString("127.0.0.1/32", "::1/128")}, ""},
			"allowed net": {[]config.HTTPEndpointOption{config.WithAllowCIDR(here)}, ""},
			"others":      {[]config.HTTPEndpointOption{config.WithAllowCIDRString("10.0.0.0/8")}, "ERR_NGROK_3203"},
			"denied":      {[]config.HTTPEndpointOption{config.WithAllowCIDRString("0.0.0.0/0", "::/0"), config.WithDenyCIDRString("127.0.0.0/8", "::1/128")}, "ERR_NGROK_3203"},
		} {
			if resp, _ := visit(t, s, listen(tt.opts...)); resp.Header.Get("Ngrok-Error-Code") != tt.code {
				t.Errorf("%s: %d %q, want %q", name, resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"), tt.code)
			}
		}
	})
	t.Run("addresses of tcp", func(t *testing.T) {
		tun, err := sess.sess.Listen(sess.ctx, config.TCPEndpoint(config.WithAllowCIDRString("10.0.0.0/8")))
		if err != nil {
			t.Fatal(err)
		}
		go oracle.Serve(tun, oracle.App{Name: "app", Kind: "tcp"})
		to, err := url.Parse(tun.URL())
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", "127.0.0.1:"+to.Port())
		if errors.Is(err, syscall.ECONNRESET) {
			return // closed sooner than it was open here
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // it is a connection
		_, _ = io.WriteString(c, "hello\n")                 // the end shows in what is read
		if got, err := io.ReadAll(c); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("answered %q, %v, want the connection closed", got, err)
		}
	})
	t.Run("headers", func(t *testing.T) {
		u := listen(
			config.WithRequestHeader("x-added", "one"), config.WithRequestHeader("x-added", "two"), config.WithRemoveRequestHeader("x-removed"),
			config.WithRequestHeader("host", "other.example"),
			config.WithResponseHeader("x-answer", "mine"), config.WithRemoveResponseHeader("content-type"),
		)
		resp, body := visit(t, s, u, func(r *http.Request) { r.Header.Set("X-Removed", "x") })
		for _, want := range []string{`"x-added":"one;two"`, `"host":"other.example"`} {
			if !strings.Contains(body, want) {
				t.Errorf("the application saw %s, want %s", body, want)
			}
		}
		if strings.Contains(body, "x-removed") || resp.Header.Get("X-Answer") != "mine" || resp.Header.Get("Content-Type") == "application/json" {
			t.Errorf("the application saw %s and answered %v", body, resp.Header)
		}
	})
	t.Run("host rewrite", func(t *testing.T) {
		up := httptest.NewServer(oracle.Handler("app"))
		defer up.Close()
		to, err := url.Parse(up.URL)
		if err != nil {
			t.Fatal(err)
		}
		fwd, err := sess.sess.ListenAndForward(sess.ctx, to, config.HTTPEndpoint(config.WithHostHeaderRewrite(true)))
		if err != nil {
			t.Fatal(err)
		}
		if _, body := visit(t, s, fwd.URL()); !strings.Contains(body, `"host":"`+to.Host+`"`) {
			t.Errorf("the upstream saw %s, want the host %s", body, to.Host)
		}
	})
	t.Run("compression", func(t *testing.T) {
		resp, body := visit(t, s, listen(config.WithCompression())+"/bytes?n=5000") // Go asks for gzip
		if !resp.Uncompressed || len(body) != 5000 {
			t.Errorf("compressed %t, %d bytes, want true, 5000", resp.Uncompressed, len(body))
		}
	})
	t.Run("user agents", func(t *testing.T) {
		u := listen(config.WithAllowUserAgent(`good-(\d)+`), config.WithDenyUserAgent(`(?i)bot`))
		for name, want := range map[string]string{"Mozilla/5.0": "", "SomeBot": "ERR_NGROK_3211", "good-1 bot": "", "": "ERR_NGROK_3211"} {
			resp, _ := visit(t, s, u, func(r *http.Request) { r.Header.Set("User-Agent", name) })
			if got := resp.Header.Get("Ngrok-Error-Code"); got != want {
				t.Errorf("%q: %d %q, want %q", name, resp.StatusCode, got, want)
			}
		}
	})
	t.Run("circuit breaker", func(t *testing.T) {
		u := listen(config.WithCircuitBreaker(0.5))
		if resp, _ := visit(t, s, u); resp.StatusCode != http.StatusOK {
			t.Errorf("got %d", resp.StatusCode)
		}
	})
	t.Run("refused", func(t *testing.T) {
		for code, opt := range map[string]config.HTTPEndpointOption{
			"ERR_NGROK_360":    config.WithBasicAuth("user", "short"),
			"ERR_NGROK_361":    config.WithCircuitBreaker(2),
			"ERR_NGROK_393":    config.WithDenyCIDRString("10.0.0.0/8"),
			"ERR_CULVERT_1402": config.WithDenyUserAgent("("),
			"ERR_CULVERT_1103": config.WithWebhookVerification("github", "secret"),
		} {
			_, err := sess.sess.Listen(sess.ctx, config.HTTPEndpoint(opt))
			if err == nil || !strings.Contains(err.Error(), code) || strings.HasPrefix(code, "ERR_NGROK_") && library().Code(err) != code {
				t.Errorf("%v, want %s", err, code)
			}
		}
	})
}

// visit asks once, on a connection of its own.
func visit(t *testing.T, s *oracle.Server, u string, edit ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edit {
		e(req)
	}
	resp, err := s.Client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
