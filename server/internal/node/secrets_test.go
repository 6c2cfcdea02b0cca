package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// buffer is a bytes.Buffer for several writers.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func textLogger(b *buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestK09_SecretsAreInNoLogAndNoFile(t *testing.T) {
	t.Parallel()
	const (
		good   = "canary_good_0123456789abcdef"
		bad    = "canary_bad_0123456789abcdef"
		header = "canary-header"
		query  = "canary-query"
	)
	var log buffer
	s := nodetest.Start(t, func(c *node.Config) {
		c.BootstrapAuthtoken = good
		c.Logger = textLogger(&log)
		c.AccessLog = c.Logger
	})
	ln := s.ServeHTTP(s.Agent(culvert.WithAuthtoken(good)), nodetest.Text("x"))
	resp, _ := s.Get(ln.URL().String()+"/p?token="+query, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+header)
		r.Header.Set("Cookie", "session="+header)
	})
	if resp.StatusCode != 200 {
		t.Fatalf("got %d", resp.StatusCode)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Agent(culvert.WithAuthtoken(bad)).Connect(ctx); err == nil || strings.Contains(err.Error(), bad) {
		t.Errorf("the refusal of a token: %v", err)
	}
	s.Restart()
	s.Stop()
	text := log.String()
	if !strings.Contains(text, "agent online") || !strings.Contains(text, "msg=request") {
		t.Fatalf("the log has not what this test looks through:\n%s", text)
	}
	files, err := filepath.Glob(filepath.Join(s.Info.DataDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	for _, secret := range []string{good, bad, header, query} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in a log or file", secret)
		}
	}
}
