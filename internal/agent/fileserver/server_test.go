package fileserver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/agent/fileserver"
)

// tree writes files below a new folder and returns the folder to be served,
// "site", which has a sibling file "outside.txt".
func tree(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	for name, text := range map[string]string{
		"outside.txt":          "outside",
		"site/a.txt":           "0123456789",
		"site/.env":            "SECRET=1",
		"site/.git/config":     "[core]",
		"site/sub/b c.txt":     "b",
		"site/sub/<b>.txt":     "x",
		"site/web/index.html":  "<p>home",
		"site/sub/x:y/z.txt":   "z",
		"site/web/.hidden.txt": "h",
	} {
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	site := filepath.Join(base, "site")
	for link, to := range map[string]string{
		"escape.txt": "../outside.txt",
		"abs.txt":    filepath.Join(base, "outside.txt"),
		"up":         "..",
		"inside.txt": "a.txt",
	} {
		if err := os.Symlink(to, filepath.Join(site, link)); err != nil {
			t.Fatal(err)
		}
	}
	return site
}

func serve(t *testing.T, dir string) http.Handler {
	t.Helper()
	s, err := fileserver.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func get(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://x/", nil)
	path, query, _ := strings.Cut(target, "?")
	r.URL.Path, r.URL.RawQuery = path, query
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAgent06_FilesAndEscapes(t *testing.T) {
	t.Parallel()
	h := serve(t, tree(t))
	tests := []struct {
		name, target string
		status       int
		text         string // for 200: contained in the body
	}{
		{"file", "/a.txt", 200, "0123456789"},
		{"link that stays inside", "/inside.txt", 200, "0123456789"},
		{"space in the name", "/sub/b c.txt", 200, "b"},
		{"index", "/web/", 200, "<p>home"},
		{"list", "/sub/", 200, `<a href="./b%20c.txt">b c.txt</a>`},
		{"markup in a name", "/sub/", 200, `>&lt;b&gt;.txt</a>`},
		{"missing", "/nope", 404, ""},
		{"dot dot", "/../outside.txt", 404, ""},
		{"dot dot inside", "/sub/../a.txt", 404, ""},
		{"dot dot with hidden", "/../outside.txt?hidden=1", 404, ""},
		{"backslash", `/..\outside.txt`, 404, ""},
		{"NUL", "/a.txt\x00", 404, ""},
		{"link to the outside", "/escape.txt", 404, ""},
		{"absolute link", "/abs.txt", 404, ""},
		{"linked folder", "/up/outside.txt", 404, ""},
		{"dot file", "/.env", 404, ""},
		{"dot folder", "/.git/config", 404, ""},
		{"dot file when asked for", "/.env?hidden=1", 200, "SECRET"},
		{"dot folder when asked for", "/.git/config?hidden=1", 200, "core"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := get(t, h, http.MethodGet, tt.target)
			text := body(t, resp)
			if resp.StatusCode != tt.status || !strings.Contains(text, tt.text) {
				t.Errorf("GET %q = %d %q, want %d with %q", tt.target, resp.StatusCode, text, tt.status, tt.text)
			}
		})
	}
}

func TestListHidesDotFiles(t *testing.T) {
	t.Parallel()
	h := serve(t, tree(t))
	if text := body(t, get(t, h, http.MethodGet, "/")); strings.Contains(text, ".env") {
		t.Errorf("list shows a dot file: %s", text)
	}
	text := body(t, get(t, h, http.MethodGet, "/?hidden=1"))
	if !strings.Contains(text, `<a href="./.env?hidden=1">.env</a>`) {
		t.Errorf("list with hidden=1 lacks .env or its link: %s", text)
	}
}

func TestFolderWithoutSlashRedirects(t *testing.T) {
	t.Parallel()
	h := serve(t, tree(t))
	for target, want := range map[string]string{
		"/sub":           "./sub/",
		"/sub?hidden=1":  "./sub/?hidden=1",
		"/sub/x:y":       "./x:y/",
		"/a.txt/":        "../a.txt",
		"/sub/b c.txt/":  "../b%20c.txt",
		"/web?q=%2F%2Fe": "./web/?q=%2F%2Fe",
	} {
		resp := get(t, h, http.MethodGet, target)
		got := resp.Header.Get("Location")
		if resp.StatusCode != http.StatusMovedPermanently || got != want {
			t.Errorf("GET %s = %d to %q, want 301 to %q", target, resp.StatusCode, got, want)
		}
	}
}

func TestRangesAndMethods(t *testing.T) {
	t.Parallel()
	h := serve(t, tree(t))
	resp := get(t, h, http.MethodGet, "/a.txt", "Range", "bytes=2-4")
	if got := body(t, resp); resp.StatusCode != http.StatusPartialContent || got != "234" {
		t.Errorf("range = %d %q, want 206 %q", resp.StatusCode, got, "234")
	}
	resp = get(t, h, http.MethodHead, "/")
	if got := body(t, resp); resp.StatusCode != 200 || got != "" || resp.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD of a list = %d %q, length %s", resp.StatusCode, got, resp.Header.Get("Content-Length"))
	}
	resp = get(t, h, http.MethodPost, "/a.txt")
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if _, err := fileserver.Open("relative/dir"); err == nil {
		t.Error("a relative path was accepted")
	}
	if _, err := fileserver.Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing folder was accepted")
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fileserver.Open(file); err == nil {
		t.Error("a file was accepted as the root")
	}
}

func TestClosedServerAnswers404(t *testing.T) {
	t.Parallel()
	s, err := fileserver.Open(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, s, http.MethodGet, "/a.txt"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d after Close, want 404", resp.StatusCode)
	}
}
