package fileserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Server is an http.Handler that serves the files of one folder.
type Server struct {
	root *os.Root
}

// Open returns a server for the folder dir, which must be an absolute path. The
// caller closes it.
func Open(dir string) (*Server, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("serve files: %q is not an absolute path", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("serve files: %w", err)
	}
	return &Server{root: root}, nil
}

// Close releases the folder. Requests that come later are answered 404.
func (s *Server) Close() error { return s.root.Close() }

// ServeHTTP answers GET and HEAD with a file or with the list of a folder.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	hidden := r.URL.Query().Get("hidden") == "1"
	name, ok := clean(r.URL.Path, hidden)
	if !ok {
		http.NotFound(w, r)
		return
	}
	f, info, err := s.open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	if !info.IsDir() {
		if strings.HasSuffix(r.URL.Path, "/") {
			redirect(w, r, "../"+path.Base(name))
			return
		}
		http.ServeContent(w, r, info.Name(), info.ModTime(), f)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/") {
		redirect(w, r, "./"+path.Base(name)+"/") // "./": a colon must not look like a scheme
		return
	}
	if s.serveIndex(w, r, name) {
		return
	}
	s.list(w, r, f, hidden)
}

// serveIndex serves the index.html of a folder, if it has one.
func (s *Server) serveIndex(w http.ResponseWriter, r *http.Request, dir string) bool {
	f, info, err := s.open(path.Join(dir, "index.html"))
	if err != nil {
		return false
	}
	defer f.Close()
	if info.IsDir() {
		return false
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
	return true
}

// errNotServed is the refusal of anything but a regular file or a folder: a
// device or a pipe could block for ever.
var errNotServed = errors.New("neither a regular file nor a folder")

// open opens a file below the root. It looks before it opens, since opening a
// named pipe waits for its other end.
func (s *Server) open(name string) (*os.File, fs.FileInfo, error) {
	info, err := s.root.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, nil, errNotServed
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// clean turns the path of a request into a name below the root. It refuses any
// ".." rather than resolving it, backslashes and NULs, and dot files unless
// hidden is set.
func clean(urlPath string, hidden bool) (string, bool) {
	if strings.ContainsAny(urlPath, "\\\x00") {
		return "", false
	}
	for part := range strings.SplitSeq(urlPath, "/") {
		if part == ".." || (!hidden && strings.HasPrefix(part, ".")) {
			return "", false
		}
	}
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if name == "" {
		return ".", true
	}
	return name, fs.ValidPath(name) && filepath.IsLocal(filepath.FromSlash(name))
}

// redirect answers with a relative location that keeps the query. The target is
// relative because the agent does not know under which name it is seen.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	to = escapePath(to)
	if q := r.URL.RawQuery; q != "" {
		to += "?" + q
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusMovedPermanently)
}
