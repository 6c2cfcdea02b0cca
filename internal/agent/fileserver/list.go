package fileserver

import (
	"bytes"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// maxEntries bounds the list of one folder.
const maxEntries = 10_000

// list answers with the entries of a folder, folders first, by name.
func (s *Server) list(w http.ResponseWriter, r *http.Request, dir *os.File, hidden bool) {
	entries, _ := dir.ReadDir(maxEntries) // what could be read before an error is shown
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return !hidden && strings.HasPrefix(e.Name(), ".")
	})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		if a.IsDir() != b.IsDir() {
			if a.IsDir() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name(), b.Name())
	})
	body := page(r.URL.Path, entries, hidden)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", fmt.Sprint(len(body)))
	h.Set("Cache-Control", "no-cache")
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body)
}

// page writes the list as HTML. Names are untrusted: they are escaped both as
// text and as paths.
func page(title string, entries []fs.DirEntry, hidden bool) []byte {
	query := ""
	if hidden {
		query = "?hidden=1"
	}
	var b bytes.Buffer
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n")
	fmt.Fprintf(&b, "<title>%s</title>\n<h1>%[1]s</h1>\n<ul>\n", html.EscapeString(title))
	if title != "/" && title != "" {
		fmt.Fprintf(&b, "<li><a href=\"../%s\">../</a></li>\n", query)
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		fmt.Fprintf(&b, "<li><a href=\"%s%s\">%s</a></li>\n", html.EscapeString(escapePath("./"+name)), query, html.EscapeString(name))
	}
	b.WriteString("</ul>\n</html>\n")
	return b.Bytes()
}

// escapePath escapes a relative path for use as a reference. A leading "./"
// keeps a colon in a name from being read as a scheme.
func escapePath(p string) string {
	return (&url.URL{Path: p}).EscapedPath()
}
