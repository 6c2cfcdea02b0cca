package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxEcho bounds how much of a request's body the built-in page shows.
const maxEcho = 64 << 10

//go:embed echo.html
var echoHTML string

// echoPage shows each request as it arrived: as a page to browsers, as text to
// everybody else.
type echoPage struct{ page *template.Template }

func newEchoPage() *echoPage {
	return &echoPage{page: template.Must(template.New("echo").Parse(echoHTML))}
}

// echoed is a request as it is shown.
type echoed struct {
	Method, Path, Proto, Host, Client, Scheme, Body string
	Headers                                         []header
}

type header struct{ Name, Value string }

// ServeHTTP answers a request with itself.
func (e *echoPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, err := echoRequest(r)
	if err != nil {
		http.Error(w, "the request's body could not be read", http.StatusBadRequest)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, x.text()) // the client is gone
		return
	}
	var b bytes.Buffer
	if err := e.page.Execute(&b, x); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(b.Bytes()) // the client is gone
}

func echoRequest(r *http.Request) (echoed, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEcho+1))
	if err != nil {
		return echoed{}, err
	}
	x := echoed{
		Method: r.Method, Path: r.URL.RequestURI(), Proto: r.Proto, Host: r.Host,
		Client: r.RemoteAddr, Scheme: r.Header.Get("X-Forwarded-Proto"),
	}
	switch {
	case len(body) > maxEcho:
		x.Body = fmt.Sprintf("(more than %d bytes)", maxEcho)
	case !utf8.Valid(body):
		x.Body = fmt.Sprintf("(%d bytes that are not text)", len(body))
	default:
		x.Body = string(body)
	}
	for name, values := range r.Header {
		for _, v := range values {
			x.Headers = append(x.Headers, header{name, v})
		}
	}
	slices.SortStableFunc(x.Headers, func(a, b header) int { return strings.Compare(a.Name, b.Name) })
	return x, nil
}

// text is the request in the form of an HTTP message, below a line that says
// what it is.
func (x echoed) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Culvert: this is your request, as it reached the agent.\n\n%s %s %s\nHost: %s\n", x.Method, x.Path, x.Proto, x.Host)
	for _, h := range x.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	if x.Body != "" {
		b.WriteString("\n" + x.Body + "\n")
	}
	fmt.Fprintf(&b, "\nclient %s\n", x.Client)
	return b.String()
}
