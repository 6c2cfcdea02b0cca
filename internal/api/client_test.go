package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://api.example.com":       "https://api.example.com",
		"http://127.0.0.1:9400/":        "http://127.0.0.1:9400",
		"http://[::1]:9400":             "http://[::1]:9400",
		"api.example.com":               "",
		"localhost:9400":                "",
		"":                              "",
		"https://":                      "",
		"https://:9400":                 "",
		"ftp://api.example.com":         "",
		"https://api.example.com/v1":    "",
		"https://api.example.com?x=1":   "",
		"https://api.example.com#x":     "",
		"https://key@api.example.com":   "",
		"https://api.example.com:port/": "",
	} {
		u, err := api.ParseBase(text)
		if want == "" && !fault.Has(err, fault.APIURLInvalid) || want != "" && (err != nil || u.String() != want) {
			t.Errorf("ParseBase(%q) = %v, %v, want %q", text, u, err, want)
		}
	}
}

// newClient returns a client of a server that answers as h does.
func newClient(t *testing.T, h http.HandlerFunc) (*api.Client, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := api.NewClient(server.URL, "secret_key", "culvert/test", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, server.URL
}

func TestClientSends(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		fmt.Fprintf(w, `{"told":%q}`, strings.Join([]string{r.Method, r.URL.String(), h.Get("Authorization"), h.Get("Ngrok-Version"), h.Get("Content-Type"), h.Get("User-Agent")}, "|"))
	})
	a, err := c.Do(t.Context(), http.MethodPost, "/vaults", nil, map[string]any{"name": "x"})
	if err != nil || string(a.Body) != `{"told":"POST|/vaults|Bearer secret_key|2|application/json|culvert/test"}` {
		t.Errorf("Do = %+v, %v", a, err)
	}
}

func TestClientOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   fault.Code
		told   string
	}{
		{"done", 200, `{"id":"x"}`, "", ""},
		{"no content", 204, "", "", ""},
		{"refused", 400, `{"error_code":"ERR_NGROK_23004","status_code":400,"msg":"Taken.\n\nTake another.","details":{}}`, "", "Taken (ERR_NGROK_23004)"},
		{"not found", 404, `{"status_code":404,"msg":"Not Found","details":{}}`, "", "Not Found"},
		{"no JSON", 502, "<html>", fault.APIAnswer, ""},
		{"not our JSON", 404, `{"error":"x"}`, fault.APIAnswer, ""},
		{"no body", 500, "", fault.APIAnswer, ""},
		{"success without JSON", 200, "<html>", fault.APIAnswer, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			a, err := c.Do(t.Context(), http.MethodGet, "/x", nil, nil)
			refused, isRefused := errors.AsType[*api.AnswerError](err)
			switch {
			case tt.code != "" && !fault.Has(err, tt.code), tt.told != "" && (!isRefused || refused.Error() != tt.told):
				t.Errorf("Do = %v, want %s%s", err, tt.code, tt.told)
			case tt.code == "" && tt.told == "" && (err != nil || a.Status != tt.status || string(a.Body) != tt.body):
				t.Errorf("Do = %+v, %v", a, err)
			}
		})
	}
}

// The key goes to the server that it is for, and to no other.
func TestClientStaysAtItsServer(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked for %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	c, own := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/vaults", http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		default:
			fmt.Fprint(w, `{}`)
		}
	})
	if _, err := c.Next(t.Context(), own+"/vaults?before_id=x"); err != nil {
		t.Errorf("Next at the same server: %v", err)
	}
	for _, uri := range []string{other.URL + "/vaults", "/vaults", "//x/vaults", "http://u@" + strings.TrimPrefix(own, "http://") + "/vaults", "https" + strings.TrimPrefix(own, "http"), "%"} {
		if _, err := c.Next(t.Context(), uri); !fault.Has(err, fault.APIElsewhere) {
			t.Errorf("Next(%s) = %v, want %s", uri, err, fault.APIElsewhere)
		}
	}
	if _, err := c.Do(t.Context(), http.MethodGet, "/away", nil, nil); !fault.Has(err, fault.APIElsewhere) {
		t.Errorf("redirect to another server: %v, want %s", err, fault.APIElsewhere)
	}
	if _, err := c.Do(t.Context(), http.MethodGet, "/loop", nil, nil); !fault.Has(err, fault.APIUnreachable) {
		t.Errorf("redirects without end: %v, want %s", err, fault.APIUnreachable)
	}
}

func TestClientWithoutServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	c, err := api.NewClient(server.URL, "k", "culvert", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), http.MethodGet, "/", nil, nil); !fault.Has(err, fault.APIUnreachable) {
		t.Errorf("Do = %v, want %s", err, fault.APIUnreachable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, http.MethodGet, "/", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Do with an ended context = %v", err)
	}
}

func TestClientBoundsAnswers(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat(" ", 1<<20))
		for range 65 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	if _, err := c.Do(t.Context(), http.MethodGet, "/", nil, nil); !fault.Has(err, fault.APIAnswer) {
		t.Errorf("Do = %v, want %s", err, fault.APIAnswer)
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":  `{"vaults":[{"id":"3"},{"id":"2"}],"uri":"u","next_page_uri":"%s/vaults?p=2"}`,
		"2": `{"vaults":[{"id":"1"}],"uri":"u","next_page_uri":null}`,
		"x": `{"vaults":[],"uri":"u","next_page_uri":"%[1]s/vaults?p=x"}`,
	}
	c, own := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.ReplaceAll(strings.ReplaceAll(pages[r.FormValue("p")], "%s", "http://"+r.Host), "%[1]s", "http://"+r.Host))
	})
	for start, want := range map[string]string{
		"/vaults":     `{"next_page_uri":null,"uri":"u","vaults":[{"id":"3"},{"id":"2"},{"id":"1"}]}`,
		"/vaults?p=x": `{"next_page_uri":null,"uri":"u","vaults":[]}`,
	} {
		first, err := c.Next(t.Context(), own+start)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := c.Rest(t.Context(), first, "vaults")
		if err != nil || string(whole.Body) != want {
			t.Errorf("Rest from %s = %+v, %v, want %s", start, whole, err, want)
		}
	}
	if _, err := c.Rest(t.Context(), &api.Answer{Body: json.RawMessage(`{"x":[]}`)}, "vaults"); !fault.Has(err, fault.APIAnswer) {
		t.Errorf("Rest of no list = %v, want %s", err, fault.APIAnswer)
	}
}
