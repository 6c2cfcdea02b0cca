package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
)

// refusing refuses every key, with an error.
type refusing struct{ err error }

func (r refusing) APIKey(context.Context, string, netip.Addr) (*control.Caller, error) {
	return nil, r.err
}

// Who is refused and sends no body gets the answer, and does not keep the connection until the server's patience ends.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(rest.New(rest.Config{Auth: refusing{fault.New(fault.AccountSuspended)}, Logger: slog.New(slog.DiscardHandler)}))
	t.Cleanup(s.Close)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // only so that a failure ends
	if _, err = io.WriteString(c, "POST /vaults HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer wrong_key\r\nNgrok-Version: 2\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("got %v, want an answer", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("got status %d, want 403", res.StatusCode)
	}
	if _, err = io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("read the answer: %v", err)
	}
	if _, err = r.ReadByte(); errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Errorf("got %v, want the connection closed", err)
	} else if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		t.Errorf("got %v, want the connection closed", err)
	}
}

// The client is told that the database is away; why it is, the log says.
func TestLogHasTheCauseOfAFailure(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := rest.New(rest.Config{
		Auth:   refusing{fault.Wrap(errors.New("disk image on fire"), fault.DatabaseUnavailable)},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/vaults", nil)
	r.Header.Set("Authorization", "Bearer some_key")
	r.Header.Set("Ngrok-Version", "2")
	s.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "on fire") {
		t.Errorf("got %d %s, want 503 without the cause", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "disk image on fire") {
		t.Errorf("got the log %q, want the cause in it", log.String())
	}
}
