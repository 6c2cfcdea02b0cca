package oracle

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait of the suite. It is long because a busy machine is no fault of the server.
const patience = 30 * time.Second

// Client is an HTTP client on the public side. Every name is this machine; certificates of the server are trusted and
// checked. It follows no redirects.
func (s *Server) Client(t *testing.T, certs ...tls.Certificate) *http.Client {
	t.Helper()
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		TLSClientConfig:   &tls.Config{RootCAs: s.Pool, Certificates: certs},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Get fetches u with client and returns what the http application saw.
func Get(t *testing.T, client *http.Client, u string) Seen {
	t.Helper()
	seen, err := get(t.Context(), client, u)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func get(ctx context.Context, client *http.Client, u string) (Seen, error) {
	return do(ctx, client, http.MethodGet, u, nil)
}

func do(ctx context.Context, client *http.Client, method, u string, body io.Reader) (seen Seen, err error) {
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return seen, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return seen, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return seen, fmt.Errorf("%s %s: body: %w", method, u, err)
	}
	if resp.StatusCode != http.StatusOK {
		return seen, &StatusError{resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"), string(text)}
	}
	if err := json.Unmarshal(text, &seen); err != nil {
		return seen, fmt.Errorf("%s %s: %q: %w", method, u, text, err)
	}
	return seen, nil
}

// StatusError is an answer other than 200.
type StatusError struct {
	Status int
	Code   string // Ngrok-Error-Code, if any
	Body   string
}

// Error tells it.
func (e *StatusError) Error() string {
	body := e.Body
	if len(body) > 300 {
		body = body[:300] + "…"
	}
	return fmt.Sprintf("status %d, code %q, body %q", e.Status, e.Code, body)
}

// hostPort is where a public client connects to for a URL.
func hostPort(t *testing.T, u string) (host, addr string) {
	t.Helper()
	p, err := url.Parse(u)
	if err != nil || p.Port() == "" {
		t.Fatalf("URL %q: want one with a port: %v", u, err)
	}
	return p.Hostname(), net.JoinHostPort("127.0.0.1", p.Port())
}

// Dial opens a connection to where u points, speaking nothing yet.
func Dial(t *testing.T, u string) net.Conn {
	t.Helper()
	_, addr := hostPort(t, u)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// DialTLS opens a TLS connection to the name in u. The caller sets what to trust in cfg.
func DialTLS(t *testing.T, u string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	host, _ := hostPort(t, u)
	cfg = cfg.Clone()
	cfg.ServerName = host
	conn := tls.Client(Dial(t, u), cfg)
	return conn, conn.HandshakeContext(t.Context())
}

// MustDialTLS is DialTLS where no failure is expected.
func MustDialTLS(t *testing.T, u string, cfg *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := DialTLS(t, u, cfg)
	if err != nil {
		t.Fatalf("TLS to %s: %v", u, err)
	}
	return conn
}

// Talk says hello to the tcp application at the other end of conn and returns its name.
func Talk(t *testing.T, conn net.Conn) string {
	t.Helper()
	return talk(t, conn, "one\n")
}

// TalkFirst does the same but does not wait for the application to speak first.
func TalkFirst(t *testing.T, conn net.Conn) string {
	t.Helper()
	if _, err := io.WriteString(conn, "one\n"); err != nil {
		t.Fatal(err)
	}
	return talk(t, conn, "")
}

func talk(t *testing.T, conn net.Conn, then string) string {
	t.Helper()
	in := bufio.NewReader(conn)
	name := line(t, in)
	name, ok := strings.CutPrefix(name, "hello ")
	if !ok {
		t.Fatalf("first line %q, want a hello", name)
	}
	if _, err := io.WriteString(conn, then); err != nil {
		t.Fatal(err)
	}
	if got := line(t, in); got != "one" {
		t.Fatalf("echo %q, want %q", got, "one")
	}
	return name
}

// TalkToTheEnd half-closes conn and wants the application's last word to come through.
func TalkToTheEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil || string(rest) != "bye\n" {
		t.Errorf("after half-close: %q, %v; want %q", rest, err, "bye\n")
	}
}

func line(t *testing.T, in *bufio.Reader) string {
	t.Helper()
	s, err := in.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %v (after %q)", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

// tryTalk dials u, with TLS if cfg is given, and reads the application's first line.
func tryTalk(t *testing.T, u string, cfg *tls.Config) error {
	t.Helper()
	host, addr := hostPort(t, u)
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if cfg != nil {
		cfg = cfg.Clone()
		cfg.ServerName = host
		conn = tls.Client(conn, cfg)
	}
	first, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(first, "hello ") {
		return fmt.Errorf("first line %q", first)
	}
	return nil
}

// Until calls f until it is content, or fails after patience with its last complaint. It returns how long it took.
func Until(t *testing.T, what string, f func() error) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return time.Since(start)
		}
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		<-tick.C
	}
}
