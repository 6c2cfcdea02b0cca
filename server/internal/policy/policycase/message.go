package policycase

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/server/internal/coding"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// WriteRequest writes the request of an exchange as the upstream gets it.
func WriteRequest(w io.Writer, x *policy.Exchange) error {
	q := x.Request
	fmt.Fprintf(w, "%s %s\nHost: %s\n", q.Method, q.URL.RequestURI(), q.Host)
	for _, name := range x.Removed {
		fmt.Fprintf(w, "(no %s of the edge)\n", name)
	}
	return writeMessage(w, q.Header, q.ContentLength, q.Body)
}

// WriteResponse writes a response.
func WriteResponse(w io.Writer, resp *http.Response) error {
	fmt.Fprintln(w, resp.StatusCode)
	if resp.Request.Method == http.MethodHead {
		return writeMessage(w, resp.Header, 0, nil)
	}
	return writeMessage(w, resp.Header, resp.ContentLength, resp.Body)
}

// writeMessage writes fields and body. Their bytes other than printable ones
// are escaped, so that what one sees is all.
func writeMessage(w io.Writer, h http.Header, length int64, body io.Reader) error {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			fmt.Fprintf(w, "%s: %s\n", name, printable(v))
		}
	}
	var content []byte
	if body != nil {
		var err error
		if content, err = io.ReadAll(body); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	if length >= 0 && length != int64(len(content)) {
		return fmt.Errorf("the length is %d and the body has %d bytes", length, len(content))
	}
	if codings, known := coding.Of(h); known && len(codings) > 0 && len(content) > 0 {
		var err error
		if content, err = coding.Decode(bytes.NewReader(content), codings, 1<<20); err != nil {
			return fmt.Errorf("body: %w", err)
		}
		fmt.Fprintln(w, "(decoded)")
	}
	if length < 0 {
		fmt.Fprintln(w, "(length unknown)")
	}
	if len(content) > 0 {
		fmt.Fprintf(w, "\n%s\n", printable(string(content)))
	}
	fmt.Fprintln(w)
	return nil
}

// printable escapes control characters other than newline and tab, and what is
// no UTF-8.
func printable(s string) string {
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(s, "\uFFFD") {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			fmt.Fprintf(&b, "\\x%02x", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// left writes the results and log entries that the actions have left.
func (r *caseRun) left(x *policy.Exchange) {
	for _, v := range r.Registry.Results() {
		name := strings.TrimPrefix(v.Name, "actions.ngrok.")
		if got, ok := x.Result(name); ok {
			fmt.Fprintf(&r.out, "%s = %s\n", name, inJSON(got))
		}
	}
	for _, entry := range x.Logs {
		fmt.Fprintf(&r.out, "log %s\n", inJSON(entry))
	}
}

func inJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
