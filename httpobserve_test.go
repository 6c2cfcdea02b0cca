package culvert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// seen returns what an observer sees of two byte streams that arrive in pieces
// of n bytes, requests first.
func seen(requests, responses string, n int) []string {
	var got []string
	o := newObserver(func(method, path string, status int, _ time.Duration) {
		got = append(got, fmt.Sprint(method, " ", path, " ", status))
	})
	for p := range slices.Chunk([]byte(requests), n) {
		o.request(p)
	}
	for p := range slices.Chunk([]byte(responses), n) {
		o.response(p)
	}
	o.ended()
	return got
}

func TestObserver(t *testing.T) {
	t.Parallel()
	get := "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	tests := []struct {
		name, requests, responses string
		want                      []string
	}{
		{"one", get, ok, []string{"GET /a 200"}},
		{"two", get + get, ok + "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", []string{"GET /a 200", "GET /a 404"}},
		{"body", "POST /p HTTP/1.1\r\ncontent-length: 5\r\n\r\nGET /" + get, ok + ok, []string{"POST /p 200", "GET /a 200"}},
		{
			"chunked both ways", "PUT /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nab\r\nc\r\n0\r\nT: v\r\n\r\n" + get,
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n" + ok,
			[]string{"PUT /p 200", "GET /a 200"},
		},
		{"until the end", get, "HTTP/1.0 200 OK\r\n\r\nall the rest", []string{"GET /a 200"}},
		{"HEAD", "HEAD / HTTP/1.1\r\n\r\n" + get, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ok, []string{"HEAD / 200", "GET /a 200"}},
		{"interim", get, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, []string{"GET /a 200"}},
		{"204 and 304", get + get, "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 Not\r\nContent-Length: 7\r\n\r\n", []string{"GET /a 204", "GET /a 304"}},
		{"upgrade", get, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x00\x01", []string{"GET /a 101"}},
		{"absolute form", "GET http://h/x?y HTTP/1.1\r\n\r\nGET http://h HTTP/1.1\r\n\r\n", ok + ok, []string{"GET /x 200", "GET / 200"}},
		{"URL in the query", "GET /a?u=http://h/x HTTP/1.1\r\n\r\n", ok, []string{"GET /a 200"}},
		{"blank lines between", get + "\r\n" + get, ok + ok, []string{"GET /a 200", "GET /a 200"}},
		{"not HTTP", "\x16\x03\x01", ok, nil},
		{"response without request", "", ok, nil},
		{"endless head", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 20_000), ok, nil},
		{"bad length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", ok, nil},
		{"bad chunk", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", nil},
		{"unfinished", get, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 2, 3, 7, 1 << 20} {
				if got := seen(tc.requests, tc.responses, n); !slices.Equal(got, tc.want) {
					t.Errorf("pieces of %d: got %q, want %q", n, got, tc.want)
				}
			}
		})
	}
}

// FuzzObserver: strangers' bytes never panic it, and the pieces in which they
// come make no difference.
func FuzzObserver(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 3)
	f.Add("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 204 No\r\n\r\n", 1)
	f.Fuzz(func(t *testing.T, requests, responses string, n int) {
		if n < 1 || len(requests)+len(responses) > maxHeadSeen {
			return
		}
		whole, pieces := seen(requests, responses, 1<<20), seen(requests, responses, n)
		if !slices.Equal(whole, pieces) {
			t.Errorf("whole %q, in pieces of %d %q", whole, n, pieces)
		}
	})
}

func BenchmarkObserver(b *testing.B) {
	request := []byte("GET /a HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: x\r\nAccept: */*\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n")
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\nhello")
	for name, done := range map[string]func(string, string, int, time.Duration){
		"told": func(string, string, int, time.Duration) {}, "untold": nil,
	} {
		b.Run(name, func(b *testing.B) {
			o := newObserver(done)
			b.ReportAllocs()
			for b.Loop() {
				o.request(request)
				o.response(response)
			}
		})
	}
}
