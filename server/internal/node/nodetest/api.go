package nodetest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert"
)

// Key is the API key of the first account's administrator, which every server of
// this package accepts.
const Key = "test_key_0123456789abcdef"

// API calls the API of a server with one key.
type API struct {
	s   *Server
	key string
}

// API calls the server with a key: with [Key], that of the first account, unless
// another one is given.
func (s *Server) API(key ...string) *API {
	return &API{s, append(slices.Clone(key), Key)[0]}
}

// For returns the same caller for a test within the server's.
func (a *API) For(tb testing.TB) *API {
	s := *a.s
	s.tb = tb
	return &API{&s, a.key}
}

// Do makes a call and returns status, headers and the answer, nil without a body.
// Headers are as official clients send them; each of more is NAME: VALUE and
// replaces one, or removes it if VALUE is empty.
func (a *API) Do(method, path, body string, more ...string) (int, http.Header, map[string]any) {
	a.s.tb.Helper()
	client := a.s.Client()
	defer client.CloseIdleConnections()
	u := path
	if !strings.Contains(path, "://") {
		u = a.s.Info.APIURL + path
	}
	req, err := http.NewRequestWithContext(context.Background(), method, u, strings.NewReader(body))
	if err != nil {
		a.s.tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Ngrok-Version", "2")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range more {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Del(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		a.s.tb.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.s.tb.Fatalf("%s %s: read body: %v", method, path, err)
	}
	var answer map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			a.s.tb.Fatalf("%s %s: %v in %q", method, path, err, text)
		}
	}
	return resp.StatusCode, resp.Header, answer
}

// Must makes a call that has to be answered with a status, and returns the
// answer.
func (a *API) Must(status int, method, path, body string) map[string]any {
	a.s.tb.Helper()
	got, _, answer := a.Do(method, path, body)
	if got != status {
		a.s.tb.Fatalf("%s %s %s: got %d %v, want %d", method, path, body, got, answer, status)
	}
	return answer
}

// Create makes an object of fields and returns its id.
func (a *API) Create(path string, fields map[string]any) (id string) {
	a.s.tb.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		a.s.tb.Fatal(err)
	}
	id, _ = a.Must(http.StatusCreated, http.MethodPost, path, string(body))["id"].(string)
	return id
}

// List returns the objects of all pages of a list.
func (a *API) List(path string) []map[string]any {
	a.s.tb.Helper()
	var all []map[string]any
	for next := path; next != ""; {
		page := a.Must(http.StatusOK, http.MethodGet, next, "")
		for _, key := range slices.Sorted(maps.Keys(page)) {
			items, ok := page[key].([]any)
			if !ok {
				continue
			}
			for _, item := range items {
				all = append(all, item.(map[string]any))
			}
		}
		next, _ = page["next_page_uri"].(string)
	}
	return all
}

// Account is one account of several on a server.
type Account struct {
	*API

	ID, Authtoken, Key string
}

// NewAccount makes a further account with an administrator, an authtoken and an
// API key. They are known at once.
func (s *Server) NewAccount(name string) *Account {
	s.tb.Helper()
	made, err := s.Node.Directory().NewAccount(context.Background(), name, name+"@example.com")
	if err != nil {
		s.tb.Fatalf("new account %s: %v", name, err)
	}
	return &Account{API: s.API(made.APIKey), ID: made.Account, Authtoken: made.Authtoken, Key: made.APIKey}
}

// Agent returns an agent of the account.
func (a *Account) Agent(opts ...culvert.AgentOption) culvert.Agent {
	a.s.tb.Helper()
	return a.s.Agent(append([]culvert.AgentOption{culvert.WithAuthtoken(a.Authtoken)}, opts...)...)
}
