package edge

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

const newData = "on_event_stream_message: [{expressions: [\"true\"], actions: [{type: act, config: {data: new}}]}]"

// eventStream brings a service online that sends what it is given at once,
// after write, and returns what its client reads.
func eventStream(t *testing.T, codings string, through func(io.Writer) (w io.Writer, flush func())) (chan<- string, *http.Response) {
	t.Helper()
	w := newWorld(t)
	next := make(chan string)
	w.online(app, w.serve(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		if codings != "" {
			rw.Header().Set("Content-Encoding", codings)
		}
		rw.WriteHeader(http.StatusOK)
		rw.(http.Flusher).Flush() //nolint:forcetypeassert // it can
		out, flush := through(rw)
		for text := range next {
			_, _ = io.WriteString(out, text)
			flush()
			rw.(http.Flusher).Flush() //nolint:forcetypeassert // it can
		}
	}), governed(t, newData))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip, br") // or the client would ask and decode by itself
	resp, err := w.h1().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(next); _ = resp.Body.Close() })
	return next, resp
}

func plainly(w io.Writer) (io.Writer, func()) { return w, func() {} }

// Lines may end in three ways; each event leaves before the next one comes.
func TestPolicy56_EndsOfLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ send, want string }{
		{"data: a\rid: 1\r\r", "data: new\nid: 1\r\r"},
		{"data: a\r\nid: 1\r\n\r\n", "data: new\nid: 1\r\n\r\n"},
		{"data: a\nid: 1\n\n", "data: new\nid: 1\n\n"},
		{": only\r\r", ": only\r\r"},
	} {
		next, resp := eventStream(t, "", plainly)
		for range 3 {
			next <- tt.send
			wantRead(t, resp.Body, tt.want)
		}
	}
}

// A line end that comes in two parts is one.
func TestPolicy56_LineEndInTwoParts(t *testing.T) {
	t.Parallel()
	next, resp := eventStream(t, "", plainly)
	for _, part := range []string{"data: a\r", "\nid: 1\r\n\r", "\ndata: b\r", "\n\r\n"} {
		next <- part
	}
	wantRead(t, resp.Body, "data: new\nid: 1\r\n\r\ndata: new\n\r\n")
}

// A part of an event that is too large ends where its line does.
func TestPolicy56_LargeEventCutBeforeItsLineEnd(t *testing.T) {
	t.Parallel()
	next, resp := eventStream(t, "", plainly)
	for size := maxEvent - 1; size <= maxEvent+1; size++ {
		event := strings.Repeat("x", size) + "\ndata: a\n\n"
		next <- event
		got := make([]byte, len(event))
		if _, err := io.ReadFull(resp.Body, got[:size+1]); err != nil || string(got[:size+1]) != event[:size+1] {
			t.Fatalf("%d bytes: %v", size, err)
		}
		wantRead(t, resp.Body, "data: a\n\n")
		next <- "data: b\n\n"
		wantRead(t, resp.Body, "data: new\n\n")
	}
}

// Events that come compressed are seen one by one, and leave as they are.
func TestPolicy56_CompressedEvents(t *testing.T) {
	t.Parallel()
	for codings, through := range map[string]func(io.Writer) (io.Writer, func()){
		"gzip": func(w io.Writer) (io.Writer, func()) {
			z := gzip.NewWriter(w)
			return z, func() { _ = z.Flush() }
		},
		"br": func(w io.Writer) (io.Writer, func()) {
			z := brotli.NewWriter(w)
			return z, func() { _ = z.Flush() }
		},
	} {
		next, resp := eventStream(t, codings, through)
		if c := resp.Header.Get("Content-Encoding"); c != "" {
			t.Errorf("%s: the answer is %s", codings, c)
		}
		for range 3 {
			next <- "data: a\n\n"
			wantRead(t, resp.Body, "data: new\n\n")
		}
	}
}

// A coding that nobody knows passes.
func TestPolicy56_UnknownCoding(t *testing.T) {
	t.Parallel()
	next, resp := eventStream(t, "zstd", plainly)
	next <- "data: a\n\n"
	wantRead(t, resp.Body, "data: a\n\n")
	if c := resp.Header.Get("Content-Encoding"); c != "zstd" {
		t.Errorf("the answer is %q", c)
	}
}
