package policycase

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/culvert-project/culvert/server/internal/coding"
)

// Files are the files of a case by name.
type Files map[string][]byte

// Want is the file of a case with what has to come out.
const Want = "want"

// Hello is the answer of an upstream that a case says nothing of.
const Hello = "HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello\n"

// Split splits an archive into its cases, by name. The root is a case of its
// own if there are no directories.
func Split(a *txtar.Archive) (names []string, all map[string]Files) {
	root := Files{}
	all = map[string]Files{}
	for _, f := range a.Files {
		dir, name, ok := strings.Cut(f.Name, "/")
		if !ok {
			root[f.Name] = f.Data
			continue
		}
		if all[dir] == nil {
			all[dir] = Files{}
			names = append(names, dir)
		}
		all[dir][name] = f.Data
	}
	if len(names) == 0 {
		return []string{""}, map[string]Files{"": root}
	}
	for _, c := range all {
		for name, data := range root {
			if _, ok := c[name]; !ok {
				c[name] = data
			}
		}
	}
	return names, all
}

// numbered returns the files name, name.2, name.3 and so on.
func (c Files) numbered(name string) [][]byte {
	var list [][]byte
	data, ok := c[name]
	for n := 2; ok; n++ {
		list = append(list, data)
		data, ok = c[name+"."+strconv.Itoa(n)]
	}
	return list
}

// line returns the content of a file of one line.
func (c Files) line(name, otherwise string) string {
	if s := strings.TrimSpace(string(c[name])); s != "" {
		return s
	}
	return otherwise
}

// policy returns the document and its name.
func (c Files) policy() (string, []byte) {
	if doc, ok := c["policy.json"]; ok {
		return "policy.json", doc
	}
	return "policy.yml", c["policy.yml"]
}

// SetWant puts the outcome of a case into the archive.
func SetWant(a *txtar.Archive, dir string, want []byte) {
	name := Want
	if dir != "" {
		name = dir + "/" + Want
	}
	last := len(a.Files) - 1
	for i, f := range a.Files {
		if f.Name == name {
			a.Files[i].Data = want
			return
		}
		if strings.HasPrefix(f.Name, dir+"/") {
			last = i
		}
	}
	a.Files = slices.Insert(a.Files, last+1, txtar.File{Name: name, Data: want})
}

// split parts a message into its head, as HTTP has it, and its body.
func split(text []byte) (head []byte, body []byte) {
	head, body, _ = bytes.Cut(text, []byte("\n\n"))
	head = bytes.TrimRight(head, "\n")
	head = append(bytes.ReplaceAll(head, []byte("\n"), []byte("\r\n")), "\r\n\r\n"...)
	return head, bytes.TrimSuffix(body, []byte("\n"))
}

// ReadRequest parses a request.
func ReadRequest(text []byte) (*http.Request, error) {
	head, body := split(text)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	r.Body, r.ContentLength = content(r.Header, r.TransferEncoding, body)
	if len(body) == 0 && r.ContentLength == 0 {
		r.Body = http.NoBody
	}
	return r, nil
}

// ReadResponse parses a response to a request.
func ReadResponse(text []byte, r *http.Request) (*http.Response, error) {
	head, body := split(text)
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), r)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	resp.Body, resp.ContentLength = content(resp.Header, resp.TransferEncoding, body)
	return resp, nil
}

// content returns a body and its length. It has the codings that the header
// names, as far as they are known.
func content(h http.Header, transfer []string, body []byte) (io.ReadCloser, int64) {
	if codings, known := coding.Of(h); known && len(body) > 0 {
		for _, c := range codings {
			body = encode(c, body)
		}
	}
	n := int64(len(body))
	if len(transfer) > 0 {
		n = -1
	} else if len(body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return io.NopCloser(bytes.NewReader(body)), n
}

func encode(name string, body []byte) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch name {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	default:
		w = brotli.NewWriter(&b)
	}
	_, _ = w.Write(body) // to memory
	_ = w.Close()
	return b.Bytes()
}
