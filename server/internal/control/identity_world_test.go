package control_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// firstKey is the API key of the first administrator.
const firstKey = "cvak_first_administrators_key"

// world is an API with its identities, without a node around.
type world struct {
	t         *testing.T
	url, dir  string
	db        *sqlstore.Store
	roster    *identity.Roster
	gate      *control.Gate
	directory *control.Directory
	shared    *control.Shared
	vault     *vault.Vault
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	if w.db, err = sqlstore.OpenSQLite(t.Context(), filepath.Join(w.dir, "culvert.db")); err != nil {
		t.Fatal(err)
	}
	if w.vault, err = vault.Open(w.dir); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.roster = identity.NewRoster(w.vault)
	follower := store.NewFollower(w.db, log, w.roster)
	w.shared = &control.Shared{Store: w.db, Settle: follower.Wait, Now: time.Now}
	w.directory = control.NewDirectory(w.shared, w.vault)
	if _, err := w.directory.Ensure(t.Context(), control.First{DataDir: w.dir, APIKey: firstKey}); err != nil {
		t.Fatal(err)
	}
	if err := follower.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-w.roster.Revocations() // of the load
	w.gate = control.NewGate(w.shared, w.roster, log)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = follower.Run(ctx) })
	running.Go(func() { _ = w.gate.Run(ctx) })
	server := httptest.NewServer(rest.New(rest.Config{Auth: w.gate, Logger: log, Resources: []control.Resource{
		control.NewCredentials(w.shared, w.vault), control.NewAPIKeys(w.shared, w.vault),
		control.NewServiceUsers(w.shared), control.NewBotUsers(w.shared), control.NewVaults(w.shared),
	}}))
	w.url = server.URL
	t.Cleanup(func() {
		server.Close()
		cancel()
		running.Wait()
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// call sends a request as the holder of a key and returns status, code and answer.
func (w *world) call(t *testing.T, key, method, path, body string) (status int, code fault.Code, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	req.Header.Set("Ngrok-Version", "2")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatalf("%s %s: %v in %q", method, path, err, raw)
		}
	}
	text, _ := answer["error_code"].(string)
	return resp.StatusCode, fault.Code(text), answer
}

// must is call as the first administrator, for requests that succeed.
func (w *world) must(status int, method, path, body string) map[string]any {
	w.t.Helper()
	got, _, answer := w.call(w.t, firstKey, method, path, body)
	if got != status {
		w.t.Fatalf("%s %s %s = %d %v, want %d", method, path, body, got, answer, status)
	}
	return answer
}

// made returns a text of an answer.
func made(t *testing.T, answer map[string]any, field string) string {
	t.Helper()
	text, ok := answer[field].(string)
	if !ok {
		t.Fatalf("%s of %v is no text", field, answer)
	}
	return text
}

// keyOf makes an API key for an owner, named as owner_id is.
func (w *world) keyOf(owner string) string {
	w.t.Helper()
	return made(w.t, w.must(201, "POST", "/api_keys", `{"owner_id":"`+owner+`"}`), "token")
}

// audit returns what was recorded, the oldest first.
func (w *world) audit() []store.Object[control.AuditEvent] {
	w.t.Helper()
	var all []store.Object[control.AuditEvent]
	docs := store.Collection[control.AuditEvent]{Kind: "audit"}
	_, err := w.db.View(w.t.Context(), func(tx store.Tx) error {
		for o, err := range docs.List(tx, store.Query{}) {
			if err != nil {
				return err
			}
			all = append([]store.Object[control.AuditEvent]{*o}, all...)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// eventually waits for what another goroutine does.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-w.t.Context().Done():
			w.t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// files returns all that lies in the data directory, as one text.
func (w *world) files() string {
	w.t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(w.dir, e.Name()))
		if err != nil {
			w.t.Fatal(err)
		}
		all.Write(raw)
	}
	return all.String()
}
